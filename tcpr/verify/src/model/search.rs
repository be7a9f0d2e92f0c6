//! Every state that can be reached, each once, and from which of them the end can be.
//!
//! *Assumes* that all states fit into memory as fingerprints of 64 bits: of 10 million states two have
//! the same one with a probability of 3 in a million.
//! *Guarantees* that states are visited in the order of their distance from the beginning, so that
//! the path to a violation is a shortest one; and that the same model gives the same numbers, however
//! many threads there are. stateright's own `eventually` is right on paths without cycles only, and
//! retransmission is a cycle: so the relation between states is kept, and walked backward from the
//! ends.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZero;
use std::thread;

use stateright::Model;

/// So many states are expanded between two looks at what they led to.
const BATCH: usize = 1 << 14;

/// A fingerprint is its own hash.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

type Known = HashMap<u64, u32, BuildHasherDefault<Itself>>;

/// What a model is asked beside what stateright asks.
pub(super) trait Judged: Model + Sync
where
    Self::State: Send + Sync,
{
    /// The state's fingerprint.
    fn fingerprint(&self, state: &Self::State) -> u64;

    /// Whether it must not be.
    fn is_wrong(&self, state: &Self::State) -> bool;

    /// Whether it is an end.
    fn is_done(&self, state: &Self::State) -> bool;
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// States seen.
    pub(super) states: usize,
    /// Steps between them.
    pub(super) steps: usize,
    /// The longest shortest path.
    pub(super) depth: usize,
    /// States that are ends.
    pub(super) ends: usize,
    /// The first state that is wrong, or that no end can be reached from, as fingerprints from the
    /// beginning to it.
    pub(super) bad: Option<Vec<u64>>,
}

enum Next<S> {
    Known(u32),
    Perhaps(u64, S),
}

/// The relation between states.
#[derive(Default)]
struct Graph {
    known: Known,
    fingerprints: Vec<u64>,
    parents: Vec<u32>,
    /// Where each state's steps begin in `targets`.
    begins: Vec<u32>,
    targets: Vec<u32>,
    ends: Vec<u32>,
}

/// Explores everything, up to the first wrong state.
pub(super) fn search<M: Judged>(model: &M) -> Found
where
    M::State: Send + Sync,
{
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut graph = Graph::default();
    let mut layer: Vec<M::State> = Vec::new();
    let mut depth = 0;
    for state in model.init_states() {
        if let Some(bad) = graph.meet(model, model.fingerprint(&state), state, 0, &mut layer) {
            return graph.found(depth, Some(bad));
        }
    }
    let mut expanded: u32 = 0;
    while !layer.is_empty() {
        depth += 1;
        let mut deeper = Vec::new();
        for batch in layer.chunks(BATCH) {
            for nexts in expand(model, &graph.known, batch, threads) {
                let begin = graph.targets.len() as u32;
                graph.begins.push(begin);
                for next in nexts {
                    let met = match next {
                        Next::Known(id) => {
                            graph.targets.push(id);
                            None
                        }
                        Next::Perhaps(fingerprint, state) => {
                            let met = graph.meet(model, fingerprint, state, expanded, &mut deeper);
                            let id = graph.known[&fingerprint];
                            graph.targets.push(id);
                            met
                        }
                    };
                    if let Some(bad) = met {
                        return graph.found(depth, Some(bad));
                    }
                }
                expanded += 1;
            }
        }
        layer = deeper;
    }
    let end = graph.targets.len() as u32;
    graph.begins.push(end);
    let stuck = graph.stuck();
    // The last layer was empty.
    graph.found(depth - 1, stuck)
}

/// What each state of a batch leads to.
fn expand<M: Judged>(
    model: &M,
    known: &Known,
    batch: &[M::State],
    threads: usize,
) -> Vec<Vec<Next<M::State>>>
where
    M::State: Send + Sync,
{
    let one = |state: &M::State| -> Vec<Next<M::State>> {
        let mut actions = Vec::new();
        model.actions(state, &mut actions);
        actions
            .into_iter()
            .filter_map(|action| model.next_state(state, action))
            .map(|next| {
                let fingerprint = model.fingerprint(&next);
                match known.get(&fingerprint) {
                    Some(&id) => Next::Known(id),
                    None => Next::Perhaps(fingerprint, next),
                }
            })
            .collect()
    };
    let share = batch.len().div_ceil(threads);
    if share < 64 {
        return batch.iter().map(one).collect();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = batch
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(nexts) => nexts,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

impl Graph {
    /// Takes up a state, if it is new. `Some`: it is wrong.
    fn meet<M: Judged>(
        &mut self,
        model: &M,
        fingerprint: u64,
        state: M::State,
        parent: u32,
        layer: &mut Vec<M::State>,
    ) -> Option<u32>
    where
        M::State: Send + Sync,
    {
        let id = self.fingerprints.len() as u32;
        if *self.known.entry(fingerprint).or_insert(id) != id {
            return None;
        }
        self.fingerprints.push(fingerprint);
        self.parents.push(parent);
        if model.is_done(&state) {
            self.ends.push(id);
        }
        if model.is_wrong(&state) {
            return Some(id);
        }
        layer.push(state);
        None
    }

    /// The first state from which no end can be reached.
    fn stuck(&self) -> Option<u32> {
        let count = self.fingerprints.len();
        // The same relation, turned round: where the predecessors of each state are.
        let mut places = vec![0_u32; count + 1];
        for &target in &self.targets {
            places[target as usize + 1] += 1;
        }
        for at in 0..count {
            places[at + 1] += places[at];
        }
        let mut sources = vec![0_u32; self.targets.len()];
        let mut next = places.clone();
        for source in 0..count {
            let steps = self.begins[source] as usize..self.begins[source + 1] as usize;
            for &target in &self.targets[steps] {
                let place = &mut next[target as usize];
                sources[*place as usize] = source as u32;
                *place += 1;
            }
        }
        let mut finishes = vec![false; count];
        let mut open = self.ends.clone();
        for &end in &open {
            finishes[end as usize] = true;
        }
        while let Some(id) = open.pop() {
            let steps = places[id as usize] as usize..places[id as usize + 1] as usize;
            for &source in &sources[steps] {
                if !finishes[source as usize] {
                    finishes[source as usize] = true;
                    open.push(source);
                }
            }
        }
        finishes
            .iter()
            .position(|finishes| !finishes)
            .map(|id| id as u32)
    }

    fn found(&self, depth: usize, bad: Option<u32>) -> Found {
        Found {
            states: self.fingerprints.len(),
            steps: self.targets.len(),
            depth,
            ends: self.ends.len(),
            bad: bad.map(|bad| self.path(bad)),
        }
    }

    fn path(&self, mut id: u32) -> Vec<u64> {
        let mut path = vec![self.fingerprints[id as usize]];
        // The beginning is its own parent.
        while self.parents[id as usize] != id {
            id = self.parents[id as usize];
            path.push(self.fingerprints[id as usize]);
        }
        path.reverse();
        path
    }
}
