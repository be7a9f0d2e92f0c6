//! Which runs share a lab.
//!
//! *Assumes* runs in the order in which they are to be made. *Guarantees* that each is in one turn, that
//! a run which is to have a lab of its own is alone in its turn, that those of one cell and arm which
//! are not are in one turn, in their order, and that turns are in the order of their first runs.

use crate::resume::Missing;

/// The runs of each lab.
pub(super) fn turns(missing: Vec<Missing>) -> Vec<Vec<Missing>> {
    let mut turns: Vec<Vec<Missing>> = Vec::new();
    for one in missing {
        let shared = (!one.scenario.fresh)
            .then(|| turns.iter_mut().find(|turn| are_of_one_lab(turn, &one)))
            .flatten();
        match shared {
            Some(turn) => turn.push(one),
            None => turns.push(vec![one]),
        }
    }
    turns
}

fn are_of_one_lab(turn: &[Missing], one: &Missing) -> bool {
    let run = &one.scenario;
    turn.iter().all(|other| {
        let other = &other.scenario;
        !other.fresh && other.strategy == run.strategy && other.cell == run.cell
    })
}

#[cfg(test)]
mod tests {
    use topologies::Scenario;

    use super::*;

    /// The runs of a campaign by their places in it, as they share labs.
    fn shared(more: &str) -> Vec<Vec<usize>> {
        let text = format!(
            "name: x\ntopology: {{kind: clique, size: 3}}\nfailure: {{kind: control}}\n\
             strategies: [none, tcpr]\nruns: 3\n{more}\n"
        );
        let scenario = Scenario::parse(&text, "x.yaml").expect("it is valid");
        let all: Vec<Missing> = (scenario.resolve_all())
            .map(|run| Missing::first(run, 1))
            .collect();
        let place = |one: &Missing| all.iter().position(|other| other == one);
        let turns = turns(all.clone());
        turns
            .iter()
            .map(|turn| turn.iter().filter_map(place).collect())
            .collect()
    }

    #[test]
    fn by_default_every_run_has_a_lab_of_its_own_in_the_order_of_the_campaign() {
        let alone: Vec<Vec<usize>> = (0..6).map(|run| vec![run]).collect();
        assert_eq!(shared(""), alone);
        assert_eq!(shared("fresh: true"), alone);
    }

    #[test]
    fn a_lab_carries_the_runs_of_one_arm_in_their_order() {
        assert_eq!(shared("fresh: false"), [[0, 2, 4], [1, 3, 5]]);
    }

    #[test]
    fn cells_share_no_lab_and_those_with_fresh_ones_have_them_beside_the_others() {
        assert_eq!(
            shared("fresh: false\nmatrix: {router.mrai: [1s, 5s]}"),
            [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
        );
        let mixed = shared("matrix: {fresh: [true, false]}");
        assert_eq!(
            mixed[..4],
            [vec![0], vec![1], vec![2, 6, 10], vec![3, 7, 11]]
        );
        assert_eq!(mixed[4..], [[4], [5], [8], [9]]);
    }
}
