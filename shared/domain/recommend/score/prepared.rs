//! Parameters worked out for one model: every decay is looked up while a query runs, none is computed.
use super::super::{
    index::{Model, Posting},
    params::{Params, count},
};

/// Positions at which a decay ends.
const POSITIONS: usize = 64;
/// Counts whose rarity is looked up.
const COUNTS: usize = 1_024;

/// Parameters with their tables, for one model.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) context: usize,
    pub(super) recent: usize,
    pub(super) neighbours: usize,
    pub(super) context_decay: [f32; POSITIONS],
    pub(super) anchor_decay: [f32; POSITIONS],
    pub(super) lists_decay: [f32; POSITIONS],
    pub(super) forward: [f32; POSITIONS],
    pub(super) backward: [f32; POSITIONS],
    /// By position, from the item before the newest on.
    pub(super) seen_bonus: [f32; POSITIONS],
    pub(super) times: [f32; POSITIONS],
    /// Share of steps that go back to what a session has seen, in this shop.
    pub(super) returns: f32,
    /// By length and kind.
    pub(super) classes: [f32; 64],
    ages: Vec<f32>,
    age_shift: u32,
    sessions: f32,
    candidate_rarity: Vec<f32>,
    pub(super) params: Params,
    pub(super) vmis_recent: usize,
    pub(super) vmis_neighbours: usize,
    pub(super) vmis_context: usize,
    pub(super) vmis_rarity: Vec<f32>,
}

/// `exp(-at / scale)`, 1 for ever if the scale is 0.
fn decay(scale: f32) -> [f32; POSITIONS] {
    std::array::from_fn(|at| if scale > 0.0 { (-(at as f32) / scale).exp() } else { 1.0 })
}

impl Prepared {
    pub fn new(model: &Model<'_>, params: &Params) -> Prepared {
        let at_most = |value: f32, max: usize| count(value).clamp(1, max);
        let class = |it: usize| {
            let length = Posting::length(it) as f32;
            Posting(it as u32).kind().weight() * length.powf(-params.length)
        };
        let age = |days: f32| if params.age_days > 0.0 { (-days / params.age_days).exp() } else { 1.0 };
        let sessions = model.sessions_counted().max(1) as f32;
        let counted = |it: usize| rarity(sessions, it as u32).powf(params.candidate_rarity);
        let events = model.events().max(1) as f32;
        let backward = decay(params.backward);
        let power = |at: usize, power: f32| (at.max(1) as f32).powf(power);
        Prepared {
            context: at_most(params.context, POSITIONS),
            recent: at_most(params.recent, 1 << 20),
            neighbours: at_most(params.neighbours, 1 << 20),
            context_decay: decay(params.context_decay),
            anchor_decay: decay(params.anchor_decay),
            lists_decay: decay(params.lists_context_decay),
            forward: decay(params.forward),
            backward: backward.map(|it| it * params.backward_share),
            seen_bonus: std::array::from_fn(|at| params.seen_bonus * power(at, -params.seen_decay)),
            times: std::array::from_fn(|at| power(at, params.seen_again)),
            returns: model.returns(),
            classes: std::array::from_fn(class),
            ages: model.ages().map(age).collect(),
            age_shift: model.age_shift(),
            sessions,
            candidate_rarity: (0..COUNTS).map(counted).collect(),
            params: params.clone(),
            vmis_recent: at_most(params.vmis_recent, 1 << 20),
            vmis_neighbours: at_most(params.vmis_neighbours, 1 << 20),
            vmis_context: at_most(params.vmis_context, POSITIONS),
            vmis_rarity: (0..COUNTS).map(|it| (events / it.max(1) as f32).ln()).collect(),
        }
    }

    /// How much an old session still counts.
    #[inline]
    pub(super) fn age(&self, session: u32) -> f32 {
        self.ages.get((session >> self.age_shift) as usize).copied().unwrap_or(1.0)
    }

    /// Weight of the second hop from an item whose list has this sum.
    pub(super) fn hop(&self, sum: f32) -> f32 {
        let support = self.params.hop_support;
        let little_known = if support > 0.0 { support / (support + sum) } else { 1.0 };
        self.params.second_hop * little_known
    }

    pub(super) fn rarity(&self, count: u32) -> f32 {
        rarity(self.sessions, count).powf(self.params.rarity)
    }

    #[inline]
    pub(super) fn candidate_rarity(&self, count: u32) -> f32 {
        let known = self.candidate_rarity.get(count as usize).copied();
        known.unwrap_or_else(|| rarity(self.sessions, count).powf(self.params.candidate_rarity))
    }
}

/// Of an item that so many of all sessions hold. An item in every session still counts a little.
fn rarity(sessions: f32, count: u32) -> f32 {
    (sessions / count.max(1) as f32).ln().max(0.01)
}
