//! A cart: what a shopper means to buy. Holds nothing and promises nothing until checkout.
use time::{Duration, OffsetDateTime};

use crate::{
    ids::{CartId, OrderId},
    money::{Currency, Money},
    promotion::{CODES_MAX, CouponCode},
    quantity::Quantity,
    sku::Sku,
    store::QuantityLimits,
};

/// Most different SKUs in one cart.
pub const LINES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    pub id: CartId,
    pub currency: Currency,
    pub lines: Vec<CartLine>,
    /// In the order in which they were put on; the order means nothing.
    pub codes: Vec<CouponCode>,
    pub state: CartState,
    /// The customer whose cart it is, or into whose cart it was merged: a hash of the account's subject.
    pub owner: Option<String>,
    /// The customer's groups when they last signed in; prices may depend on them.
    pub groups: Vec<String>,
}

/// How long a cart is kept without a change: empty, a guest's, a customer's.
pub const EMPTY_KEPT: Duration = Duration::hours(6);
pub const GUEST_KEPT: Duration = Duration::days(30);
pub const CUSTOMER_KEPT: Duration = Duration::days(90);

/// A new number of units for one SKU; `None` removes its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    pub sku: Sku,
    pub quantity: Option<Quantity>,
}

/// Why one line was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineRefusal {
    #[error("{sku} is not for sale")]
    UnknownSku { sku: Sku },
    #[error("at most {maximum} of {sku} may be bought at once")]
    AboveMaximum { sku: Sku, maximum: u32 },
    #[error("at most {maximum} units may be bought at once")]
    TooManyUnits { maximum: u32 },
    #[error("a cart holds at most {LINES_MAX} different products")]
    TooManyLines,
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
    /// What it held went into a customer's cart; it takes no change any more.
    Merged {
        into: CartId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartRefusal {
    #[error("the cart is being paid for")]
    Locked,
    #[error("the cart has been ordered as {order}")]
    Ordered { order: OrderId },
    #[error("the cart was merged into another")]
    Merged { into: CartId },
    #[error("a cart holds at most {CODES_MAX} codes")]
    TooManyCodes,
}

impl Cart {
    pub fn new(id: CartId, currency: Currency) -> Cart {
        Cart {
            id,
            currency,
            lines: Vec::new(),
            codes: Vec::new(),
            state: CartState::Open,
            owner: None,
            groups: Vec::new(),
        }
    }

    /// How long it is kept from now on; `None`: as long as money is or may be attached to it.
    pub fn kept_for(&self) -> Option<Duration> {
        match self.state {
            CartState::Locked { .. } => None,
            CartState::Open if self.lines.is_empty() => Some(EMPTY_KEPT),
            CartState::Open if self.owner.is_some() => Some(CUSTOMER_KEPT),
            CartState::Open | CartState::Ordered { .. } | CartState::Merged { .. } => Some(GUEST_KEPT),
        }
    }

    /// Applies changes in their order, each for itself; answers what became of each. `prices` stand beside
    /// `changes`: what one unit costs, `None` if it is not for sale.
    ///
    /// # Errors
    /// [`CartRefusal`] if the cart takes no change at all.
    pub fn change(
        &mut self,
        changes: &[LineChange],
        prices: &[Option<Money>],
        limits: &QuantityLimits,
    ) -> Result<Vec<Result<(), LineRefusal>>, CartRefusal> {
        self.must_be_open()?;
        let change = |(index, change): (usize, &LineChange)| match change.quantity {
            None => {
                self.lines.retain(|line| line.sku != change.sku);
                Ok(())
            }
            Some(quantity) => {
                let price = prices.get(index).copied().flatten();
                let price = price.ok_or_else(|| LineRefusal::UnknownSku { sku: change.sku.clone() })?;
                self.set_line(&change.sku, quantity, price, limits)
            }
        };
        Ok(changes.iter().enumerate().map(change).collect())
    }

    /// A store that sells in another currency now: what was put in at a price in the old one is taken as put in
    /// at today's, `None` for what is not for sale. Units stay.
    pub fn move_to(&mut self, currency: Currency, price: impl Fn(&Sku) -> Option<Money>) {
        self.currency = currency;
        for line in self.lines.iter_mut().filter(|line| line.price_when_added.currency() != currency) {
            let today = price(&line.sku).filter(|it| it.currency() == currency);
            line.price_when_added = today.unwrap_or(Money::zero(currency));
        }
    }

    /// Sets the units of one SKU; a new SKU goes to the end. Fewer than the least that is sold at once is no
    /// refusal here but a problem of the cart: a shopper may be on the way to more.
    fn set_line(
        &mut self,
        sku: &Sku,
        quantity: Quantity,
        price: Money,
        limits: &QuantityLimits,
    ) -> Result<(), LineRefusal> {
        let at = self.lines.iter().position(|line| line.sku == *sku);
        let before = at.map_or(0, |at| self.lines[at].quantity.get());
        let (_, maximum) = limits.of(sku);
        // Fewer than before is always allowed: limits may have come later.
        if quantity.get() > before {
            if quantity.get() > maximum {
                return Err(LineRefusal::AboveMaximum { sku: sku.clone(), maximum });
            }
            let others = self.lines.iter().map(|it| it.quantity.get()).fold(0, u32::saturating_add) - before;
            if let Some(maximum) = limits.per_cart.filter(|it| others.saturating_add(quantity.get()) > *it) {
                return Err(LineRefusal::TooManyUnits { maximum });
            }
        }
        let line = CartLine { sku: sku.clone(), quantity, price_when_added: price };
        match at {
            Some(at) => self.lines[at] = line,
            None if self.lines.len() >= LINES_MAX => return Err(LineRefusal::TooManyLines),
            None => self.lines.push(line),
        }
        Ok(())
    }

    /// Puts a code on; one that is on it already changes nothing.
    ///
    /// # Errors
    /// [`CartRefusal`].
    pub fn add_code(&mut self, code: &CouponCode) -> Result<(), CartRefusal> {
        self.must_be_open()?;
        if self.codes.contains(code) {
            return Ok(());
        }
        if self.codes.len() >= CODES_MAX {
            return Err(CartRefusal::TooManyCodes);
        }
        self.codes.push(code.clone());
        Ok(())
    }

    /// Takes a code off; whether it was on.
    ///
    /// # Errors
    /// [`CartRefusal`].
    pub fn remove_code(&mut self, code: &CouponCode) -> Result<bool, CartRefusal> {
        self.must_be_open()?;
        let before = self.codes.len();
        self.codes.retain(|it| it != code);
        Ok(self.codes.len() < before)
    }

    /// # Errors
    /// [`CartRefusal`]; a locked cart refuses here even after its lock has lapsed: the caller asks the
    /// checkout first and opens the cart again if it may.
    pub fn must_be_open(&self) -> Result<(), CartRefusal> {
        match &self.state {
            CartState::Open => Ok(()),
            CartState::Locked { .. } => Err(CartRefusal::Locked),
            CartState::Ordered { order } => Err(CartRefusal::Ordered { order: *order }),
            CartState::Merged { into } => Err(CartRefusal::Merged { into: *into }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SkuLimit;
    use ulid::Ulid;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::parse("GBP").unwrap())
    }

    fn empty() -> Cart {
        Cart::new(CartId::new(Ulid::from_parts(1, 1)), gbp(0).currency())
    }

    fn set(cart: &mut Cart, name: &str, units: u32, limits: &QuantityLimits) -> Result<(), LineRefusal> {
        let change = LineChange { sku: Sku::parse(name).unwrap(), quantity: Quantity::new(units).ok() };
        cart.change(&[change], &[Some(gbp(100))], limits).unwrap().remove(0)
    }

    #[test]
    fn codes_are_on_once_and_bounded() {
        let mut cart = empty();
        let code = |n: usize| CouponCode::parse(&format!("code-{n}")).unwrap();
        for n in [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
            cart.add_code(&code(n)).unwrap();
        }
        assert_eq!(cart.codes.len(), CODES_MAX);
        assert_eq!(cart.add_code(&code(10)), Err(CartRefusal::TooManyCodes));
        assert_eq!((cart.remove_code(&code(3)), cart.remove_code(&code(3))), (Ok(true), Ok(false)));
        cart.state = CartState::Ordered { order: cart.id.checkout().order() };
        assert!(cart.add_code(&code(11)).is_err() && cart.remove_code(&code(1)).is_err());
    }

    #[test]
    fn lines_are_set_not_added_and_bounded() {
        let limits = QuantityLimits::default();
        let mut cart = empty();
        set(&mut cart, "S0", 2, &limits).unwrap();
        set(&mut cart, "S0", 3, &limits).unwrap();
        assert_eq!((cart.lines.len(), cart.lines[0].quantity.get()), (1, 3));
        for n in 1..LINES_MAX {
            set(&mut cart, &format!("S{n}"), 1, &limits).unwrap();
        }
        assert_eq!(set(&mut cart, "S100", 1, &limits), Err(LineRefusal::TooManyLines));
        set(&mut cart, "S0", 0, &limits).unwrap();
        set(&mut cart, "S0", 0, &limits).unwrap();
        assert_eq!(cart.lines.len(), 99);
        let unknown = LineChange { sku: Sku::parse("S1").unwrap(), quantity: Quantity::new(1).ok() };
        let refused = cart.change(std::slice::from_ref(&unknown), &[None], &limits).unwrap();
        assert_eq!(refused, [Err(LineRefusal::UnknownSku { sku: unknown.sku.clone() })]);
        for (state, refusal) in [
            (
                CartState::Ordered { order: cart.id.checkout().order() },
                CartRefusal::Ordered { order: cart.id.checkout().order() },
            ),
            (CartState::Merged { into: cart.id }, CartRefusal::Merged { into: cart.id }),
        ] {
            cart.state = state;
            assert_eq!(cart.change(std::slice::from_ref(&unknown), &[None], &limits), Err(refusal));
        }
    }

    #[test]
    fn more_than_a_limit_is_refused_and_less_than_before_is_not() {
        let mut limits = QuantityLimits { per_sku: 10, per_cart: Some(15), skus: Vec::new() };
        let mut cart = empty();
        let sku = Sku::parse("A").unwrap();
        assert_eq!(set(&mut cart, "A", 11, &limits), Err(LineRefusal::AboveMaximum { sku: sku.clone(), maximum: 10 }));
        set(&mut cart, "A", 10, &limits).unwrap();
        assert_eq!(set(&mut cart, "B", 6, &limits), Err(LineRefusal::TooManyUnits { maximum: 15 }));
        set(&mut cart, "B", 5, &limits).unwrap();
        limits.skus.push(SkuLimit { sku, min: 2, max: 3, per_customer: None });
        set(&mut cart, "A", 9, &limits).unwrap();
        assert!(set(&mut cart, "A", 10, &limits).is_err());
        set(&mut cart, "A", 1, &limits).unwrap();
    }

    #[test]
    fn a_cart_is_kept_by_what_it_is() {
        let mut cart = empty();
        assert_eq!(cart.kept_for(), Some(EMPTY_KEPT));
        set(&mut cart, "A", 1, &QuantityLimits::default()).unwrap();
        assert_eq!(cart.kept_for(), Some(GUEST_KEPT));
        cart.owner = Some("someone".to_owned());
        assert_eq!(cart.kept_for(), Some(CUSTOMER_KEPT));
        cart.state = CartState::Locked { until: OffsetDateTime::UNIX_EPOCH, attempt: 1 };
        assert_eq!(cart.kept_for(), None);
    }

    #[test]
    fn another_currency_moves_the_prices_and_keeps_the_units() {
        let eur = Currency::parse("EUR").unwrap();
        let mut cart = empty();
        set(&mut cart, "A", 2, &QuantityLimits::default()).unwrap();
        set(&mut cart, "B", 3, &QuantityLimits::default()).unwrap();
        cart.move_to(eur, |sku| (sku.as_str() == "A").then(|| Money::new(90, eur)));
        let lines: Vec<_> = cart.lines.iter().map(|it| (it.quantity.get(), it.price_when_added.minor())).collect();
        assert_eq!((cart.currency, lines), (eur, vec![(2, 90), (3, 0)]));
    }
}
