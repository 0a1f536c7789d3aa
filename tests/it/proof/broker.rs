//! The broker: at least once, in no order. It delivers twice, late, out of turn, again after a failure or a
//! silence, and gives up after [`DELIVERIES_MAX`].
use std::{collections::HashMap, sync::Mutex, time::Duration};

use offpeak::shared::ports::{bus::Message, clock::Clock as _};
use tokio::{sync::Notify, time::Instant};

use super::{chance::Chance, rooms, time::VirtualClock};

/// As the entities say.
pub(super) const DELIVERIES_MAX: u32 = 10;
/// How long the broker remembers an id; as the entities say.
const WINDOW: Duration = Duration::from_mins(10);
/// How long a consumer that says nothing keeps its message; as the entities say.
pub(super) const LOCK: Duration = Duration::from_mins(1);

/// How unruly it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// Further copies of one message, at most.
    pub(super) copies: u64,
    /// Each copy comes later by up to this.
    pub(super) late: Duration,
}

impl Manners {
    pub(super) const GOOD: Manners = Manners { copies: 0, late: Duration::ZERO };
    pub(super) const BAD: Manners = Manners { copies: 4, late: Duration::from_secs(20) };
}

/// A message on its way to its consumer.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) message: Message,
    pub(super) due: Instant,
    pub(super) deliveries: u32,
}

#[derive(Default)]
struct State {
    waiting: Vec<Envelope>,
    /// Everything acknowledged, repeats too, in order.
    sent: Vec<Message>,
    dead: Vec<(Message, String)>,
    known: HashMap<String, Instant>,
}

pub(super) struct Broker {
    state: Mutex<State>,
    manners: Manners,
    chance: Chance,
    came: Notify,
}

impl Broker {
    pub(super) fn new(manners: Manners, seed: u64) -> Broker {
        Broker { state: Mutex::default(), manners, chance: Chance::stream(seed, "broker"), came: Notify::new() }
    }

    /// A message that is acknowledged to its sender.
    pub(super) fn accept(&self, message: &Message, clock: &VirtualClock) {
        let mut state = self.state.lock().unwrap();
        state.sent.push(message.clone());
        let now = Instant::now();
        let again = state.known.insert(message.id.clone(), now).is_some_and(|it| now - it < WINDOW);
        if again || !rooms::has_consumer(&message.destination) {
            return;
        }
        let wait = message.scheduled.map_or(Duration::ZERO, |at| (at - clock.now()).try_into().unwrap_or_default());
        self.put(&mut state, message, now + wait);
        self.came.notify_one();
    }

    fn put(&self, state: &mut State, message: &Message, at: Instant) {
        for _ in 0..=self.chance.below(self.manners.copies + 1) {
            let late = self.chance.below(u64::try_from(self.manners.late.as_millis()).unwrap() + 1);
            let due = at + Duration::from_millis(late);
            state.waiting.push(Envelope { message: message.clone(), due, deliveries: 0 });
        }
    }

    /// Sent by someone else, e.g. a poison message.
    pub(super) fn inject(&self, message: &Message) {
        self.put(&mut self.state.lock().unwrap(), message, Instant::now());
        self.came.notify_one();
    }

    /// What is due, in any order; the consumer has it now.
    pub(super) fn take_due(&self) -> Vec<Envelope> {
        let mut state = self.state.lock().unwrap();
        let now = Instant::now();
        let mut due: Vec<_> = state.waiting.extract_if(.., |it| it.due <= now).collect();
        self.chance.shuffle(&mut due);
        due
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.state.lock().unwrap().waiting.iter().map(|it| it.due).min()
    }

    /// Waits until something new came.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    /// The consumer failed, or said nothing for as long as it may.
    pub(super) fn give_back(&self, mut envelope: Envelope, after: Duration, reason: &str) {
        envelope.deliveries += 1;
        envelope.due = Instant::now() + after;
        let mut state = self.state.lock().unwrap();
        if envelope.deliveries >= DELIVERIES_MAX {
            state.dead.push((envelope.message, reason.to_owned()));
        } else {
            state.waiting.push(envelope);
        }
        drop(state);
        self.came.notify_one();
    }

    /// What was acknowledged, repeats too, in order.
    pub(super) fn sent(&self) -> Vec<Message> {
        self.state.lock().unwrap().sent.clone()
    }

    pub(super) fn dead(&self) -> Vec<(Message, String)> {
        self.state.lock().unwrap().dead.clone()
    }

    /// Puts every dead letter back on its queue; answers how many.
    pub(super) fn replay_dead(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        let dead = std::mem::take(&mut state.dead);
        for (message, _) in &dead {
            state.waiting.push(Envelope { message: message.clone(), due: Instant::now(), deliveries: 0 });
        }
        drop(state);
        self.came.notify_one();
        dead.len()
    }
}
