//! How many units of one SKU.

/// Most units of one SKU in a cart. A guard against denial of inventory.
pub const QUANTITY_MAX: u32 = 999;

/// 1 to [`QUANTITY_MAX`]; zero is no quantity but the absence of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is a whole number from 1 to {QUANTITY_MAX}")]
pub struct BadQuantity;

impl Quantity {
    /// # Errors
    /// [`BadQuantity`].
    pub fn new(units: u32) -> Result<Quantity, BadQuantity> {
        if (1..=QUANTITY_MAX).contains(&units) { Ok(Quantity(units)) } else { Err(BadQuantity) }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}
