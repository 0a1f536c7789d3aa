//! What other systems say is on the shelf of one location, in whatever order their messages arrive.
//!
//! A source numbers its updates. An absolute one says what is there and makes every earlier one of that
//! source void; a relative one adds to what its source said before. What results depends on the set of
//! updates alone: repeats and reorderings change nothing. Of several sources the latest absolute counts, and
//! the others' relative updates from later on.
use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::ON_HAND_MAX;

/// Sources of one location.
pub const SOURCES_MAX: usize = 8;

/// Relative updates of one source that are remembered apart: how far they may arrive out of order.
pub const RELATIVES_MAX: usize = 256;

/// Longest name of a source.
pub const SOURCE_MAX: usize = 64;

/// Who says so: 1 to 64 of `A-Za-z0-9._-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceName(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a source is 1 to {SOURCE_MAX} of the characters A-Z a-z 0-9 . _ -")]
pub struct BadSource;

impl SourceName {
    /// # Errors
    /// [`BadSource`].
    pub fn parse(text: &str) -> Result<SourceName, BadSource> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if (1..=SOURCE_MAX).contains(&text.len()) && plain { Ok(SourceName(text.to_owned())) } else { Err(BadSource) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an update means its quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// So many are there.
    Absolute,
    /// So many more, or fewer, than before.
    Relative,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub source: SourceName,
    /// Counts the updates of this source for this SKU and location, gaps allowed; 1 or more.
    pub version: i64,
    pub says: Says,
    pub quantity: i64,
    /// When it was so, by the source's clock.
    pub at: OffsetDateTime,
}

/// A quantity and when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub quantity: i64,
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The latest absolute update and its version.
    pub absolute: Option<(i64, Said)>,
    /// Versions up to here are no longer told apart.
    pub floor: i64,
    /// Relative updates after the absolute one and the floor.
    pub relatives: BTreeMap<i64, Said>,
}

/// What all sources of one location have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub by_name: BTreeMap<SourceName, Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was applied before, or a later one has made it void.
    Nothing,
    /// So many are on hand from now on.
    OnHand(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRefusal {
    #[error("version is a whole number from 1")]
    Version,
    #[error("quantity is a whole number up to {ON_HAND_MAX}, and not negative in an absolute update")]
    Quantity,
    #[error("on hand would be {0}, which no shelf holds")]
    OutOfRange(i64),
    #[error("a location hears {SOURCES_MAX} sources at most")]
    TooManySources,
    /// It may or may not have been applied long ago.
    #[error(
        "version {version} is older than the last {RELATIVES_MAX} updates; send an absolute update with a new version"
    )]
    TooOld { version: i64 },
}

impl Sources {
    /// What the update makes of what is on hand. A refused one changes nothing.
    ///
    /// # Errors
    /// [`SourceRefusal`].
    pub fn apply(&mut self, on_hand: i64, update: &Update) -> Result<Applied, SourceRefusal> {
        let Update { source: name, version, says, quantity, at } = update;
        let least = if *says == Says::Absolute { 0 } else { -ON_HAND_MAX };
        if *version < 1 {
            return Err(SourceRefusal::Version);
        }
        if !(least..=ON_HAND_MAX).contains(quantity) {
            return Err(SourceRefusal::Quantity);
        }
        let mut next = self.clone();
        if !next.by_name.contains_key(name) && next.by_name.len() >= SOURCES_MAX {
            return Err(SourceRefusal::TooManySources);
        }
        let source = next.by_name.entry(name.clone()).or_default();
        let is_void = source.absolute.is_some_and(|(last, _)| *version <= last);
        if is_void || *says == Says::Relative && source.relatives.contains_key(version) {
            return Ok(Applied::Nothing);
        }
        if *version <= source.floor {
            return Err(SourceRefusal::TooOld { version: *version });
        }
        let said = Said { quantity: *quantity, at: *at };
        match says {
            Says::Absolute => {
                source.absolute = Some((*version, said));
                source.relatives = source.relatives.split_off(&(version + 1));
            }
            Says::Relative => {
                source.relatives.insert(*version, said);
            }
        }
        let after = if next.base() == self.base() {
            on_hand + next.on_top() - self.on_top()
        } else {
            next.base().map_or(on_hand, |(_, said)| said.quantity) + next.on_top()
        };
        if after.abs() > ON_HAND_MAX {
            return Err(SourceRefusal::OutOfRange(after));
        }
        next.forget(name);
        *self = next;
        Ok(Applied::OnHand(after))
    }

    /// The absolute update that counts.
    fn base(&self) -> Option<(&SourceName, Said)> {
        let said = self.by_name.iter().filter_map(|(name, source)| source.absolute.map(|(_, said)| (name, said)));
        said.max_by_key(|(name, said)| (said.at, *name))
    }

    /// The sum of the relative updates that count.
    fn on_top(&self) -> i64 {
        let base = self.base();
        let counts = |name: &SourceName, said: &Said| base.is_none_or(|(by, it)| by == name || said.at > it.at);
        let all = self.by_name.iter().flat_map(|(name, it)| it.relatives.values().map(move |said| (name, said)));
        all.filter(|(name, said)| counts(name, said)).map(|(_, said)| said.quantity).sum()
    }

    /// Keeps memory bounded: the older half of too many relative updates is no longer told apart.
    fn forget(&mut self, name: &SourceName) {
        let Some(source) = self.by_name.get_mut(name).filter(|it| it.relatives.len() > RELATIVES_MAX) else { return };
        if let Some(first) = source.relatives.keys().nth(RELATIVES_MAX / 2).copied() {
            source.relatives = source.relatives.split_off(&first);
            source.floor = first - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;

    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00:00 UTC);

    fn update(source: &str, version: i64, says: Says, quantity: i64, at: i64) -> Update {
        let source = SourceName::parse(source).unwrap();
        Update { source, version, says, quantity, at: START + Duration::minutes(at) }
    }

    fn after(start: i64, updates: &[&Update]) -> i64 {
        let (mut sources, mut on_hand) = (Sources::default(), start);
        for update in updates {
            if let Applied::OnHand(now) = sources.apply(on_hand, update).unwrap() {
                on_hand = now;
            }
        }
        on_hand
    }

    /// All orders of so many things (Heap's algorithm).
    fn orders(things: &mut Vec<usize>, length: usize, all: &mut Vec<Vec<usize>>) {
        if length <= 1 {
            all.push(things.clone());
            return;
        }
        for at in 0..length {
            orders(things, length - 1, all);
            things.swap(if length.is_multiple_of(2) { at } else { 0 }, length - 1);
        }
    }

    #[test]
    fn updates_mean_the_same_in_any_order_and_however_often() {
        use Says::{Absolute, Relative};
        let updates = [
            update("wms", 1, Relative, 3, 1),
            update("wms", 2, Absolute, 50, 2),
            update("wms", 3, Relative, -4, 3),
            update("wms", 4, Absolute, 40, 4),
            update("wms", 5, Relative, 2, 5),
            update("wms", 6, Relative, -7, 6),
        ];
        let mut all = Vec::new();
        orders(&mut (0..updates.len()).collect(), updates.len(), &mut all);
        assert_eq!(all.len(), 720);
        for order in all {
            let shuffled: Vec<_> = order.iter().map(|it| &updates[*it]).collect();
            assert_eq!(after(9, &shuffled), 35, "{order:?}");
        }
        assert_eq!(after(9, &[&updates[0], &updates[2]]), 8, "without an absolute update they add up");
    }

    #[test]
    fn what_is_too_old_to_tell_is_refused_and_what_makes_no_sense_too() {
        let mut sources = Sources::default();
        let last = i64::try_from(RELATIVES_MAX).unwrap() + 1;
        for version in 2..=last + 1 {
            sources.apply(0, &update("pos", version, Says::Relative, 1, 0)).unwrap();
        }
        let old = sources.apply(0, &update("pos", 1, Says::Relative, 1, 0));
        assert_eq!(old, Err(SourceRefusal::TooOld { version: 1 }));
        assert_eq!(sources.apply(0, &update("pos", last, Says::Relative, 1, 0)), Ok(Applied::Nothing));
        let apply = |version, says, quantity| Sources::default().apply(0, &update("pos", version, says, quantity, 0));
        assert_eq!(apply(0, Says::Relative, 1), Err(SourceRefusal::Version));
        assert_eq!(apply(1, Says::Absolute, -1), Err(SourceRefusal::Quantity));
        assert_eq!(apply(1, Says::Relative, i64::MIN), Err(SourceRefusal::Quantity));
        let over = Sources::default().apply(1, &update("pos", 1, Says::Relative, ON_HAND_MAX, 0));
        assert_eq!(over, Err(SourceRefusal::OutOfRange(ON_HAND_MAX + 1)));
        SourceName::parse("a b").unwrap_err();
    }

    fn any_update() -> impl Strategy<Value = (bool, i64, bool, i64, i64)> {
        (proptest::bool::ANY, 1_i64..6, proptest::bool::ANY, 0_i64..9, 0_i64..6)
    }

    proptest! {
        /// Two sources; the same version of one source always says the same.
        #[test]
        fn any_set_of_updates_means_one_thing(
            drawn in proptest::collection::vec(any_update(), 1..6),
            repeats in proptest::collection::vec(0_usize..6, 0..6),
        ) {
            let mut updates: BTreeMap<(&str, i64), Update> = BTreeMap::new();
            for (first, version, absolute, quantity, at) in drawn {
                let (source, says) =
                    (if first { "a" } else { "b" }, if absolute { Says::Absolute } else { Says::Relative });
                updates.insert((source, version), update(source, version, says, quantity, at));
            }
            let updates: Vec<Update> = updates.into_values().collect();
            let mut all = Vec::new();
            orders(&mut (0..updates.len()).collect(), updates.len(), &mut all);
            let mut results = Vec::new();
            for order in all {
                let mut shuffled: Vec<&Update> = order.iter().map(|it| &updates[*it]).collect();
                for (at, which) in repeats.iter().enumerate() {
                    let repeat = shuffled[which % updates.len()];
                    shuffled.insert((at * 7) % (shuffled.len() + 1), repeat);
                }
                results.push(after(3, &shuffled));
            }
            results.dedup();
            prop_assert_eq!(results.len(), 1, "{:?}", updates);
        }
    }
}
