//! Which positions of a stream are in the trace.
//!
//! *Assumes* that positions are settled now and then, so that there are few holes.
//! *Guarantees* ranges that are in order, apart from one another, and not empty.

/// Ranges of positions, ends exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// Adds a range.
    pub(crate) fn insert(&mut self, start: i64, end: i64) {
        if start >= end {
            return;
        }
        match self.0.last_mut() {
            // Nearly always.
            Some(last) if last.0 <= start && start <= last.1 => last.1 = last.1.max(end),
            Some(last) if start > last.1 => self.0.push((start, end)),
            None => self.0.push((start, end)),
            Some(_) => self.merge(start, end),
        }
    }

    fn merge(&mut self, start: i64, end: i64) {
        let first = self.0.partition_point(|range| range.1 < start);
        let behind = self.0.partition_point(|range| range.0 <= end);
        let touched = &self.0[first..behind];
        let start = touched.first().map_or(start, |range| range.0.min(start));
        let end = touched.last().map_or(end, |range| range.1.max(end));
        self.0.splice(first..behind, [(start, end)]);
    }

    /// The end of what is there from `start` on without a hole: `start` if that is not there.
    pub(crate) fn prefix(&self, start: i64) -> i64 {
        let at = self.0.partition_point(|range| range.1 <= start);
        match self.0.get(at) {
            Some(&(from, to)) if from <= start => to,
            _ => start,
        }
    }

    /// Whatever lies from `start` to `end` counts as there.
    pub(crate) fn settle(&mut self, start: i64, end: i64) {
        if self.prefix(start) < end {
            self.insert(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[test]
    fn ranges_are_joined_where_they_meet() {
        let mut ranges = Ranges::default();
        for (start, end) in [(10, 20), (30, 40), (50, 60), (5, 5)] {
            ranges.insert(start, end);
        }
        assert_eq!(ranges.0, [(10, 20), (30, 40), (50, 60)]);
        ranges.insert(20, 30);
        assert_eq!(ranges.0, [(10, 40), (50, 60)]);
        ranges.insert(0, 5);
        assert_eq!(ranges.0, [(0, 5), (10, 40), (50, 60)]);
        ranges.insert(3, 55);
        assert_eq!(ranges.0, [(0, 60)]);
    }

    #[test]
    fn the_prefix_ends_at_the_first_hole() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.prefix(0), 0);
        ranges.insert(0, 10);
        ranges.insert(12, 20);
        assert_eq!(ranges.prefix(0), 10);
        assert_eq!(ranges.prefix(10), 10);
        assert_eq!(ranges.prefix(12), 20);
        ranges.settle(0, 15);
        assert_eq!(ranges.prefix(0), 20);
    }
}
