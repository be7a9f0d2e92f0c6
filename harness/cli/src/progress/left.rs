//! How long a campaign will still take, from how long its runs have taken.
//!
//! *Assumes* that labs come up one at a time, and that runs of one arm take about equally long.
//! *Guarantees* no answer before a run has ended, and none while a run of an arm of which none has takes longer than those of the
//! others: a guess would be taken for a measurement.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long runs take.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    /// By arm: the time of all its complete runs, and their number.
    arms: Vec<(Duration, u32)>,
    /// The arms whose runs share a lab.
    shared: Vec<usize>,
    /// The time of all bring-ups, and their number.
    bring_ups: (Duration, u32),
}

/// What is still to be done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// Labs at a time.
    pub(crate) jobs: usize,
    /// The arm of each run under way, and for how long it has been.
    pub(crate) under_way: Vec<(Option<usize>, Duration)>,
    /// The arm of each run to come, in order.
    pub(crate) to_come: Vec<usize>,
}

fn mean((time, runs): (Duration, u32)) -> Option<Duration> {
    time.checked_div(runs)
}

impl Pace {
    /// Of so many arms, and those of them whose runs share a lab.
    pub(crate) fn new(arms: usize, shared: Vec<usize>) -> Self {
        Self {
            arms: vec![(Duration::ZERO, 0); arms],
            shared,
            bring_ups: (Duration::ZERO, 0),
        }
    }

    /// A run was complete after this time.
    pub(crate) fn took(&mut self, arm: Option<usize>, time: Duration) {
        if let Some(arm) = arm.and_then(|a| self.arms.get_mut(a)) {
            arm.0 += time;
            arm.1 += 1;
        }
    }

    /// A lab was up, and let the next one come up, after this time.
    pub(crate) fn brought_up(&mut self, time: Duration) {
        self.bring_ups.0 += time;
        self.bring_ups.1 += 1;
    }

    /// The mean time of an arm's own runs.
    fn own_time(&self, arm: Option<usize>) -> Option<Duration> {
        arm.and_then(|a| self.arms.get(a)).copied().and_then(mean)
    }

    /// The mean time of an arm's runs; of an arm without any, that of all.
    fn run_time(&self, arm: Option<usize>) -> Option<Duration> {
        let sum = |(t, n): (Duration, u32), (time, runs): &(Duration, u32)| (t + *time, n + runs);
        let all = self.arms.iter().fold((Duration::ZERO, 0), sum);
        self.own_time(arm).or_else(|| mean(all))
    }

    fn is_shared(&self, arm: usize) -> bool {
        self.shared.contains(&arm)
    }

    /// Plays through what is to be done: each run to come takes the place that is free first, and
    /// waits until the lab before it is up; but where an arm has a lab for all of its runs, it waits
    /// for that.
    pub(crate) fn left(&self, work: &Work) -> Option<Duration> {
        let mut places = Vec::new();
        let mut lab_of = BTreeMap::new();
        for (arm, elapsed) in &work.under_way {
            let time = self.run_time(*arm)?;
            if *elapsed > time && self.own_time(*arm).is_none() {
                return None;
            }
            if let Some(arm) = arm.filter(|arm| self.is_shared(*arm)) {
                lab_of.insert(arm, places.len());
            }
            places.push(time.saturating_sub(*elapsed));
        }
        if places.len() < work.jobs {
            places.resize(work.jobs, Duration::ZERO);
        }
        let bring_up = mean(self.bring_ups).unwrap_or_default();
        let mut next_up = Duration::ZERO;
        let to_come = work.to_come.iter().copied();
        let (shared, own): (Vec<usize>, Vec<usize>) = to_come.partition(|arm| self.is_shared(*arm));
        for arm in shared.into_iter().chain(own) {
            let time = self.run_time(Some(arm))?;
            if let Some(lab) = lab_of.get(&arm) {
                places[*lab] += time;
                continue;
            }
            let place = (0..places.len()).min_by_key(|place| places[*place])?;
            let begins = places[place].max(next_up);
            next_up = begins + bring_up;
            places[place] = begins + time;
            if self.is_shared(arm) {
                lab_of.insert(arm, place);
            }
        }
        places.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn pace() -> Pace {
        let mut pace = Pace::new(2, Vec::new());
        pace.took(Some(0), S(10));
        pace.took(Some(1), S(90));
        pace.took(Some(1), S(110));
        pace
    }

    #[test]
    fn nothing_is_said_of_an_arm_whose_first_run_outlasts_those_of_the_others() {
        let mut pace = Pace::new(2, Vec::new());
        pace.took(Some(0), S(10));
        let under_way = |arm, for_s| Work {
            jobs: 1,
            under_way: vec![(Some(arm), S(for_s))],
            to_come: Vec::new(),
        };
        assert_eq!(pace.left(&under_way(1, 4)), Some(S(6)));
        assert_eq!(pace.left(&under_way(1, 11)), None);
        assert_eq!(pace.left(&under_way(0, 11)), Some(S(0)));
    }

    #[test]
    fn nothing_is_said_before_a_run_has_ended() {
        let work = Work {
            jobs: 2,
            under_way: vec![(Some(0), S(5))],
            to_come: vec![0, 1],
        };
        assert_eq!(Pace::new(2, Vec::new()).left(&work), None);
        assert!(pace().left(&work).is_some());
    }

    #[test]
    fn each_arm_has_its_own_pace_and_an_arm_without_one_that_of_all() {
        let left = |arm| {
            pace().left(&Work {
                jobs: 1,
                under_way: Vec::new(),
                to_come: vec![arm],
            })
        };
        assert_eq!(left(0), Some(S(10)));
        assert_eq!(left(1), Some(S(100)));
        assert_eq!(left(7), Some(S(70)));
    }

    #[test]
    fn places_are_taken_as_they_become_free() {
        // One is free after 4 s, the other after 30: the three of 10 s end after 14, 24 and 34.
        let mut pace = pace();
        let mut work = Work {
            jobs: 2,
            under_way: vec![(Some(0), S(6)), (Some(1), S(70))],
            to_come: vec![0, 0, 0],
        };
        assert_eq!(pace.left(&work), Some(S(34)));
        // Runs that take longer than those before have no time left that is known.
        work.under_way = vec![(Some(0), S(60))];
        work.to_come.clear();
        assert_eq!(pace.left(&work), Some(Duration::ZERO));
        // Many places help little if labs come up one at a time.
        pace.brought_up(S(3));
        let work = Work {
            jobs: 36,
            under_way: Vec::new(),
            to_come: vec![0; 5],
        };
        assert_eq!(pace.left(&work), Some(S(4 * 3 + 10)));
    }

    #[test]
    fn the_runs_of_a_shared_lab_wait_for_one_another_however_many_places_there_are() {
        let mut pace = Pace::new(2, vec![0]);
        pace.took(Some(0), S(10));
        pace.took(Some(1), S(20));
        let mut work = Work {
            jobs: 9,
            under_way: Vec::new(),
            to_come: vec![0, 1, 0, 1, 0],
        };
        assert_eq!(pace.left(&work), Some(S(30)));
        work.under_way = vec![(Some(0), S(4))];
        assert_eq!(pace.left(&work), Some(S(36)));
        work.under_way.clear();
        work.jobs = 1;
        assert_eq!(pace.left(&work), Some(S(70)));
    }

    #[test]
    fn no_place_for_what_is_to_come_gives_no_answer() {
        let work = Work {
            jobs: 0,
            under_way: Vec::new(),
            to_come: vec![0],
        };
        assert_eq!(pace().left(&work), None);
    }
}
