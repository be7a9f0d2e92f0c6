//! The graphs that topologies are generated from.
//!
//! *Assumes* a size that the graph exists for ([`TopologyKind::min_size`]). *Guarantees* a simple
//! graph: no self-loop, no edge twice, every edge written with the lower router first, in an
//! order that depends on nothing but the arguments.

use std::collections::BTreeSet;

use crate::kinds::TopologyKind;

/// Most routers that a scenario may have.
pub const MAX_SIZE: usize = 500;

/// An undirected graph over the routers `0..size`; router `i` is named `r{i+1}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    size: usize,
    edges: Vec<(usize, usize)>,
}

impl TopologyKind {
    /// The fewest routers that make such a graph; one router alone has nobody to converge with.
    #[must_use]
    pub const fn min_size(self) -> usize {
        match self {
            Self::Clique | Self::BClique | Self::Chain | Self::Star | Self::Edges => 2,
            Self::Ring => 3,
        }
    }
}

impl Graph {
    /// Every router peers with every other (Surton 2014, figure 6).
    #[must_use]
    pub fn clique(size: usize) -> Self {
        Self::from_pairs(
            size,
            (0..size).flat_map(|i| (i + 1..size).map(move |j| (i, j))),
        )
    }

    /// Each router peers with the next.
    #[must_use]
    pub fn chain(size: usize) -> Self {
        Self::from_pairs(size, (1..size).map(|j| (j - 1, j)))
    }

    /// A chain whose ends meet.
    #[must_use]
    pub fn ring(size: usize) -> Self {
        let closing = (size > 2).then(|| (0, size - 1));
        Self::from_pairs(size, (1..size).map(|j| (j - 1, j)).chain(closing))
    }

    /// The first router peers with all others.
    #[must_use]
    pub fn star(size: usize) -> Self {
        Self::from_pairs(size, (1..size).map(|j| (0, j)))
    }

    /// The given edges; self-loops and repetitions are left out, whichever end comes first.
    #[must_use]
    pub fn from_pairs(size: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let edges: BTreeSet<_> = pairs
            .into_iter()
            .filter(|(a, b)| a != b)
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        Self {
            size,
            edges: edges.into_iter().collect(),
        }
    }

    /// Number of routers.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The edges, lower router first, in ascending order.
    #[must_use]
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// A router that cannot be reached from the first one, if there is any: the lowest.
    #[must_use]
    pub fn unreachable(&self) -> Option<usize> {
        let mut neighbours = vec![Vec::new(); self.size];
        for &(a, b) in &self.edges {
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        let mut reached = vec![false; self.size];
        let mut frontier = vec![0];
        while let Some(i) = frontier.pop() {
            if reached.get(i).is_some_and(|r| !r) {
                reached[i] = true;
                frontier.extend(&neighbours[i]);
            }
        }
        reached.iter().position(|r| !r)
    }
}

/// Name of router `i`, counted from 0: `r1`, `r2`, ...
#[must_use]
pub fn router_name(i: usize) -> String {
    format!("r{}", i + 1)
}

/// The router that a name means, counted from 0, if it is the name of one: `r1`, not `r01`.
#[must_use]
pub fn router_index(name: &str) -> Option<usize> {
    let n: usize = name.strip_prefix('r')?.parse().ok()?;
    let i = n.checked_sub(1)?;
    (router_name(i) == name).then_some(i)
}
