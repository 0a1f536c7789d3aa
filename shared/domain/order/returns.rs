//! Returns: goods that come back, or need not.
//!
//! `requested -> approved | declined`; `approved -> received -> inspected -> refunded | closed`. Counts are
//! set, not added, so a repeat changes nothing. Each unit that came is put back on the shelf or is damaged;
//! one that need not come is kept. Only what goes back on the shelf is stock again.
use time::OffsetDateTime;

use super::{
    Actor, By, Entry, EntryKind, FulfilmentState, LineAsk, Order, OrderRefusal, RECORDS_MAX, RefundCause, WorkKind,
    fulfilment::must_have_room,
};
use crate::stock::Location;

/// Goods that are to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// `ret_…`, derived.
    pub id: String,
    pub state: ReturnState,
    pub lines: Vec<ReturnLine>,
    /// In the asker's words.
    pub reason: Option<String>,
    pub at: OffsetDateTime,
}

/// Units of one line on their way back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnLine {
    pub line: usize,
    pub requested: u32,
    /// Came back; `restock + damaged` of them were looked at.
    pub received: u32,
    pub restock: u32,
    pub damaged: u32,
    /// Need not come back.
    pub kept: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnState {
    Requested,
    Approved,
    Declined,
    Received,
    Inspected,
    /// Every unit is decided, and its money went back.
    Refunded,
    /// Nothing more is expected.
    Closed,
}

super::status::named!(ReturnState {
    Requested = "requested",
    Approved = "approved",
    Declined = "declined",
    Received = "received",
    Inspected = "inspected",
    Refunded = "refunded",
    Closed = "closed",
});

/// Where a return is to stand. Lines that are not named stay as they are; `requested` is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeReturn {
    pub state: ReturnState,
    pub lines: Vec<ReturnLine>,
    /// Whether the money of units that are newly decided goes back.
    pub refund: bool,
    /// Where units are put back on the shelf; `None`: where they came from.
    pub location: Option<Location>,
    pub note: Option<String>,
}

impl ReturnLine {
    fn decided(&self) -> u32 {
        self.restock.saturating_add(self.damaged).saturating_add(self.kept)
    }

    /// Units that this return has or still expects.
    fn taken(&self, state: ReturnState) -> u32 {
        match state {
            ReturnState::Declined => 0,
            ReturnState::Closed | ReturnState::Refunded => self.received.saturating_add(self.kept),
            ReturnState::Requested | ReturnState::Approved | ReturnState::Received | ReturnState::Inspected => {
                self.requested
            }
        }
    }
}

impl Return {
    fn is_decided(&self) -> bool {
        self.lines.iter().all(|it| it.decided() == it.requested)
    }
}

impl Order {
    /// Units of a line that the buyer has and no return names.
    pub fn returnable(&self, line: usize) -> u32 {
        let arrived = |it: FulfilmentState| matches!(it, FulfilmentState::Shipped | FulfilmentState::Delivered);
        let out = self.fulfilments.iter().filter(|it| arrived(it.state)).flat_map(|it| &it.lines);
        let out: u32 = out.filter(|it| it.line == line).map(|it| it.units).sum();
        let named = self.returns.iter().flat_map(|it| it.lines.iter().map(|line| (it.state, line)));
        let named: u32 = named.filter(|(_, it)| it.line == line).map(|(state, it)| it.taken(state)).sum();
        out.saturating_sub(named)
    }

    /// Opens a return. What the staff opens is approved at once.
    ///
    /// # Errors
    /// `NotPlaced`, `NoSuchLine`, `NoUnits`, `TooMany`, `Full`.
    pub fn request_return(&mut self, asks: &[LineAsk], reason: Option<String>, by: &By) -> Result<Entry, OrderRefusal> {
        self.must_be_placed()?;
        must_have_room("returns", self.returns.len(), RECORDS_MAX)?;
        self.check(asks, |line| self.returnable(line))?;
        let number = self.next_change();
        let (state, kind) = match by.actor {
            Actor::Customer => (ReturnState::Requested, EntryKind::ReturnRequested),
            Actor::Staff(_) | Actor::System => (ReturnState::Approved, EntryKind::ReturnApproved),
        };
        let line = |it: &LineAsk| ReturnLine { line: it.line, requested: it.units, ..ReturnLine::default() };
        let id = self.name("ret", number);
        let lines = asks.iter().map(line).collect();
        self.returns.push(Return { id: id.clone(), state, lines, reason: reason.clone(), at: by.at });
        self.derive();
        let mut entry = self.entry(by, kind);
        entry.subject = Some(id);
        entry.lines = asks.to_vec();
        entry.note = reason;
        Ok(entry)
    }

    /// Moves a return on. `None`: it is as asked already.
    ///
    /// # Errors
    /// `NoSuchReturn`, `WrongState`, `NoSuchLine`, `NoUnits`, `TooMany`, `Full`, `Money`.
    pub fn change_return(&mut self, id: &str, ask: &ChangeReturn, by: &By) -> Result<Option<Entry>, OrderRefusal> {
        let place = self.returns.iter().position(|it| it.id == id);
        let place = place.ok_or_else(|| OrderRefusal::NoSuchReturn { id: id.to_owned() })?;
        let before = self.returns[place].clone();
        let kind = step(before.state, ask.state)?;
        let may_count = matches!(ask.state, ReturnState::Received | ReturnState::Inspected | ReturnState::Closed);
        let lines = counted(&before, if may_count { &ask.lines } else { &[] })?;
        if before.state == ask.state && before.lines == lines {
            return Ok(None);
        }
        let number = self.next_change();
        let mut back = Vec::new();
        let mut came = Vec::new();
        for (old, new) in before.lines.iter().zip(&lines) {
            let line = new.line;
            let arrived = new.received - old.received;
            self.units[line].returned += arrived;
            if arrived > 0 {
                came.push(LineAsk { line, units: arrived });
            }
            let restock = new.restock - old.restock;
            if restock > 0 {
                self.put_back(line, restock, ask.location.as_ref(), number, by);
            }
            let decided = new.decided() - old.decided();
            // A unit whose money went back ahead of its return is not refunded again.
            let ahead = self.refunded_ahead(line);
            let units = decided.saturating_sub(ahead).min(self.units[line].refundable());
            if units > 0 {
                back.push(LineAsk { line, units });
            }
        }
        self.returns[place].lines = lines;
        self.returns[place].state = ask.state;
        let mut amount = None;
        if ask.refund && !back.is_empty() {
            let cause = RefundCause::Returned(id.to_owned());
            amount = self.give_back(number, &back, false, &cause, by, ask.note.clone())?;
        }
        self.derive();
        let mut entry = self.entry(by, kind);
        entry.subject = Some(id.to_owned());
        entry.amount = amount.map(|it| self.money(it));
        entry.lines = came;
        entry.note.clone_from(&ask.note);
        Ok(Some(entry))
    }

    /// Units whose money is back though they are neither cancelled nor decided in a return.
    fn refunded_ahead(&self, line: usize) -> u32 {
        let units = &self.units[line];
        let decided = self.returns.iter().flat_map(|it| &it.lines).filter(|it| it.line == line);
        let decided: u32 = decided.map(ReturnLine::decided).sum();
        units.refunded.saturating_sub(units.cancelled.saturating_sub(units.waived)).saturating_sub(decided)
    }

    fn put_back(&mut self, line: usize, units: u32, location: Option<&Location>, number: u32, by: &By) {
        let sku = self.priced.lines[line].sku.clone();
        let left = self.fulfilments.iter().flat_map(|it| &it.parts).filter(|it| it.sku == sku);
        let from = left.flat_map(|it| &it.parts).map(|it| it.location.clone()).next();
        let location = location.cloned().or(from).unwrap_or_else(Location::main);
        self.owe(number, by.at, WorkKind::Restock { sku, location, units: i64::from(units) });
    }

    /// The money of a return went back.
    pub(super) fn note_return_refunded(&mut self, id: &str) {
        let done = |it: &&mut Return| it.id == id && it.state == ReturnState::Inspected && it.is_decided();
        if let Some(it) = self.returns.iter_mut().find(done) {
            it.state = ReturnState::Refunded;
        }
    }
}

/// Whether a return may go from one state to the other, and what to call it.
fn step(is: ReturnState, wanted: ReturnState) -> Result<EntryKind, OrderRefusal> {
    use ReturnState::{Approved, Closed, Declined, Inspected, Received, Requested};
    match (is, wanted) {
        (Requested | Approved, Approved) => Ok(EntryKind::ReturnApproved),
        (Requested | Declined, Declined) => Ok(EntryKind::ReturnDeclined),
        (Approved | Received | Inspected, Received) => Ok(EntryKind::ReturnReceived),
        (Approved | Received | Inspected, Inspected) => Ok(EntryKind::ReturnInspected),
        (Approved | Received | Inspected | Closed, Closed) => Ok(EntryKind::ReturnClosed),
        (ReturnState::Refunded, Inspected | Received | Closed) | (Closed, Inspected | Received) => {
            Err(OrderRefusal::WrongState { is: is.name(), wanted: wanted.name() })
        }
        _ => Err(OrderRefusal::WrongState { is: is.name(), wanted: wanted.name() }),
    }
}

/// The lines with the counts that were asked for. Counts never go down, and never beyond what was
/// requested.
fn counted(before: &Return, asks: &[ReturnLine]) -> Result<Vec<ReturnLine>, OrderRefusal> {
    let mut lines = before.lines.clone();
    for (place, ask) in asks.iter().enumerate() {
        if asks[..place].iter().any(|it| it.line == ask.line) {
            return Err(OrderRefusal::NoUnits);
        }
        let line = lines.iter_mut().find(|it| it.line == ask.line);
        let line = line.ok_or(OrderRefusal::NoSuchLine { line: ask.line })?;
        let new = ReturnLine { requested: line.requested, ..*ask };
        let falls = new.received < line.received
            || new.restock < line.restock
            || new.damaged < line.damaged
            || new.kept < line.kept;
        let sum = |a: u32, b: u32| u64::from(a) + u64::from(b);
        let fits = sum(new.received, new.kept) <= u64::from(new.requested)
            && sum(new.restock, new.damaged) <= u64::from(new.received);
        if falls || !fits {
            return Err(OrderRefusal::TooMany { line: ask.line, most: line.requested });
        }
        *line = new;
    }
    Ok(lines)
}
