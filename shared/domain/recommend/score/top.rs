//! The best few of many.
use super::super::index::Item;

/// An item with its score, and which item of the session brought it in: 0 is the newest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub item: Item,
    pub score: f32,
    pub source: u8,
    /// Whether the session has seen it.
    pub seen: bool,
}

/// Keeps the best; what is equal in score is put in order by what `recency` says, newer first.
#[derive(Debug)]
pub(crate) struct Top<F> {
    limit: usize,
    best: Vec<Scored>,
    recency: F,
}

impl<F: Fn(u32) -> u32> Top<F> {
    pub(crate) fn new(limit: usize, recency: F) -> Top<F> {
        Top { limit, best: Vec::with_capacity(limit + 1), recency }
    }

    #[inline]
    pub(crate) fn offer(&mut self, it: Scored) {
        if self.least() > it.score {
            return;
        }
        let place = self.best.partition_point(|other| self.before(other, &it));
        self.best.insert(place, it);
        self.best.truncate(self.limit);
    }

    /// What scores less is not kept.
    #[inline]
    pub(crate) fn least(&self) -> f32 {
        self.best.last().filter(|_| self.best.len() == self.limit).map_or(f32::NEG_INFINITY, |it| it.score)
    }

    fn before(&self, one: &Scored, other: &Scored) -> bool {
        let by_score = other.score.total_cmp(&one.score);
        let by_age = || (self.recency)(other.item.0).cmp(&(self.recency)(one.item.0));
        by_score.then_with(by_age).then_with(|| one.item.cmp(&other.item)).is_lt()
    }

    pub(crate) fn finish(self) -> Vec<Scored> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_newer_and_then_to_the_lower_number() {
        let mut top = Top::new(4, |item| if item == 7 { 9 } else { 1 });
        for (item, score) in [(3, 1.0), (1, 1.0), (5, 2.0), (7, 1.0), (0, 0.5), (2, 1.0), (9, f32::NAN)] {
            if score == score {
                top.offer(Scored { item: Item(item), score, source: 0, seen: false });
            }
        }
        let items: Vec<u32> = top.finish().iter().map(|it| it.item.0).collect();
        assert_eq!(items, [5, 7, 1, 2]);
    }
}
