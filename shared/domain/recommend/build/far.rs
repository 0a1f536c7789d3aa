//! What follows what follows an item, two and three steps away: where few sessions link items directly, this reaches
//! what they do not.
use super::{
    super::{
        index::Entry,
        score::{Slot, Table},
    },
    lists::{Lists, heaviest},
};

/// Entries of a list that the second step goes on from, and that any step takes of each.
const TAKEN: usize = 10;
/// Items that the third step goes on from, the heaviest of the second.
const THIRD_FROM: usize = 20;
/// What the third step counts beside the second.
const THIRD_SHARE: f32 = 0.35;
/// Longest list; more is hardly ever shown, and makes the file larger.
pub(super) const LENGTH: usize = 20;

impl Slot for Entry {
    fn new(item: u32) -> Entry {
        Entry { item, weight: 0.0 }
    }

    fn key(&self) -> u32 {
        self.item
    }
}

/// The lists, from those of what comes around each item, and the sums that these were divided by a power of.
pub(super) fn far(follow: &Lists, sums: &[f32], norm: f32) -> Lists {
    let shares: Vec<f32> = sums.iter().map(|sum| (1.0 + sum).powf(norm - 1.0)).collect();
    let (mut lists, mut reached) = (Lists::new(), Table::<Entry>::default());
    // Adds what comes around these items, each entry as a share of all that does.
    let step = |from: &[Entry], item: u32, weight: f32, reached: &mut Table<Entry>| {
        for entry in from {
            let weight = weight * entry.weight * shares[entry.item as usize];
            for next in follow.of(entry.item as usize).iter().take(TAKEN).filter(|it| it.item != item) {
                reached.entry(next.item).0.weight += weight * next.weight;
            }
        }
    };
    for item in 0..sums.len() {
        let near = follow.of(item);
        reached.clear();
        step(&near[..near.len().min(TAKEN)], item as u32, 1.0, &mut reached);
        let mut second = reached.entries().to_vec();
        heaviest(&mut second, THIRD_FROM);
        step(&second, item as u32, THIRD_SHARE, &mut reached);
        let mut list = reached.entries().to_vec();
        heaviest(&mut list, LENGTH);
        lists.push(list);
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain of items, each list holding the next one with all its sum.
    #[test]
    fn the_third_step_counts_a_share_of_the_second() {
        let mut follow = Lists::new();
        for next in 1..5 {
            follow.push([Entry { item: next, weight: 4.0 }]);
        }
        follow.push([]);
        let far = far(&follow, &[3.0; 5], 0.0);
        assert_eq!(far.of(0), [Entry { item: 2, weight: 4.0 }, Entry { item: 3, weight: 4.0 * THIRD_SHARE }]);
        assert_eq!(far.of(2), [Entry { item: 4, weight: 4.0 }]);
        assert!(far.of(3).is_empty() && far.of(4).is_empty());
    }

    #[test]
    fn an_item_is_not_in_its_own_list_and_a_list_is_bounded() {
        let mut follow = Lists::new();
        for item in 0..200_u32 {
            follow.push((1..=20).map(|it| Entry { item: (item + it * it) % 200, weight: 1.0 / it as f32 }));
        }
        let far = far(&follow, &[9.0; 200], 0.5);
        for item in 0..200 {
            assert_eq!(far.of(item).len(), LENGTH);
            assert!(far.of(item).iter().all(|it| it.item as usize != item));
        }
    }
}
