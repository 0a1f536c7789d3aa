//! Draws that a seed decides. The same seed gives the same draws on every machine and in every version.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose what goes wrong.
use std::sync::Mutex;

/// One stream of draws.
#[derive(Debug)]
pub(super) struct Chance(Mutex<u64>);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(Mutex::new(seed ^ 0x5851_f42d_4c95_7f2d))
    }

    /// A stream of its own, so that what one part draws does not move another's draws.
    pub(super) fn stream(seed: u64, name: &str) -> Chance {
        let name = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Chance::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name)
    }

    pub(super) fn draw(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `below` - 1.
    pub(super) fn below(&self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.draw() % below }
    }

    pub(super) fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// True so many times in a thousand.
    pub(super) fn in_1000(&self, times: u32) -> bool {
        self.below(1_000) < u64::from(times)
    }

    pub(super) fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[test]
fn a_seed_decides_every_draw() {
    let draws = |seed| {
        let chance = Chance::stream(seed, "store");
        (0..100).map(|_| chance.below(1_000)).collect::<Vec<_>>()
    };
    assert_eq!(draws(7), draws(7));
    assert_ne!(draws(7), draws(8));
    let chance = Chance::new(1);
    let hits = (0..10_000).filter(|_| chance.in_1000(50)).count();
    assert!((400..600).contains(&hits), "{hits} of 10,000 at 5 %");
}
