//! A pair is brought back after the proxy has died.
//!
//! *Assumes* that nobody listens yet at the port of the accepted connection.
//! *Guarantees* that input goes on at a checkpoint which is no later than what the other leg's peer
//! has acknowledged, whether TCPR has lived on, or was lost too and has to ask the peers.
//!
//! What is recorded of checkpoints is old. TCPR knows the true one. If it was lost, the true one is
//! no later than what the *other* leg's peer has acknowledged, which that peer tells when its leg
//! is recovered; and one may go on from there. So the accepted leg is recovered, and tells how far
//! the opened one's input has come; the opened one is recovered from there, and tells how far the
//! accepted one's has; and if TCPR had no better knowledge, the accepted one is recovered once more.

use std::time::Duration;

use tcpr::tokio::{Client, Recovery};
use tcpr::{ClientError, Ending, Record, Refusal, Summary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::legs::Leg;
use super::offsets::{Gap, Offsets, input_start};
use super::pair::{Pair, PairError, forget};
use super::record::{Folder, PairRecord, Stage};

/// How long a new socket may take: TCPR answers in the peer's place.
const SPLICE: Duration = Duration::from_secs(30);
/// A peer that TCPR has asked in vain is asked so often.
const ASKED: usize = 3;

/// What became of a pair.
#[derive(Debug)]
pub(super) enum Recovered {
    /// Octets can pass.
    Joined(Pair),
    /// The one connection has come to its end, and the other not quite.
    Ending(LastLeg),
    /// Both connections had come to their end.
    Over,
}

/// A leg, as far as it is known before it is recovered.
#[derive(Debug, Clone, Copy)]
struct Known {
    record: Record,
    shown: Option<Summary>,
}

impl Known {
    async fn of(client: &Client, record: Record) -> Result<Known, PairError> {
        let shown = match client.show(&record.hard.flow).await {
            Ok(summary) => Some(summary),
            Err(ClientError::Refused { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        Ok(Known { record, shown })
    }

    /// The record for the next recovery: what TCPR knows is newer than what is stored.
    fn next(&self) -> Record {
        let mut hard = self.record.hard;
        if let Some(shown) = &self.shown {
            hard.checkpoint = hard.checkpoint.max(shown.hard.checkpoint);
            hard.acked = hard.acked.max(shown.hard.acked);
            hard.incarnation = hard.incarnation.max(shown.hard.incarnation);
        }
        Record::new(hard).next()
    }

    fn ending(&self) -> Option<Ending> {
        self.shown.and_then(|shown| shown.ending)
    }
}

/// Recovers a pair.
pub(super) async fn recover(
    client: &Client,
    folder: &Folder,
    accepted: Record,
    opened: Record,
) -> Result<Recovered, PairError> {
    let accepted_known = Known::of(client, accepted).await?;
    let opened_known = Known::of(client, opened).await?;
    let mut a = accepted_known.next();
    let mut b = opened_known.next();
    store(folder, a, b)?;
    let recovered_a = take_over(client, folder, &mut a, &mut b, Of::Accepted).await?;
    match &recovered_a {
        Some(recovery) => raise_checkpoint(&mut b, recovery.base),
        None => raise_to_end(&mut b),
    }
    let recovered_b = take_over(client, folder, &mut a, &mut b, Of::Opened).await?;
    let mut recovered_a = match recovered_a {
        Some(recovery) => recovery,
        None => {
            let Some(last) = recovered_b else {
                return Ok(Recovered::Over);
            };
            ended_well(client, &accepted_known).await?;
            return LastLeg::connect(last, &b).await.map(Recovered::Ending);
        }
    };
    if recovered_b.is_none() {
        ended_well(client, &opened_known).await?;
    }
    if accepted_known.shown.is_none() {
        a = a.next();
        match &recovered_b {
            Some(recovery) => raise_checkpoint(&mut a, recovery.base),
            None => raise_to_end(&mut a),
        }
        store(folder, a, b)?;
        let again = take_over(client, folder, &mut a, &mut b, Of::Accepted).await?;
        let flow = a.hard.flow;
        recovered_a = again.ok_or(PairError::Reset { flow })?;
    }
    let Some(recovered_b) = recovered_b else {
        return LastLeg::connect(recovered_a, &a)
            .await
            .map(Recovered::Ending);
    };
    let start = |recovery: &Recovery, record: &Record| {
        input_start(recovery.checkpoint, record.hard.peer_fin)
    };
    let forth = Offsets::resume(start(&recovered_a, &a), recovered_b.base)?;
    let back = Offsets::resume(start(&recovered_b, &b), recovered_a.base)?;
    let (accepted, opened) =
        tokio::try_join!(recovered_a.connect(SPLICE), recovered_b.connect(SPLICE))?;
    let leg = |(stream, connection)| Leg { stream, connection };
    Ok(Recovered::Joined(Pair {
        accepted: leg(accepted),
        opened: leg(opened),
        forth,
        back,
    }))
}

/// The other leg's peer has acknowledged so much: it need not be sent again. A FIN after that may
/// have been acknowledged, and then never comes again either; it is recorded, which is enough.
fn raise_checkpoint(record: &mut Record, acked: u64) {
    let passed = match record.hard.peer_fin {
        Some(end) if acked >= end => end + 1,
        _ => acked,
    };
    record.hard.checkpoint = record.hard.checkpoint.max(passed);
}

/// The other leg has come to its end, or else this one is reset: all of this one has passed.
fn raise_to_end(record: &mut Record) {
    if let Some(end) = record.hard.peer_fin {
        raise_checkpoint(record, end);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Accepted,
    Opened,
}

/// Asks TCPR for one leg. Nothing: it has ended.
async fn take_over(
    client: &Client,
    folder: &Folder,
    accepted: &mut Record,
    opened: &mut Record,
    which: Of,
) -> Result<Option<Recovery>, PairError> {
    for attempt in 1.. {
        let record = if which == Of::Accepted {
            &mut *accepted
        } else {
            &mut *opened
        };
        match client.recover(record).await {
            Ok(recovery) => return Ok(Some(recovery)),
            Err(ClientError::Refused {
                refusal: Refusal::Ended,
                ..
            }) => return Ok(None),
            Err(ClientError::Refused {
                refusal: Refusal::PeerSilent { .. } | Refusal::RecoverAgain,
                ..
            }) if attempt < ASKED => {
                *record = record.next();
                store(folder, *accepted, *opened)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(None)
}

fn store(folder: &Folder, accepted: Record, opened: Record) -> Result<(), PairError> {
    let record = PairRecord::new(Stage::Joined { accepted, opened });
    Ok(folder.store(&record)?)
}

/// One leg has ended: the other may go on only if it has ended well.
async fn ended_well(client: &Client, ended: &Known) -> Result<(), PairError> {
    let flow = ended.record.hard.flow;
    // It may have ended after it was looked at.
    let ending = match ended.ending() {
        Some(ending) => Some(ending),
        None => client.show(&flow).await.ok().and_then(|shown| shown.ending),
    };
    let hard = &ended.record.hard;
    let complete = hard.peer_fin.is_some() && hard.done_writing.is_some();
    match ending {
        Some(Ending::Finished) => Ok(()),
        // Neither TCPR nor the peer knows it any more, and both ends were recorded.
        None if complete => Ok(()),
        Some(ending) => Err(PairError::Ended { flow, ending }),
        None => Err(PairError::Reset { flow }),
    }
}

/// A leg whose other one has come to its end, so that all octets have passed: what lacks is its own
/// end.
#[derive(Debug)]
pub(super) struct LastLeg {
    leg: Leg,
    /// Where its input ends.
    end: u64,
    /// Where its output ends.
    written: u64,
}

impl LastLeg {
    async fn connect(recovery: Recovery, record: &Record) -> Result<LastLeg, PairError> {
        let hard = record.hard;
        let (Some(written), Some(end)) = (hard.done_writing, hard.peer_fin) else {
            return Err(PairError::Reset { flow: hard.flow });
        };
        if recovery.base < written {
            let (input, output) = (written, recovery.base);
            return Err(Gap { input, output }.into());
        }
        let (stream, connection) = recovery.connect(SPLICE).await?;
        let leg = Leg { stream, connection };
        Ok(LastLeg { leg, end, written })
    }

    /// Closes it, and waits for its end.
    pub(super) async fn finish(mut self) -> Result<(), PairError> {
        let flow = self.leg.flow();
        let failed = |source| PairError::Local { flow, source };
        let Leg { stream, connection } = &mut self.leg;
        connection.done_writing(self.written).await?;
        stream.shutdown().await.map_err(failed)?;
        // What the other leg's peer has acknowledged may come again.
        let mut buffer = vec![0; 64 << 10];
        while stream.read(&mut buffer).await.map_err(failed)? > 0 {}
        connection.checkpoint_end(self.end)?;
        loop {
            match connection.wait_closed(Duration::from_secs(3600)).await {
                Ok(Ending::Finished) => {
                    forget(connection).await;
                    return Ok(());
                }
                Ok(ending) => return Err(PairError::Ended { flow, ending }),
                Err(ClientError::Unanswered { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::nc::tests::hard;

    #[test]
    fn what_tcpr_knows_is_newer_than_what_is_stored() {
        let record = Record::new(hard(10));
        let known = Known {
            record,
            shown: None,
        };
        assert_eq!(known.next(), record.next());
        let shown = summary(tcpr::Hard {
            incarnation: 4,
            acked: 9,
            ..hard(30)
        });
        let known = Known {
            record,
            shown: Some(shown),
        };
        let next = known.next().hard;
        assert_eq!((next.checkpoint, next.acked, next.incarnation), (30, 9, 5));
        // A record that is ahead of TCPR stays so: its incarnation was stored, and then came the
        // crash.
        let ahead = Record::new(tcpr::Hard {
            incarnation: 7,
            ..hard(30)
        });
        let known = Known {
            record: ahead,
            shown: Some(shown),
        };
        assert_eq!(known.next().hard.incarnation, 8);
    }

    #[test]
    fn a_checkpoint_is_raised_to_what_the_other_peer_has_and_over_a_recorded_fin() {
        let mut record = Record::new(hard(10));
        raise_checkpoint(&mut record, 8);
        assert_eq!(record.hard.checkpoint, 10);
        raise_checkpoint(&mut record, 20);
        assert_eq!(record.hard.checkpoint, 20);
        record.hard.peer_fin = Some(25);
        raise_checkpoint(&mut record, 24);
        assert_eq!(record.hard.checkpoint, 24);
        raise_checkpoint(&mut record, 25);
        assert_eq!(record.hard.checkpoint, 26);
        // The FIN of the other leg's output counts one there, and none here.
        raise_checkpoint(&mut record, 26);
        assert_eq!(record.hard.checkpoint, 26);
    }

    fn summary(hard: tcpr::Hard) -> Summary {
        Summary {
            flow: hard.flow,
            phase: tcpr::Phase::Failed,
            phase_age: Duration::ZERO,
            registered: true,
            hard,
            sent: 0,
            acked: 0,
            received: 0,
            local_ack: 0,
            window: 0,
            peer_window: 0,
            held: false,
            ending: None,
        }
    }
}
