//! What became of each unit of a line, and where open units are promised.
use super::{Order, OrderRefusal};
use crate::{
    sku::Sku,
    stock::{Location, Part},
};

/// Counts of one line. A unit is open, cancelled, shipped or returned, one of them; `shipped` counts the
/// returned ones too, and those packed in a fulfilment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineUnits {
    pub ordered: u32,
    pub cancelled: u32,
    pub shipped: u32,
    pub returned: u32,
    /// Units whose money was asked for: all of them at the placing, or as they are shipped.
    pub captured: u32,
    /// Units cancelled before their money was asked for.
    pub waived: u32,
    /// Units whose money was given back, or is on its way back.
    pub refunded: u32,
}

/// Where the open units of one SKU are promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub sku: Sku,
    pub parts: Vec<Part>,
}

/// Units of one line; lines count from 0 as in `priced`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAsk {
    pub line: usize,
    pub units: u32,
}

impl LineUnits {
    pub fn new(ordered: u32) -> LineUnits {
        LineUnits { ordered, ..LineUnits::default() }
    }

    /// Neither cancelled nor in a fulfilment.
    pub fn open(&self) -> u32 {
        self.ordered.saturating_sub(self.cancelled).saturating_sub(self.shipped)
    }

    /// Units whose money was neither asked for nor waived.
    pub fn uncaptured(&self) -> u32 {
        self.ordered.saturating_sub(self.captured).saturating_sub(self.waived)
    }

    /// Units whose money could still be given back.
    pub fn refundable(&self) -> u32 {
        self.captured.saturating_sub(self.refunded)
    }

    /// Whether the counts can be those of any line. Holds after every change.
    pub fn adds_up(&self) -> bool {
        let sum = |a: u32, b: u32| u64::from(a) + u64::from(b);
        sum(self.cancelled, self.shipped) <= u64::from(self.ordered)
            && self.returned <= self.shipped
            && sum(self.captured, self.waived) <= u64::from(self.ordered)
            && self.waived <= self.cancelled
            && self.refunded <= self.captured
    }
}

impl Allocation {
    pub fn units(&self) -> i64 {
        self.parts.iter().map(|it| it.units).sum()
    }
}

impl Order {
    /// Units of a SKU that no fulfilment has and nobody cancelled, over all its lines.
    pub fn open_units(&self, sku: &Sku) -> i64 {
        let lines = self.priced.lines.iter().zip(&self.units).filter(|(line, _)| line.sku == *sku);
        lines.map(|(_, units)| i64::from(units.open())).sum()
    }

    /// Units of a SKU that stock has promised to open lines.
    pub fn allocated_units(&self, sku: &Sku) -> i64 {
        self.allocations.iter().filter(|it| it.sku == *sku).map(Allocation::units).sum()
    }

    /// All open units, or `None` if there are none.
    pub(super) fn all_open(&self) -> Vec<LineAsk> {
        let lines = self.units.iter().enumerate().map(|(line, units)| LineAsk { line, units: units.open() });
        lines.filter(|it| it.units > 0).collect()
    }

    /// Refuses unless each line is named once with at least one unit and at most `most` of them.
    pub(super) fn check(&self, asks: &[LineAsk], most: impl Fn(usize) -> u32) -> Result<(), OrderRefusal> {
        if asks.is_empty() {
            return Err(OrderRefusal::NoUnits);
        }
        for (place, ask) in asks.iter().enumerate() {
            if ask.line >= self.units.len() {
                return Err(OrderRefusal::NoSuchLine { line: ask.line });
            }
            if ask.units == 0 || asks[..place].iter().any(|it| it.line == ask.line) {
                return Err(OrderRefusal::NoUnits);
            }
            let most = most(ask.line);
            if ask.units > most {
                return Err(OrderRefusal::TooMany { line: ask.line, most });
            }
        }
        Ok(())
    }

    /// Units by SKU: two lines may sell the same one.
    pub(super) fn by_sku(&self, asks: &[LineAsk]) -> Vec<(Sku, i64)> {
        let mut sums: Vec<(Sku, i64)> = Vec::new();
        for ask in asks {
            let sku = &self.priced.lines[ask.line].sku;
            match sums.iter_mut().find(|(it, _)| it == sku) {
                Some((_, units)) => *units += i64::from(ask.units),
                None => sums.push((sku.clone(), i64::from(ask.units))),
            }
        }
        sums
    }

    /// Takes promised units, from one location or as they come.
    pub(super) fn take(&mut self, sku: &Sku, units: i64, from: Option<&Location>) -> Result<Vec<Part>, OrderRefusal> {
        let fits = |part: &Part| from.is_none_or(|it| *it == part.location);
        let (mut wanted, mut taken) = (units, Vec::new());
        for allocation in self.allocations.iter_mut().filter(|it| it.sku == *sku) {
            for part in allocation.parts.iter_mut().filter(|it| fits(it)) {
                let units = part.units.min(wanted);
                if units > 0 {
                    part.units -= units;
                    wanted -= units;
                    taken.push(Part { location: part.location.clone(), units });
                }
            }
            allocation.parts.retain(|it| it.units > 0);
        }
        self.allocations.retain(|it| !it.parts.is_empty());
        if wanted > 0 {
            return Err(OrderRefusal::NotAllocated { sku: sku.clone(), units: units - wanted });
        }
        Ok(taken)
    }

    /// Promises units of a SKU to open lines, beside what is promised already.
    pub(super) fn promise(&mut self, sku: &Sku, parts: Vec<Part>) {
        let place = match self.allocations.iter().position(|it| it.sku == *sku) {
            Some(place) => place,
            None => {
                self.allocations.push(Allocation { sku: sku.clone(), parts: Vec::new() });
                self.allocations.len() - 1
            }
        };
        let known = &mut self.allocations[place].parts;
        for part in parts.into_iter().filter(|it| it.units > 0) {
            match known.iter_mut().find(|it| it.location == part.location) {
                Some(it) => it.units += part.units,
                None => known.push(part),
            }
        }
        self.allocations.retain(|it| !it.parts.is_empty());
    }
}
