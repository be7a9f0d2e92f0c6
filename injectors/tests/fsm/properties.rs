//! Properties that hold whatever happens.

use std::time::{Duration, Instant};

use injectors::speaker::message::keepalive;
use injectors::speaker::session::State::*;
use injectors::speaker::session::{Input, Output, Session};
use proptest::prelude::*;

use crate::Event::{self, *};
use crate::{EVENTS, happen, octets_of, oracle, outputs, peer_open, session_in, settings};

fn any_event() -> impl Strategy<Value = Event> {
    prop::sample::select(EVENTS)
}

proptest! {
    /// However TCP cuts the octets, the session is the same.
    #[test]
    fn messages_may_be_cut_anywhere(
        events in prop::collection::vec(
            prop::sample::select(vec![Keepalive, GoodUpdate, RouteRefresh, BadUpdate, OtherNotification]),
            0..8,
        ),
        cuts in prop::collection::vec(1_usize..30, 1..100),
    ) {
        let now = Instant::now();
        let mut octets = peer_open().to_octets();
        octets.extend(keepalive());
        octets.extend(events.iter().filter_map(|event| octets_of(*event)).flatten());
        let mut whole = session_in(OpenSent, false, now);
        whole.handle(Input::Octets(&octets), now);
        let mut cut = session_in(OpenSent, false, now);
        let (mut rest, mut fed) = (&octets[..], 0);
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*length).min(rest.len()));
            rest = tail;
            fed += head.len() as u64;
            cut.handle(Input::Octets(head), now);
            if cut.state() != Idle {
                prop_assert_eq!(cut.received() + cut.buffered() as u64, fed);
            }
        }
        prop_assert_eq!(cut.state(), whole.state());
        prop_assert_eq!(cut.received(), whole.received());
        prop_assert_eq!(outputs(&mut cut), outputs(&mut whole));
    }

    /// Whatever happens in whatever order: what is sent are messages, a session that has begun ends
    /// once, and there is one connection at most.
    #[test]
    fn any_order_of_events_is_survived(
        passive: bool,
        events in prop::collection::vec((any_event(), 0_u64..10), 0..60),
    ) {
        let mut now = Instant::now();
        let mut session = Session::new(settings(passive));
        let mut connecting = false;
        for (event, pause) in events {
            now += Duration::from_secs(pause);
            // The caller tells of connections that it has.
            let connected = matches!(session.state(), OpenSent | OpenConfirm | Established);
            if event == Up && !matches!(session.state(), Connect | Active) {
                continue;
            }
            if event == Up && !passive && !connecting {
                continue;
            }
            let state = session.state();
            happen(&mut session, event, now);
            if matches!(event, Up | Failed | Closed) {
                connecting = false;
            }
            let outputs = outputs(&mut session);
            let ends = outputs.iter().filter(|o| matches!(o, Output::Ended(_))).count();
            let still = matches!(session.state(), OpenSent | OpenConfirm | Established);
            prop_assert_eq!(ends, usize::from(connected && !still), "{:?} in {:?}", event, state);
            for output in &outputs {
                match output {
                    Output::Connect => {
                        prop_assert!(!passive && !connecting);
                        connecting = true;
                    }
                    Output::Disconnect => connecting = false,
                    Output::Send(octets) => {
                        oracle(octets);
                    }
                    _ => {}
                }
            }
            if let Some(deadline) = session.deadline() {
                prop_assert!(deadline > now || !matches!(event, ConnectRetryTimer | HoldTimer));
            }
            prop_assert_eq!(session.negotiated().is_some(), matches!(session.state(), OpenConfirm | Established));
        }
    }

    /// Any octets at all.
    #[test]
    fn any_octets_are_survived(octets in prop::collection::vec(any::<u8>(), 0..200), state in 0_usize..3) {
        let now = Instant::now();
        let state = [OpenSent, OpenConfirm, Established][state];
        let mut session = session_in(state, false, now);
        let mut message = vec![0xff; 16];
        message.extend(&octets);
        session.handle(Input::Octets(&octets), now);
        session.handle(Input::Octets(&message), now);
        prop_assert!(session.buffered() < 4096);
    }
}
