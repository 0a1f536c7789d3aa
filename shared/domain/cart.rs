//! A cart: what a shopper means to buy. Holds nothing and promises nothing until checkout.
use time::OffsetDateTime;

use crate::{
    ids::{CartId, OrderId},
    money::{Currency, Money},
    quantity::Quantity,
    sku::Sku,
};

/// Most different SKUs in one cart.
pub const LINES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    pub id: CartId,
    pub currency: Currency,
    pub lines: Vec<CartLine>,
    pub state: CartState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartLine {
    pub sku: Sku,
    pub quantity: Quantity,
    /// What one unit cost when the line was last set, to tell the shopper of changes.
    pub price_when_added: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartState {
    Open,
    /// Being paid for by its checkout. After `until` the checkout itself must be asked.
    Locked {
        until: OffsetDateTime,
        /// The number of the checkout's attempt that locked it; only that one opens it again.
        attempt: u32,
    },
    Ordered {
        order: OrderId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartRefusal {
    #[error("the cart is being paid for")]
    Locked,
    #[error("the cart has been ordered as {order}")]
    Ordered { order: OrderId },
    #[error("a cart holds at most {LINES_MAX} different products")]
    TooManyLines,
}

impl Cart {
    pub fn new(id: CartId, currency: Currency) -> Cart {
        Cart { id, currency, lines: Vec::new(), state: CartState::Open }
    }

    /// Sets the units of one SKU; a new SKU goes to the end.
    ///
    /// # Errors
    /// [`CartRefusal`]; a locked cart refuses here even after its lock has lapsed: the caller asks the
    /// checkout first and opens the cart again if it may.
    pub fn set_line(&mut self, sku: &Sku, quantity: Quantity, price: Money) -> Result<(), CartRefusal> {
        self.must_be_open()?;
        if let Some(line) = self.lines.iter_mut().find(|line| line.sku == *sku) {
            line.quantity = quantity;
            line.price_when_added = price;
            return Ok(());
        }
        if self.lines.len() >= LINES_MAX {
            return Err(CartRefusal::TooManyLines);
        }
        self.lines.push(CartLine { sku: sku.clone(), quantity, price_when_added: price });
        Ok(())
    }

    /// Removes a line; removing what is not there changes nothing.
    ///
    /// # Errors
    /// [`CartRefusal`].
    pub fn remove_line(&mut self, sku: &Sku) -> Result<(), CartRefusal> {
        self.must_be_open()?;
        self.lines.retain(|line| line.sku != *sku);
        Ok(())
    }

    fn must_be_open(&self) -> Result<(), CartRefusal> {
        match &self.state {
            CartState::Open => Ok(()),
            CartState::Locked { .. } => Err(CartRefusal::Locked),
            CartState::Ordered { order } => Err(CartRefusal::Ordered { order: *order }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn lines_are_set_not_added_and_bounded() {
        let gbp = Currency::parse("GBP").unwrap();
        let price = Money::new(100, gbp);
        let mut cart = Cart::new(CartId::new(Ulid::from_parts(1, 1)), gbp);
        let sku = |n: usize| Sku::parse(&format!("S{n}")).unwrap();
        cart.set_line(&sku(0), Quantity::new(2).unwrap(), price).unwrap();
        cart.set_line(&sku(0), Quantity::new(3).unwrap(), price).unwrap();
        assert_eq!(cart.lines.len(), 1);
        assert_eq!(cart.lines[0].quantity.get(), 3);
        for n in 1..LINES_MAX {
            cart.set_line(&sku(n), Quantity::new(1).unwrap(), price).unwrap();
        }
        assert_eq!(cart.set_line(&sku(100), Quantity::new(1).unwrap(), price), Err(CartRefusal::TooManyLines));
        cart.remove_line(&sku(0)).unwrap();
        cart.remove_line(&sku(0)).unwrap();
        assert_eq!(cart.lines.len(), 99);
        cart.state = CartState::Ordered { order: cart.id.checkout().order() };
        assert!(matches!(cart.remove_line(&sku(1)), Err(CartRefusal::Ordered { .. })));
    }
}
