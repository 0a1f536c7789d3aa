//! Fulfilments: units that leave together, in parcels that can be followed.
//!
//! `packed -> shipped -> delivered`; `packed -> cancelled`; `shipped -> lost`. Units count as shipped from
//! the packing on, so no two fulfilments can have the same one; stock and money move when they leave.
use time::OffsetDateTime;

use super::{Allocation, By, Entry, EntryKind, LineAsk, Order, OrderRefusal, PaymentStatus, RECORDS_MAX, WorkKind};
use crate::stock::Location;

/// Most parcels of one fulfilment.
pub const PARCELS_MAX: usize = 20;

/// Units that leave together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fulfilment {
    /// `ful_…`, derived.
    pub id: String,
    pub state: FulfilmentState,
    pub lines: Vec<LineAsk>,
    /// Where the units come from.
    pub parts: Vec<Allocation>,
    pub parcels: Vec<Parcel>,
    pub created_at: OffsetDateTime,
    pub shipped_at: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FulfilmentState {
    /// Set aside; may still be taken apart.
    Packed,
    Shipped,
    Delivered,
    Lost,
    /// Taken apart before it left; its units are open again.
    Cancelled,
}

super::status::named!(FulfilmentState {
    Packed = "packed",
    Shipped = "shipped",
    Delivered = "delivered",
    Lost = "lost",
    Cancelled = "cancelled",
});

/// One parcel on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub carrier: String,
    pub tracking_number: Option<String>,
    pub tracking_url: Option<String>,
}

/// What is to leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fulfil {
    /// `None`: everything that is open.
    pub lines: Option<Vec<LineAsk>>,
    pub parcels: Vec<Parcel>,
    /// `None`: from wherever it is promised.
    pub location: Option<Location>,
    /// Whether it has left already, or stands packed.
    pub shipped: bool,
}

impl Order {
    /// Puts open, promised units into a fulfilment.
    ///
    /// # Errors
    /// `NotPlaced`, `OnHold`, `NotPaid`, `NothingLeft`, `NoSuchLine`, `NoUnits`, `TooMany`, `NotAllocated`,
    /// `Full`, `Money`.
    pub fn fulfil(&mut self, ask: &Fulfil, by: &By) -> Result<Entry, OrderRefusal> {
        self.must_be_placed()?;
        if let Some(reason) = self.on_hold.clone() {
            return Err(OrderRefusal::OnHold { reason });
        }
        if matches!(self.payment_status, PaymentStatus::Refunded | PaymentStatus::Voided) {
            return Err(OrderRefusal::NotPaid);
        }
        must_have_room("fulfilments", self.fulfilments.len(), RECORDS_MAX)?;
        must_have_room("parcels", ask.parcels.len().saturating_sub(1), PARCELS_MAX)?;
        let lines = ask.lines.clone().unwrap_or_else(|| self.all_open());
        if lines.is_empty() {
            return Err(OrderRefusal::NothingLeft);
        }
        self.check(&lines, |line| self.units[line].open())?;
        let number = self.next_change();
        let mut parts = Vec::new();
        for (sku, units) in self.by_sku(&lines) {
            let taken = self.take(&sku, units, ask.location.as_ref())?;
            parts.push(Allocation { sku, parts: taken });
        }
        for LineAsk { line, units } in &lines {
            self.units[*line].shipped += units;
        }
        let id = self.name("ful", number);
        self.fulfilments.push(Fulfilment {
            id: id.clone(),
            state: FulfilmentState::Packed,
            lines: lines.clone(),
            parts,
            parcels: ask.parcels.clone(),
            created_at: by.at,
            shipped_at: None,
        });
        if ask.shipped {
            self.leave(self.fulfilments.len() - 1, number, by)?;
        }
        self.derive();
        let mut entry = self.entry(by, if ask.shipped { EntryKind::Shipped } else { EntryKind::Packed });
        entry.subject = Some(id);
        entry.lines = lines;
        Ok(entry)
    }

    /// Moves a fulfilment on, or gives it other parcels. `None`: it is as asked already.
    ///
    /// # Errors
    /// `NoSuchFulfilment`, `WrongState`, `OnHold`, `Full`, `Money`.
    pub fn change_fulfilment(
        &mut self,
        id: &str,
        state: FulfilmentState,
        parcels: Option<Vec<Parcel>>,
        by: &By,
    ) -> Result<Option<Entry>, OrderRefusal> {
        use FulfilmentState::{Cancelled, Delivered, Lost, Packed, Shipped};
        let place = self.fulfilments.iter().position(|it| it.id == id);
        let place = place.ok_or_else(|| OrderRefusal::NoSuchFulfilment { id: id.to_owned() })?;
        let it = &mut self.fulfilments[place];
        let was = it.state;
        let mut tracked = false;
        if let Some(parcels) = parcels.filter(|parcels| *parcels != it.parcels) {
            must_have_room("parcels", parcels.len().saturating_sub(1), PARCELS_MAX)?;
            it.parcels = parcels;
            tracked = true;
        }
        let kind = match (was, state) {
            (was, state) if was == state && !tracked => return Ok(None),
            (was, state) if was == state => EntryKind::Tracked,
            (Packed, Shipped) => EntryKind::Shipped,
            (Packed, Cancelled) => EntryKind::Unpacked,
            (Shipped, Delivered) => EntryKind::Delivered,
            (Shipped, Lost) => EntryKind::Lost,
            (is, wanted) => return Err(OrderRefusal::WrongState { is: is.name(), wanted: wanted.name() }),
        };
        let number = self.next_change();
        match kind {
            EntryKind::Shipped => {
                if let Some(reason) = self.on_hold.clone() {
                    return Err(OrderRefusal::OnHold { reason });
                }
                self.leave(place, number, by)?;
            }
            EntryKind::Unpacked => self.take_apart(place),
            _ => self.fulfilments[place].state = state,
        }
        self.derive();
        let mut entry = self.entry(by, kind);
        entry.subject = Some(id.to_owned());
        entry.lines.clone_from(&self.fulfilments[place].lines);
        Ok(Some(entry))
    }

    /// The fulfilment leaves the house: stock is shipped, and what is due for its units is captured.
    fn leave(&mut self, place: usize, number: u32, by: &By) -> Result<(), OrderRefusal> {
        let it = &mut self.fulfilments[place];
        it.state = FulfilmentState::Shipped;
        it.shipped_at = Some(by.at);
        let (lines, parts) = (it.lines.clone(), it.parts.clone());
        for Allocation { sku, parts } in parts {
            self.owe(number, by.at, WorkKind::Ship { sku, parts });
        }
        if self.payment.captured_once {
            self.units.iter_mut().for_each(|it| it.captured += it.uncaptured());
        }
        for LineAsk { line, units } in lines {
            let it = &mut self.units[line];
            it.captured += it.uncaptured().min(units);
        }
        if self.priced.shipping.is_some() && !self.shipping.waived {
            self.shipping.captured = true;
        }
        self.owe_capture(number, by.at)?;
        self.owe_void(number, by.at);
        Ok(())
    }

    fn take_apart(&mut self, place: usize) {
        let it = &mut self.fulfilments[place];
        it.state = FulfilmentState::Cancelled;
        let (lines, parts) = (it.lines.clone(), std::mem::take(&mut it.parts));
        for LineAsk { line, units } in lines {
            self.units[line].shipped -= units;
        }
        for Allocation { sku, parts } in parts {
            self.promise(&sku, parts);
        }
    }
}

/// Refuses if there are `max` already.
pub(super) fn must_have_room(what: &'static str, count: usize, max: usize) -> Result<(), OrderRefusal> {
    if count < max { Ok(()) } else { Err(OrderRefusal::Full { what, max }) }
}
