//! Sessions from clicks as they are stored: in batches, many sessions at once; hour by hour, and within an hour one
//! partition of the hub after the other, each roughly in time order.
//!
//! What must stay true: memory grows with the sessions that are open, not with those that have been; a click that comes
//! twice counts once; who clicks without end is left out.
use std::collections::HashMap;

use super::{
    build::Builder,
    click::{Click, Kind, put_in_order},
    overlay::LiveClick,
};

/// What whole sessions go to.
pub trait Sessions {
    /// One session: its clicks, oldest first, and when it ended, in seconds since 1970.
    fn take(&mut self, ended: u32, clicks: &[Click<'_>]);
}

impl Sessions for Builder {
    fn take(&mut self, ended: u32, clicks: &[Click<'_>]) {
        self.add(ended, clicks.iter().copied());
    }
}

/// Seconds without a click after which a session is over.
pub const IDLE_SECONDS: u32 = 30 * 60;
/// By so much the clicks of one partition may be behind those of another: an hour is read partition by partition.
const BEHIND_SECONDS: u32 = 60 * 60;
/// Clicks after which a session is no shopper.
const CLICKS_MAX: usize = 500;
/// Sessions that are open at once; beyond that the idlest are closed early.
const OPEN_MAX: usize = 500_000;

#[derive(Debug, Default)]
struct Open {
    clicks: Vec<(u32, Box<str>, Kind)>,
    newest: u32,
    /// Clicks that were not kept.
    surplus: bool,
}

/// Puts clicks together and hands whole sessions on.
#[derive(Debug, Default)]
pub struct Assembler {
    open: HashMap<u64, Open>,
    now: u32,
    looked: u32,
}

impl Assembler {
    /// Sessions that are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// One click. The time moves on with the clicks; one that comes after its session was closed begins another.
    pub fn add(&mut self, click: &LiveClick, sessions: &mut impl Sessions) {
        self.now = self.now.max(click.at);
        if let Some(open) = self.open.get(&click.session)
            && click.at.saturating_sub(open.newest) > IDLE_SECONDS
        {
            self.close(click.session, sessions);
        }
        let open = self.open.entry(click.session).or_default();
        open.newest = open.newest.max(click.at);
        if open.clicks.len() < CLICKS_MAX {
            open.clicks.push((click.at, click.item.clone(), click.kind));
        } else {
            open.surplus = true;
        }
        if self.now - self.looked > IDLE_SECONDS || self.open.len() > OPEN_MAX {
            self.close_idle(sessions);
        }
    }

    /// Closes what is idle; if that is not enough, the idler half of all.
    fn close_idle(&mut self, sessions: &mut impl Sessions) {
        self.looked = self.now;
        let mut since = self.now.saturating_sub(IDLE_SECONDS + BEHIND_SECONDS);
        if self.open.len() > OPEN_MAX {
            let mut times: Vec<u32> = self.open.values().map(|it| it.newest).collect();
            times.sort_unstable();
            since = since.max(times[times.len() / 2]);
        }
        self.close_before(since, sessions);
    }

    /// All that is still open.
    pub fn finish(mut self, sessions: &mut impl Sessions) {
        self.close_before(u32::MAX, sessions);
    }

    fn close_before(&mut self, since: u32, sessions: &mut impl Sessions) {
        let idle = self.open.iter().filter(|(_, it)| it.newest < since);
        let mut idle: Vec<(u32, u64)> = idle.map(|(session, it)| (it.newest, *session)).collect();
        // In an order that the clicks decide.
        idle.sort_unstable();
        for (_, session) in idle {
            self.close(session, sessions);
        }
    }

    fn close(&mut self, session: u64, sessions: &mut impl Sessions) {
        let Some(mut open) = self.open.remove(&session).filter(|it| !it.surplus) else { return };
        put_in_order(&mut open.clicks, |(at, item, kind)| (*at, item, *kind));
        let clicks: Vec<Click<'_>> = open.clicks.iter().map(|(_, item, kind)| Click { item, kind: *kind }).collect();
        sessions.take(open.newest, &clicks);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Item, Layout, Params, Stage},
        *,
    };

    fn click(session: u64, at: u32, item: &str) -> LiveClick {
        LiveClick { session, at, item: item.into(), kind: Kind::View }
    }

    fn built(clicks: &[LiveClick]) -> Vec<Vec<String>> {
        let (mut assembler, mut builder) = (Assembler::default(), Builder::new(&Params::default()));
        for click in clicks {
            assembler.add(click, &mut builder);
        }
        assembler.finish(&mut builder);
        let file = builder.finish(Stage::Whole);
        let model = Layout::read(&file).unwrap().model(&file);
        let session = |it| model.session(it).map(|it| model.id(Item(it)).to_owned()).collect();
        (0..model.sessions()).map(session).collect()
    }

    #[test]
    fn clicks_become_sessions_whatever_comes_between_and_twice() {
        let clicks = [
            click(1, 10, "a"),
            click(2, 11, "x"),
            click(1, 30, "c"),
            click(1, 20, "b"),
            click(1, 30, "c"),
            click(2, 12, "y"),
        ];
        assert_eq!(built(&clicks), [vec!["x", "y"], vec!["a", "b", "c"]]);
    }

    #[test]
    fn clicks_of_one_second_stay_in_the_order_they_came_in() {
        let clicks = [click(1, 10, "tent"), click(1, 10, "mat"), click(1, 9, "zip"), click(1, 10, "lamp")];
        let again = [clicks.clone(), clicks].concat();
        assert_eq!(built(&again), [vec!["zip", "tent", "mat", "lamp"]]);
    }

    #[test]
    fn a_pause_ends_a_session() {
        let later = 40 + IDLE_SECONDS + 1;
        let clicks = [click(1, 10, "a"), click(1, 40, "b"), click(1, later, "c"), click(1, later + 5, "d")];
        assert_eq!(built(&clicks), [vec!["a", "b"], vec!["c", "d"]]);
    }

    #[test]
    fn a_session_goes_on_while_another_partition_is_read() {
        let hour = 3_600;
        let busy = |session: u64, from: u32| (0..60).map(move |it| click(session, from + it * 60, "x"));
        // Session 2 is of the second partition, and clicks before and after the full hour.
        let first = busy(1, hour).chain([click(2, 2 * hour - 60, "a"), click(2, 2 * hour - 30, "b")]);
        let second = busy(1, 2 * hour).chain([click(2, 2 * hour + 30, "c"), click(2, 2 * hour + 60, "d")]);
        let clicks: Vec<LiveClick> = first.chain(second).collect();
        assert!(built(&clicks).contains(&["a", "b", "c", "d"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_session_without_end_is_left_out_and_costs_little() {
        let (mut assembler, mut builder) = (Assembler::default(), Builder::new(&Params::default()));
        for number in 0..100_000 {
            assembler.add(&click(1, number / 100, if number % 2 == 0 { "a" } else { "b" }), &mut builder);
        }
        assert_eq!(assembler.open[&1].clicks.len(), CLICKS_MAX);
        assembler.finish(&mut builder);
        assert_eq!(builder.sessions(), 0);
    }

    #[test]
    fn only_what_is_not_idle_stays_open() {
        let (mut assembler, mut builder) = (Assembler::default(), Builder::new(&Params::default()));
        for number in 0..1_000_u32 {
            assembler.add(&click(u64::from(number), number * 60, "a"), &mut builder);
        }
        // A click a minute: of the last two hours at most.
        assert!(assembler.open() <= 122, "{}", assembler.open());
        assembler.finish(&mut builder);
        assert_eq!(builder.sessions(), 1_000);
    }
}
