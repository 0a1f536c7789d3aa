//! Sessions that a model has not seen, to judge it by: every click of them is to be found by those before it.
use super::{
    answer::SESSION_MAX,
    assemble::Sessions,
    click::Click,
    index::{Item, Model},
    metrics::{Metrics, PLACES},
    score::{Live, Prepared, Scratch, Seen, hybrid},
};

/// Clicks that are kept; more say nothing more.
const EVENTS_MAX: u32 = 20_000;

/// Sessions, each the identifiers of its items, oldest first.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    sessions: Vec<Vec<Box<str>>>,
    events: u32,
}

impl Sessions for HeldOut {
    fn take(&mut self, _ended: u32, clicks: &[Click<'_>]) {
        let mut items: Vec<Box<str>> = clicks.iter().map(|it| it.item.into()).collect();
        items.dedup();
        if items.len() > 1 && self.events < EVENTS_MAX {
            self.events += items.len() as u32 - 1;
            self.sessions.push(items);
        }
    }
}

impl HeldOut {
    /// Clicks that are to be found.
    pub const fn events(&self) -> u32 {
        self.events
    }

    /// How well this model, as it was fitted, would have served these sessions.
    pub fn judge(&self, model: &Model<'_>) -> Metrics {
        let (live, prepared) = (Live::new(*model), Prepared::new(model, &model.params(Seen::Shown)));
        let (mut scratch, mut metrics, mut list) = (Scratch::default(), Metrics::default(), Vec::new());
        for session in &self.sessions {
            // What the model does not know cannot be found.
            let items: Vec<Option<Item>> = session.iter().map(|it| model.find(it)).collect();
            for at in 1..items.len() {
                let before: Vec<Item> = items[at.saturating_sub(SESSION_MAX)..at].iter().flatten().copied().collect();
                let target = items[at].map_or(u32::MAX, |it| it.0);
                list.clear();
                let scored = hybrid(&live, &prepared, &before, Seen::Shown, PLACES, &mut scratch);
                list.extend(scored.iter().map(|it| it.item.0));
                metrics.add(&list, &[target]);
            }
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Builder, Layout, Params, Stage},
        *,
    };

    #[test]
    fn a_model_that_knows_what_follows_is_worth_more_than_one_that_does_not() {
        let clicks = |text: &'static str| text.split(' ').map(Click::view).collect::<Vec<_>>();
        let mut held_out = HeldOut::default();
        held_out.take(1, &clicks("tent mat mat stove"));
        held_out.take(2, &clicks("tent"));
        assert_eq!(held_out.events(), 2);
        let judged = |session: &'static str| {
            let mut builder = Builder::new(&Params::default());
            for ended in 0..3 {
                builder.take(ended, &clicks(session));
            }
            let file = builder.finish(Stage::Whole);
            held_out.judge(&Layout::read(&file).unwrap().model(&file))
        };
        let (good, poor) = (judged("tent mat stove"), judged("tent pan pot"));
        assert_eq!((good.events(), poor.events()), (2, 2));
        assert!(good.mrr() > 0.7 && poor.mrr() < 0.1, "{good:?} {poor:?}");
    }
}
