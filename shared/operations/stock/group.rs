//! Group commit: what buyers of one SKU ask at the same time is decided in the order in which they came and
//! written in one batch, so that a crowd costs the store little more than one buyer.
//!
//! What must stay true: nobody is answered before the batch is durable; each asks again by itself when the
//! answer is lost (whoever decided for all may be stopped at any await), which is harmless because a hold is
//! keyed by its checkout; and what is wrong with one request harms no other.
use std::{collections::HashSet, time::Duration};

use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Allocation, Entry, Hold, HoldState, Kind, Levels, StockRefusal, Want},
};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::{
    PATIENCE, PAUSE_MAX, StockError, TURN,
    gate::{combines, gate},
    sold_out::{self, is_any_left},
};
use crate::shared::{
    documents::{
        Seen,
        stock::{self, MovementId, hold_id},
    },
    ports::{
        Ports,
        documents::{BATCH_MAX, Container, ETag, StoreError, Write},
    },
};

/// Most documents in a batch beside the level; each request needs two at most.
const WRITES_MAX: usize = 90;
const _: () = assert!(WRITES_MAX < BATCH_MAX);

/// Most requests decided together.
const GROUP_MAX: usize = WRITES_MAX;

/// How often one asks again after a batch that may or may not have been written.
const UNSURE_MAX: u32 = 1;

/// What a checkout asks of one SKU.
#[derive(Clone)]
pub(super) enum Ask {
    Hold { units: i64, minute: i64, allocation: Allocation },
    Release,
    Claim { units: i64, allocation: Allocation },
}

#[derive(Clone)]
struct Request {
    checkout: CheckoutId,
    fence: u32,
    ask: Ask,
    /// The checkout's record as it was seen; the batch is refused if it is not so any more.
    earlier: Option<Seen<Hold>>,
    /// Nobody looked at the record: a refusal may count what the checkout itself holds.
    guessed: bool,
}

/// The checkout's record as it now is; `None` if there is none.
type Held = Option<Seen<Hold>>;

enum Reply {
    Done(Result<Held, StockError>),
    /// The checkout's record is not what was seen.
    Stale,
    /// The batch may or may not have been written.
    Unsure(StoreError),
}

/// A request in the queue.
pub(super) struct Waiting {
    request: Request,
    reply: oneshot::Sender<Reply>,
}

impl Waiting {
    /// Whether anyone still wants to know.
    pub(super) fn is_there(&self) -> bool {
        !self.reply.is_closed()
    }

    fn answer(self, reply: Reply) {
        // Nobody there: what was done is found at the next look.
        self.reply.send(reply).ok();
    }
}

/// Decides one request, together with whatever else waits. `known` is the checkout's record, if the caller has
/// written it.
pub(super) async fn decide(
    ports: &Ports,
    sku: &Sku,
    (checkout, known): (CheckoutId, Held),
    fence: u32,
    ask: Ask,
) -> Result<Held, StockError> {
    let documents = ports.documents.as_ref();
    let work = async {
        let mut unsure = 0;
        // The first run's hold is new. If a guess is wrong the batch is refused, and the record is read then.
        let is_new = fence <= 1 && matches!(ask, Ask::Hold { .. });
        let mut guess = (is_new || known.is_some()).then_some(known);
        loop {
            let guessed = guess.is_some();
            let earlier = match guess.take() {
                Some(earlier) => earlier,
                None => stock::read_hold(documents, sku, checkout).await?,
            };
            let request = Request { checkout, fence, ask: ask.clone(), earlier, guessed };
            match submit(ports, sku, request).await {
                // What is held already by this checkout itself must not count against it.
                Some(Reply::Done(Err(StockError::Refused(StockRefusal::Short { .. })))) if guessed => {}
                Some(Reply::Done(result)) => return result,
                Some(Reply::Unsure(err)) if unsure == UNSURE_MAX => return Err(err.into()),
                Some(Reply::Unsure(_)) => unsure += 1,
                Some(Reply::Stale) | None => {}
            }
        }
    };
    match tokio::time::timeout(PATIENCE, Box::pin(work)).await {
        Ok(done) => done,
        Err(late) => Err(StockError::Store(StoreError::Unavailable(Box::new(late)))),
    }
}

/// Queues, and waits for an answer or for the turn to decide. `None`: whoever was at it was stopped.
async fn submit(ports: &Ports, sku: &Sku, request: Request) -> Option<Reply> {
    let gate = gate(ports, sku);
    let (reply, mut answer) = oneshot::channel();
    gate.push(Waiting { request: request.clone(), reply });
    let turn = tokio::select! {
        biased;
        reply = &mut answer => return reply.ok(),
        turn = tokio::time::timeout(TURN, gate.turn.lock()) => turn,
    };
    if turn.is_err() {
        // Whoever has the turn stands still. One goes alone, and takes back what stands in the queue.
        let (reply, alone) = oneshot::channel();
        answer = alone;
        settle(ports, sku, vec![Waiting { request, reply }]).await;
        return answer.try_recv().ok();
    }
    loop {
        // What came first is decided first; one's own may come with a later group.
        let group = if combines() { gate.take(GROUP_MAX) } else { gate.take(1) };
        let is_last = group.is_empty();
        settle(ports, sku, group).await;
        match answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) if !is_last => {}
            other => return other.ok(),
        }
    }
}

/// Answers everyone in the group.
async fn settle(ports: &Ports, sku: &Sku, mut group: Vec<Waiting>) {
    let mut pause = Duration::from_millis(1);
    while !group.is_empty() {
        let before = group.len();
        group = Box::pin(attempt(ports, sku, group)).await;
        if group.len() == before {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// One read and one batch. Answers who is to be decided again.
async fn attempt(ports: &Ports, sku: &Sku, group: Vec<Waiting>) -> Vec<Waiting> {
    let documents = ports.documents.as_ref();
    let seen = match stock::read_levels(documents, sku).await {
        Ok(seen) => seen,
        Err(err) => {
            group.into_iter().for_each(|it| it.answer(Reply::Done(Err(err.again().into()))));
            return Vec::new();
        }
    };
    let now = ports.clock.now();
    let had_any = seen.as_ref().is_some_and(|it| is_any_left(&it.value, now));
    let mut batch = Batch::new(seen.as_ref().map(|it| it.value.clone()), now);
    group.into_iter().for_each(|it| batch.add(it));
    if batch.writes.is_empty() {
        batch.tell(ports, sku, had_any).await;
        return batch.answered(&[]);
    }
    let mut writes = Vec::with_capacity(1 + batch.writes.len());
    match stock::put_levels(sku, &batch.levels, seen.as_ref().map(|it| &it.etag)) {
        Ok(level) => writes.push(level),
        Err(err) => return batch.failed(&err),
    }
    writes.append(&mut batch.writes);
    match documents.write(Container::Stock, sku.as_str(), writes).await {
        Ok(etags) => {
            batch.tell(ports, sku, had_any).await;
            batch.answered(etags.get(1..).unwrap_or_default())
        }
        Err(StoreError::Exists { id } | StoreError::Changed { id }) => batch.without(&id),
        Err(err) => batch.failed(&err),
    }
}

/// What is decided and not yet written.
struct Batch {
    counted: bool,
    levels: Levels,
    now: OffsetDateTime,
    writes: Vec<Write>,
    decided: Vec<(Waiting, Result<Record, StockError>)>,
    /// Another request of the same checkout stands in this batch.
    stale: Vec<Waiting>,
    /// There was no room left.
    later: Vec<Waiting>,
    checkouts: HashSet<CheckoutId>,
}

/// A checkout's record as decided.
enum Record {
    AsItWas(Held),
    /// Written `at` this place of the batch.
    Written {
        hold: Hold,
        at: usize,
    },
}

impl Batch {
    fn new(levels: Option<Levels>, now: OffsetDateTime) -> Batch {
        Batch {
            counted: levels.is_some(),
            levels: levels.unwrap_or_default(),
            now,
            writes: Vec::new(),
            decided: Vec::new(),
            stale: Vec::new(),
            later: Vec::new(),
            checkouts: HashSet::new(),
        }
    }

    fn add(&mut self, waiting: Waiting) {
        if self.writes.len() + 2 > WRITES_MAX {
            self.later.push(waiting);
        } else if self.checkouts.contains(&waiting.request.checkout) {
            self.stale.push(waiting);
        } else {
            let result = self.decide(&waiting.request);
            self.decided.push((waiting, result));
        }
    }

    fn decide(&mut self, request: &Request) -> Result<Record, StockError> {
        let earlier = request.earlier.as_ref().map(|it| &it.value);
        let (hold, kind, changes) = match &request.ask {
            Ask::Release => {
                let Some(earlier) = earlier else { return Ok(Record::AsItWas(None)) };
                let (hold, changes) = self.levels.release(earlier, request.fence)?;
                (hold, Kind::Deallocate, changes)
            }
            Ask::Hold { .. } if !self.counted => return Err(StockRefusal::Short { available: 0 }.into()),
            Ask::Claim { allocation, .. } if !self.counted && !allocation.is_beyond_limits() => {
                return Err(StockRefusal::Short { available: 0 }.into());
            }
            Ask::Hold { units, minute, allocation } => {
                let (checkout, fence) = (request.checkout, request.fence);
                let want = Want { checkout, units: *units, minute: *minute, fence };
                (self.levels.hold(earlier, want, allocation, self.now)?, Kind::Allocate, Vec::new())
            }
            Ask::Claim { units, allocation } => {
                // A hold whose record is gone counts as lapsed: its units are tested again.
                let (checkout, fence) = (request.checkout, request.fence);
                let lost = Hold { checkout, parts: Vec::new(), minute: 0, fence, state: HoldState::Released };
                let hold = earlier.unwrap_or(&lost);
                let (hold, changes) = self.levels.claim(hold, (*units, fence), allocation, self.now)?;
                let kind = if allocation.is_beyond_limits() { Kind::Backorder } else { Kind::Allocate };
                (hold, kind, changes)
            }
        };
        // A live hold that comes out the same may have left the wheel meanwhile, so it is written again.
        if hold.state != HoldState::Live && Some(&hold) == earlier {
            return Ok(Record::AsItWas(request.earlier.clone()));
        }
        let at = self.writes.len();
        self.writes.push(stock::put_hold(&hold, request.earlier.as_ref().map(|it| &it.etag))?);
        if !changes.is_empty() {
            let cause = request.checkout.order().to_string();
            let entry = Entry { seq: self.levels.seq, kind, cause, at: self.now, changes };
            self.writes.push(stock::create_movement(MovementId::Numbered, &entry)?);
        }
        self.checkouts.insert(request.checkout);
        Ok(Record::Written { hold, at })
    }

    /// What the other processes should know of what is now stored.
    async fn tell(&self, ports: &Ports, sku: &Sku, had_any: bool) {
        let has_any = is_any_left(&self.levels, self.now);
        let is_short = |(waiting, result): &(Waiting, Result<_, StockError>)| {
            !waiting.request.guessed && matches!(result, Err(StockError::Refused(StockRefusal::Short { .. })))
        };
        if has_any && !had_any {
            sold_out::clear(ports, sku).await;
        } else if !has_any && self.decided.iter().any(is_short) {
            sold_out::note(ports, sku);
        }
    }

    /// It is written, under these etags.
    fn answered(self, etags: &[ETag]) -> Vec<Waiting> {
        let held = |record| match record {
            Record::AsItWas(held) => held,
            Record::Written { hold, at } => etags.get(at).map(|etag| Seen { value: hold, etag: etag.clone() }),
        };
        self.decided.into_iter().for_each(|(waiting, result)| waiting.answer(Reply::Done(result.map(held))));
        self.stale.into_iter().for_each(|waiting| waiting.answer(Reply::Stale));
        self.later
    }

    /// Not written because of one document: whose record that is must look again, the others are decided anew.
    fn without(self, id: &str) -> Vec<Waiting> {
        let mut again = Vec::new();
        for waiting in self.decided.into_iter().map(|(it, _)| it).chain(self.stale).chain(self.later) {
            if hold_id(waiting.request.checkout) == id { waiting.answer(Reply::Stale) } else { again.push(waiting) }
        }
        again
    }

    /// Written or not. One alone is told; of several each looks for itself.
    fn failed(self, err: &StoreError) -> Vec<Waiting> {
        let alone = self.decided.len() + self.stale.len() == 1;
        for waiting in self.decided.into_iter().map(|(it, _)| it).chain(self.stale) {
            let err = err.again();
            waiting.answer(if alone { Reply::Done(Err(err.into())) } else { Reply::Unsure(err) });
        }
        self.later
    }
}
