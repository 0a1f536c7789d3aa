//! Sessions one after the other, and for each item the sessions it is in.
use super::{
    super::index::{Item, SESSION_MAX},
    days, numbers, posting,
};

/// Steps that are kept at once: a gigabyte.
const STEPS_MAX: usize = 1 << 28;
/// Buckets that sessions are put in by age.
pub(super) const AGE_BUCKETS: usize = 2_048;

#[derive(Clone, Copy, Debug)]
struct Span {
    from: u32,
    length: u32,
    ended: u32,
}

/// As they came. A step is an item's number, two bits to the left, with what was done.
#[derive(Debug)]
pub(super) struct Log {
    steps: Vec<u32>,
    spans: Vec<Span>,
    /// Sessions and steps that it may hold.
    bound: (usize, usize),
}

impl Default for Log {
    fn default() -> Log {
        Log::within(SESSION_MAX, STEPS_MAX)
    }
}

impl Log {
    fn within(sessions: usize, steps: usize) -> Log {
        Log { steps: Vec::new(), spans: Vec::new(), bound: (sessions, steps) }
    }

    /// Adds a session; where there is no room, the older half of all makes it.
    pub(super) fn add(&mut self, ended: u32, steps: &[u32]) {
        if self.spans.len() >= self.bound.0 || self.steps.len() + steps.len() > self.bound.1 {
            self.forget_older_half();
        }
        let from = self.steps.len() as u32;
        self.steps.extend_from_slice(steps);
        self.spans.push(Span { from, length: steps.len() as u32, ended });
    }

    fn forget_older_half(&mut self) {
        self.spans.sort_by_key(|it| it.ended);
        self.spans.drain(..self.spans.len().div_ceil(2));
        let mut kept = Vec::with_capacity(self.steps.len() / 2);
        for span in &mut self.spans {
            let from = span.from as usize;
            span.from = kept.len() as u32;
            kept.extend_from_slice(&self.steps[from..from + span.length as usize]);
        }
        self.steps = kept;
    }

    pub(super) fn sessions(&self) -> usize {
        self.spans.len()
    }

    /// By time, the newest `most`, with the items' final numbers.
    pub(super) fn ordered(mut self, number: &[u32], most: usize) -> Ordered {
        self.spans.sort_by_key(|it| it.ended);
        let surplus = self.spans.len().saturating_sub(most);
        self.spans.drain(..surplus);
        for step in &mut self.steps {
            *step = number[(*step >> 2) as usize] << 2 | *step & 3;
        }
        // Only what holds two items says what goes with what; the others count for popularity.
        let (kept, single): (Vec<Span>, Vec<Span>) = self.spans.into_iter().partition(|it| it.length > 1);
        Ordered { steps: self.steps, kept, single }
    }
}

/// By time.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    steps: Vec<u32>,
    kept: Vec<Span>,
    single: Vec<Span>,
}

impl Ordered {
    fn steps(&self, span: Span) -> &[u32] {
        let from = span.from as usize;
        &self.steps[from..from + span.length as usize]
    }

    /// Takes the newest sessions off, and answers their items.
    pub(super) fn split_newest(&mut self, sessions: usize) -> Vec<Vec<Item>> {
        let at = self.kept.len() - sessions;
        let newest = self.kept.split_off(at);
        let since = newest.first().map_or(u32::MAX, |it| it.ended);
        self.single.retain(|it| it.ended < since);
        newest.iter().map(|it| self.steps(*it).iter().map(|step| Item(step >> 2)).collect()).collect()
    }

    /// Steps of a session of two items or more.
    pub(super) fn session(&self, number: u32) -> &[u32] {
        self.steps(self.kept[number as usize])
    }

    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn newest(&self) -> u32 {
        self.kept.iter().chain(&self.single).map(|it| it.ended).max().unwrap_or(0)
    }

    /// Days since a session ended, at the time of the newest.
    pub(super) fn age_days(&self, number: u32) -> f32 {
        days(self.newest_kept(), self.kept[number as usize].ended)
    }

    /// Share of steps, each session's first left out, that go back to what the session has seen.
    pub(super) fn returns(&self) -> f32 {
        let (mut back, mut steps) = (0_u32, 0_u32);
        for (_, session) in self.all() {
            for (at, step) in session.iter().enumerate().skip(1) {
                steps += 1;
                back += u32::from(session[..at].iter().any(|it| it >> 2 == step >> 2));
            }
        }
        back as f32 / steps.max(1) as f32
    }

    fn newest_kept(&self) -> u32 {
        self.kept.last().map_or(0, |it| it.ended)
    }

    /// Every session: when it ended and its steps.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &[u32])> {
        self.kept.iter().chain(&self.single).map(|it| (it.ended, self.steps(*it)))
    }

    /// Sessions of each item, oldest first.
    pub(super) fn postings(&self, items: usize) -> Postings {
        let mut ends = vec![0_u32; items + 1];
        let distinct = |number: usize| {
            let steps = self.session(number as u32);
            let new = |at: &usize| steps[..*at].iter().all(|it| it >> 2 != steps[*at] >> 2);
            (0..steps.len()).filter(new).map(|at| (steps[at] >> 2) as usize)
        };
        for item in (0..self.kept.len()).flat_map(distinct) {
            ends[item + 1] += 1;
        }
        for item in 0..items {
            ends[item + 1] += ends[item];
        }
        let mut next: Vec<u32> = ends[..items].to_vec();
        let mut sessions = vec![0_u32; ends[items] as usize];
        for number in 0..self.kept.len() {
            for item in distinct(number) {
                sessions[next[item] as usize] = posting(number, self.session(number as u32)).0;
                next[item] += 1;
            }
        }
        Postings { ends, sessions }
    }

    /// Ends and items of the sessions, as the file holds them.
    pub(super) fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut ends, mut all, mut end) = (numbers([0]), Vec::new(), 0_u32);
        for span in &self.kept {
            all.extend(self.steps(*span).iter().flat_map(|it| (it >> 2).to_le_bytes()));
            end += span.length;
            ends.extend_from_slice(&end.to_le_bytes());
        }
        (ends, all)
    }

    /// Age in days of each bucket of sessions, by its newest.
    pub(super) fn ages(&self, shift: u32) -> Vec<u8> {
        let size = 1_usize << shift;
        let last = |bucket: &[Span]| days(self.newest_kept(), bucket.last().map_or(0, |it| it.ended));
        self.kept.chunks(size).flat_map(|it| last(it).to_le_bytes()).collect()
    }
}

/// Sessions of each item, oldest first.
#[derive(Debug)]
pub(super) struct Postings {
    ends: Vec<u32>,
    sessions: Vec<u32>,
}

impl Postings {
    /// Of one item.
    pub(super) fn of(&self, item: usize) -> &[u32] {
        &self.sessions[self.ends[item] as usize..self.ends[item + 1] as usize]
    }

    pub(super) fn count(&self, item: usize) -> u32 {
        self.ends[item + 1] - self.ends[item]
    }

    pub(super) fn items(&self) -> usize {
        self.ends.len() - 1
    }

    /// Items in sessions, each once a session.
    pub(super) fn events(&self) -> u32 {
        self.sessions.len() as u32
    }

    /// The newest `most` of each item, newest first, as the file holds them.
    pub(super) fn bytes(&self, items: usize, most: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut ends, mut all) = (numbers([0]), Vec::new());
        for item in 0..items {
            all.extend(self.of(item).iter().rev().take(most).flat_map(|it| it.to_le_bytes()));
            ends.extend_from_slice(&((all.len() / 4) as u32).to_le_bytes());
        }
        (ends, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_the_newest() {
        for mut log in [Log::within(10, 1_000), Log::within(1_000, 20)] {
            for ended in (0..100).rev().chain(100..200) {
                log.add(ended, &[ended << 2, (ended + 1) << 2]);
                assert!(log.sessions() <= 10 && log.steps.len() <= 20, "{} of {ended}", log.sessions());
            }
            let number: Vec<u32> = (0..=200).collect();
            let ordered = log.ordered(&number, 1_000);
            let newest: Vec<(u32, Vec<u32>)> = ordered.all().map(|(ended, it)| (ended, it.to_vec())).collect();
            let expected = (200 - newest.len() as u32..200).map(|it| (it, vec![it << 2, (it + 1) << 2]));
            assert!(newest.len() >= 5, "{newest:?}");
            assert_eq!(newest, expected.collect::<Vec<_>>());
        }
    }
}
