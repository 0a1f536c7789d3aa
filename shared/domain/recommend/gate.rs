//! Whether a new model takes the place of the one that answers.

/// Held-out events from which a figure says something.
const EVENTS_MIN: u32 = 2_000;
/// Share of the figure that may be lost, in thousandths.
const LOSS_MAX_THOUSANDTHS: f64 = 30.0;
/// A model older than this is replaced in any case.
const AGE_MAX_SECONDS: u32 = 7 * 86_400;

/// What became of a new model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Published,
    /// It recommends worse than the one that answers.
    Worse,
}

/// Both models on the same held-out events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    pub events: u32,
    pub live_mrr: f64,
    pub new_mrr: f64,
    /// Seconds since the live model was built.
    pub live_age: u32,
}

impl Comparison {
    /// Whether the figures decide: there are enough clicks, and the live model is not too old to be kept.
    pub const fn is_judged(&self) -> bool {
        self.events >= EVENTS_MIN && self.live_age <= AGE_MAX_SECONDS
    }

    pub fn verdict(&self) -> Verdict {
        let worse = self.new_mrr * 1_000.0 < self.live_mrr * (1_000.0 - LOSS_MAX_THOUSANDTHS);
        if self.is_judged() && worse { Verdict::Worse } else { Verdict::Published }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worse_model_is_kept_back_for_a_week_if_that_is_certain() {
        let worse = Comparison { events: 2_000, live_mrr: 0.300, new_mrr: 0.290, live_age: 86_400 };
        assert_eq!(worse.verdict(), Verdict::Worse);
        assert_eq!(Comparison { new_mrr: 0.2911, ..worse }.verdict(), Verdict::Published);
        assert_eq!(Comparison { events: 1_999, ..worse }.verdict(), Verdict::Published);
        assert_eq!(Comparison { live_age: 7 * 86_400 + 1, ..worse }.verdict(), Verdict::Published);
    }
}
