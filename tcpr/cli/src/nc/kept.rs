//! The record of a connection that is open, as both directions change it.
//!
//! *Assumes* that what a change says is true already: received octets are in their file, and the
//! output's end has been read.
//! *Guarantees* that what is stored never claims less than what TCPR was told.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tcpr::{Connection, Durability, Hard, Record};

use super::record::{NcRecord, NcRecordError, Purpose, Repeat, Stage};

/// The record, and where it is.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) purpose: Purpose,
    pub(crate) repeat: Repeat,
    hard: Mutex<Hard>,
}

impl Kept {
    pub(crate) fn new(
        path: PathBuf,
        durability: Durability,
        purpose: Purpose,
        repeat: Repeat,
        hard: Hard,
    ) -> Kept {
        Kept {
            path,
            durability,
            purpose,
            repeat,
            hard: Mutex::new(hard),
        }
    }

    /// As it was last stored.
    pub(crate) fn hard(&self) -> Hard {
        *self.hard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores it with a change, and with what TCPR has told meanwhile.
    pub(crate) fn store(
        &self,
        connection: &Connection,
        change: impl FnOnce(&mut Hard),
    ) -> Result<(), NcRecordError> {
        self.store_with(connection.record().hard, change)
    }

    pub(crate) fn store_with(
        &self,
        told: Hard,
        change: impl FnOnce(&mut Hard),
    ) -> Result<(), NcRecordError> {
        let mut stored = self.hard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hard = Hard {
            checkpoint: stored.checkpoint,
            done_writing: stored.done_writing,
            peer_fin: stored.peer_fin.or(told.peer_fin),
            acked: stored.acked.max(told.acked),
            ..told
        };
        change(&mut hard);
        let stage = Stage::Open {
            connection: Record::new(hard),
            repeat: self.repeat,
        };
        NcRecord::new(self.purpose.clone(), stage).store(&self.path, self.durability)?;
        *stored = hard;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::super::record::tests::hard;
    use super::*;

    #[test]
    fn what_was_stored_is_not_taken_back_by_what_tcpr_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        let purpose = Purpose {
            listen: true,
            host: "::".into(),
            port: 179,
            out: None,
        };
        let kept = Kept::new(
            path.clone(),
            Durability::Process,
            purpose.clone(),
            Repeat::Log,
            hard(0),
        );
        kept.store_with(hard(0), |hard| hard.checkpoint = 40)
            .unwrap();
        kept.store_with(
            Hard {
                acked: 7,
                ..hard(10)
            },
            |hard| hard.done_writing = Some(9),
        )
        .unwrap();
        let spliced = Hard {
            delta: 5,
            ..hard(20)
        };
        kept.store_with(spliced, |_| {}).unwrap();
        let wanted = Hard {
            acked: 7,
            done_writing: Some(9),
            delta: 5,
            ..hard(40)
        };
        assert_eq!(kept.hard(), wanted);
        let Some(NcRecord {
            stage: Stage::Open { connection, .. },
            ..
        }) = NcRecord::load(&path, &purpose).unwrap()
        else {
            panic!("no open connection");
        };
        assert_eq!(connection.hard, wanted);
    }

    #[test]
    fn what_cannot_be_stored_does_not_count_as_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("record");
        let purpose = Purpose {
            listen: true,
            host: "::".into(),
            port: 179,
            out: None,
        };
        let kept = Kept::new(path, Durability::Process, purpose, Repeat::Log, hard(3));
        let error = kept
            .store_with(hard(3), |hard| hard.checkpoint = 40)
            .unwrap_err();
        assert!(matches!(error, NcRecordError::Write { .. }), "{error}");
        assert_eq!(kept.hard(), hard(3));
    }
}
