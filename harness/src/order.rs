//! The order of a run.
//!
//! *Assumes* a lab that keeps the trait's promises. *Guarantees* that a run is closed exactly
//! once however it ends, and that what was found is told with how it ended.

use std::future::Future;

use injectors::Schedule;
use results::Status;

/// A lab, as the order of a run sees it. The real one is [`crate::lab::Lab`]; tests drive the
/// same order with one of their own.
pub trait Lab {
    /// Why a step failed.
    type Error: std::fmt::Display;
    /// What is left of a run when it is closed.
    type Closed;

    /// Makes namespaces and links, starts recorders, then daemons.
    fn bring_up(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
    /// In a lab that is up from an earlier run: starts recorders.
    fn record_anew(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
    /// Waits until all sessions are Established.
    fn established(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
    /// Waits until it is quiet and every router has the destination.
    fn settled(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
    /// Makes it fail as scheduled, and begins to watch for the confirmation.
    fn fail(&mut self, schedule: &Schedule) -> impl Future<Output = Result<(), Self::Error>>;
    /// Waits until it is quiet again.
    fn quiet(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
    /// Stops the recorders. The lab itself ends with its capsule.
    fn close(&mut self) -> impl Future<Output = Self::Closed>;
}

/// What a run begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// An empty capsule.
    Empty,
    /// A lab in which the run before this one was complete.
    Reused,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending<C> {
    /// Complete, failed or aborted.
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    /// What the run left.
    pub closed: C,
}

/// From the beginning to the new quiet.
async fn steps<L: Lab>(
    lab: &mut L,
    beginning: Beginning,
    schedule: &Schedule,
) -> Result<(), L::Error> {
    match beginning {
        Beginning::Empty => {
            lab.bring_up().await?;
            lab.established().await?;
        }
        Beginning::Reused => lab.record_anew().await?,
    }
    lab.settled().await?;
    lab.fail(schedule).await?;
    lab.quiet().await
}

/// Carries out one run. `stop` ends it early, in order; `keep` is awaited with a failed lab
/// before that is closed.
pub async fn carry_out<L, K>(
    lab: &mut L,
    beginning: Beginning,
    schedule: &Schedule,
    stop: impl Future<Output = ()>,
    keep: impl FnOnce(String) -> K,
) -> Ending<L::Closed>
where
    L: Lab,
    K: Future<Output = ()>,
{
    let ended = tokio::select! {
        biased;
        () = stop => None,
        result = steps(lab, beginning, schedule) => Some(result),
    };
    let (status, error) = match ended {
        Some(Ok(())) => (Status::Complete, None),
        Some(Err(e)) => (Status::Failed, Some(e.to_string())),
        None => (
            Status::Aborted,
            Some("it was stopped before its end".to_owned()),
        ),
    };
    if status == Status::Failed {
        keep(error.clone().unwrap_or_default()).await;
    }
    Ending {
        status,
        error,
        closed: lab.close().await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;

    /// A lab that writes down what it is asked, and fails or hangs where it is told to.
    struct Fake {
        asked: Rc<RefCell<Vec<&'static str>>>,
        fails_at: &'static str,
        hangs_at: &'static str,
    }

    impl Fake {
        async fn step(&mut self, name: &'static str) -> Result<(), String> {
            self.asked.borrow_mut().push(name);
            if name == self.hangs_at {
                std::future::pending::<()>().await;
            }
            if name == self.fails_at {
                Err(format!("{name} went wrong"))
            } else {
                Ok(())
            }
        }
    }

    impl Lab for Fake {
        type Error = String;
        type Closed = &'static str;

        async fn bring_up(&mut self) -> Result<(), String> {
            self.step("bring_up").await
        }
        async fn record_anew(&mut self) -> Result<(), String> {
            self.step("record_anew").await
        }
        async fn established(&mut self) -> Result<(), String> {
            self.step("established").await
        }
        async fn settled(&mut self) -> Result<(), String> {
            self.step("settled").await
        }
        async fn fail(&mut self, _: &Schedule) -> Result<(), String> {
            self.step("fail").await
        }
        async fn quiet(&mut self) -> Result<(), String> {
            self.step("quiet").await
        }
        async fn close(&mut self) -> &'static str {
            self.asked.borrow_mut().push("close");
            "closed"
        }
    }

    const EMPTY: [&str; 5] = ["bring_up", "established", "settled", "fail", "quiet"];
    const REUSED: [&str; 4] = ["record_anew", "settled", "fail", "quiet"];
    const BEGINNINGS: [(Beginning, &[&str]); 2] =
        [(Beginning::Empty, &EMPTY), (Beginning::Reused, &REUSED)];

    fn drive(
        beginning: Beginning,
        fails_at: &'static str,
        hangs_at: &'static str,
    ) -> (Ending<&'static str>, Vec<&'static str>, Vec<String>) {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let kept = RefCell::new(Vec::new());
        let mut lab = Fake {
            asked: Rc::clone(&asked),
            fails_at,
            hangs_at,
        };
        let schedule = Schedule {
            phase: Duration::ZERO,
            steps: Vec::new(),
        };
        let stop = async {
            // Only a lab that hangs is stopped, once it does.
            if hangs_at.is_empty() {
                std::future::pending::<()>().await;
            }
            while asked.borrow().last() != Some(&hangs_at) {
                tokio::task::yield_now().await;
            }
        };
        let ending = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(carry_out(&mut lab, beginning, &schedule, stop, |error| {
                kept.borrow_mut().push(error);
                std::future::ready(())
            }));
        let asked = asked.borrow().clone();
        (ending, asked, kept.into_inner())
    }

    #[test]
    fn a_run_takes_its_steps_in_order_and_is_closed_once() {
        for (beginning, order) in BEGINNINGS {
            let (ending, asked, kept) = drive(beginning, "", "");
            assert_eq!(
                ending,
                Ending {
                    status: Status::Complete,
                    error: None,
                    closed: "closed"
                }
            );
            assert_eq!(asked, [order, &["close"]].concat());
            assert!(kept.is_empty());
        }
    }

    #[test]
    fn a_step_that_fails_ends_the_run_there_and_the_lab_is_offered_to_keep_then_closed() {
        for (beginning, order) in BEGINNINGS {
            for (i, step) in order.iter().enumerate() {
                let (ending, asked, kept) = drive(beginning, step, "");
                assert_eq!(ending.status, Status::Failed, "{step}");
                assert_eq!(ending.error.unwrap(), format!("{step} went wrong"));
                assert_eq!(asked, [&order[..=i], &["close"]].concat());
                assert_eq!(kept, [format!("{step} went wrong")]);
            }
        }
    }

    #[test]
    fn a_run_that_is_stopped_in_any_step_is_aborted_and_closed() {
        for (beginning, order) in BEGINNINGS {
            for (i, step) in order.iter().enumerate() {
                let (ending, asked, kept) = drive(beginning, "", step);
                assert_eq!(ending.status, Status::Aborted, "{step}");
                assert_eq!(asked, [&order[..=i], &["close"]].concat());
                assert!(kept.is_empty());
            }
        }
    }
}
