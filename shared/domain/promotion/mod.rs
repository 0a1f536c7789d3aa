//! Promotions as data: what is taken off ([`Effect`]), for whom and when ([`Rule`]s, dates, codes), and what
//! it may stand beside ([`Combines`]). Nothing here decides; the decision is `pricing`'s.
mod code;

use std::{collections::BTreeSet, fmt};

use time::OffsetDateTime;

pub use self::code::{BadCode, CODE_MAX, CODES_MAX, CouponCode};
use crate::{
    money::{Currency, Money},
    offer::Offer,
    price_list::plain_id,
    quantity::{QUANTITY_MAX, Quantity},
    sku::Sku,
    store::Rate,
    uses::UseLimits,
};

/// Longest id of a promotion, in characters.
pub const PROMOTION_ID_MAX: usize = 64;
/// Promotions that are looked at for one cart.
pub const PROMOTIONS_MAX: usize = 100;
/// Rules of one promotion.
pub const RULES_MAX: usize = 10;
/// SKUs, and categories, that one selection names.
pub const GOODS_MAX: usize = 500;
/// Codes shared by many buyers that open one promotion.
pub const SHARED_CODES_MAX: usize = 20;

/// 1 to 64 of `a-z0-9-`, chosen by staff.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PromotionId(String);

impl PromotionId {
    /// # Errors
    /// `BadId`.
    pub fn parse(text: &str) -> Result<PromotionId, PromotionError> {
        if plain_id(text, PROMOTION_ID_MAX) { Ok(PromotionId(text.to_owned())) } else { Err(PromotionError::BadId) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PromotionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    pub id: PromotionId,
    /// What the buyer reads beside the amount.
    pub title: String,
    pub trigger: Trigger,
    /// All of them must hold.
    pub rules: Vec<Rule>,
    /// The first moment; `None` for always.
    pub from: Option<OffsetDateTime>,
    /// The first moment after; `None` for no end.
    pub until: Option<OffsetDateTime>,
    pub effect: Effect,
    pub combines_with: Combines,
    /// The higher is applied first, and wins where two sets save the same.
    pub priority: i32,
    /// Counted and claimed when an order is completed.
    pub uses: UseLimits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    Automatic,
    /// Any of these codes, or a single-use code that the store keeps apart ([`SingleUseCode`]).
    Coded {
        codes: BTreeSet<CouponCode>,
    },
}

/// A code for one use, found in the store for a code that a buyer typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleUseCode {
    pub code: CouponCode,
    pub promotion: PromotionId,
    pub used: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The selected goods together cost at least this, as entered and before any discount.
    MinimumSpend { amount: Money, goods: Goods },
    /// At least this many units of the selected goods.
    MinimumUnits { units: u32, goods: Goods },
    /// The customer is in any of these.
    CustomerGroup { groups: BTreeSet<String> },
    /// The customer has not ordered before.
    FirstOrder,
}

/// A part of the assortment; naming nothing selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goods {
    pub skus: BTreeSet<Sku>,
    /// Slugs of categories.
    pub categories: BTreeSet<String>,
}

/// What is taken off. Percentages are of what is left after the promotions applied before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    OrderPercent {
        rate: Rate,
    },
    OrderFixed {
        amount: Money,
    },
    LinePercent {
        rate: Rate,
        goods: Goods,
    },
    /// Off each unit of the selected goods.
    LineFixed {
        amount: Money,
        goods: Goods,
    },
    ShippingPercent {
        rate: Rate,
    },
    ShippingFixed {
        amount: Money,
    },
    FreeShipping,
    /// For every `buy_units` bought, `get_units` more at `rate` off (100 % is free), the cheapest first.
    BuyGet {
        buy: Goods,
        buy_units: u32,
        get: Goods,
        get_units: u32,
        rate: Rate,
        /// How often in one order; `None` for as often as it fits.
        times_max: Option<u32>,
    },
    /// Added to the order at no charge.
    Gift {
        sku: Sku,
        units: Quantity,
    },
}

/// What a promotion works on; classes are applied in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Product,
    Order,
    Shipping,
}

/// The classes a promotion may stand beside. Two promotions combine if each allows the other's class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Combines {
    pub product: bool,
    pub order: bool,
    pub shipping: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    #[error("an id is 1 to {PROMOTION_ID_MAX} of the characters a-z 0-9 -")]
    BadId,
    #[error("a promotion has at most {RULES_MAX} rules")]
    TooManyRules,
    #[error("a selection names at most {GOODS_MAX} SKUs and {GOODS_MAX} categories")]
    TooManyGoods,
    #[error("a promotion has at most {SHARED_CODES_MAX} shared codes")]
    TooManyCodes,
    #[error("an amount must be above zero and in the store's currency, {0}")]
    BadAmount(Currency),
    #[error("a percentage must be above zero")]
    BadRate,
    #[error("units must be from 1 to {QUANTITY_MAX}")]
    BadUnits,
    #[error("a limit of uses must be above zero")]
    BadLimit,
    #[error("a promotion must end after it begins")]
    BadDates,
}

impl Class {
    pub const ALL: [Class; 3] = [Class::Product, Class::Order, Class::Shipping];

    pub const fn name(self) -> &'static str {
        match self {
            Class::Product => "product",
            Class::Order => "order",
            Class::Shipping => "shipping",
        }
    }
}

impl Combines {
    pub const ALL: Combines = Combines { product: true, order: true, shipping: true };
    pub const NONE: Combines = Combines { product: false, order: false, shipping: false };

    pub const fn allows(self, class: Class) -> bool {
        match class {
            Class::Product => self.product,
            Class::Order => self.order,
            Class::Shipping => self.shipping,
        }
    }
}

impl Goods {
    pub fn is_everything(&self) -> bool {
        self.skus.is_empty() && self.categories.is_empty()
    }

    pub fn covers(&self, offer: &Offer) -> bool {
        self.is_everything() || self.skus.contains(&offer.sku) || self.categories.contains(&offer.category)
    }

    fn fits(&self) -> bool {
        self.skus.len() <= GOODS_MAX && self.categories.len() <= GOODS_MAX
    }
}

impl Effect {
    /// Goods, gifts and buy-and-get are of the product class.
    pub const fn class(&self) -> Class {
        match self {
            Effect::OrderPercent { .. } | Effect::OrderFixed { .. } => Class::Order,
            Effect::ShippingPercent { .. } | Effect::ShippingFixed { .. } | Effect::FreeShipping => Class::Shipping,
            Effect::LinePercent { .. } | Effect::LineFixed { .. } | Effect::BuyGet { .. } | Effect::Gift { .. } => {
                Class::Product
            }
        }
    }

    /// The amount of money it names, if it names one.
    pub const fn amount(&self) -> Option<Money> {
        match self {
            Effect::OrderFixed { amount } | Effect::LineFixed { amount, .. } | Effect::ShippingFixed { amount } => {
                Some(*amount)
            }
            _ => None,
        }
    }

    const fn rate(&self) -> Option<Rate> {
        match self {
            Effect::OrderPercent { rate }
            | Effect::LinePercent { rate, .. }
            | Effect::ShippingPercent { rate }
            | Effect::BuyGet { rate, .. } => Some(*rate),
            _ => None,
        }
    }

    fn goods(&self) -> Vec<&Goods> {
        match self {
            Effect::LinePercent { goods, .. } | Effect::LineFixed { goods, .. } => vec![goods],
            Effect::BuyGet { buy, get, .. } => vec![buy, get],
            _ => Vec::new(),
        }
    }
}

impl Promotion {
    pub const fn class(&self) -> Class {
        self.effect.class()
    }

    pub fn combines(&self, other: &Promotion) -> bool {
        self.combines_with.allows(other.class()) && other.combines_with.allows(self.class())
    }

    /// Whether it is only for a customer's first order.
    pub fn first_order_only(&self) -> bool {
        self.rules.contains(&Rule::FirstOrder)
    }

    /// What must hold between the parts, in a store that sells in `currency`.
    ///
    /// # Errors
    /// [`PromotionError`].
    pub fn check(&self, currency: Currency) -> Result<(), PromotionError> {
        if self.rules.len() > RULES_MAX {
            return Err(PromotionError::TooManyRules);
        }
        if matches!(&self.trigger, Trigger::Coded { codes } if codes.len() > SHARED_CODES_MAX) {
            return Err(PromotionError::TooManyCodes);
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && from >= until
        {
            return Err(PromotionError::BadDates);
        }
        let positive = |money: Money| money.minor() > 0 && money.currency() == currency;
        if self.effect.amount().is_some_and(|it| !positive(it)) {
            return Err(PromotionError::BadAmount(currency));
        }
        if self.effect.rate() == Some(Rate::ZERO) {
            return Err(PromotionError::BadRate);
        }
        if let Effect::BuyGet { buy_units, get_units, times_max, .. } = &self.effect {
            let units = |it: u32| (1..=QUANTITY_MAX).contains(&it);
            if !units(*buy_units) || !units(*get_units) || times_max.is_some_and(|it| !units(it)) {
                return Err(PromotionError::BadUnits);
            }
        }
        if !self.effect.goods().into_iter().all(Goods::fits) {
            return Err(PromotionError::TooManyGoods);
        }
        if [self.uses.total, self.uses.per_customer].contains(&Some(0)) {
            return Err(PromotionError::BadLimit);
        }
        self.rules.iter().try_for_each(|rule| rule.check(currency))
    }
}

impl Rule {
    fn check(&self, currency: Currency) -> Result<(), PromotionError> {
        match self {
            Rule::MinimumSpend { amount, .. } if amount.minor() <= 0 || amount.currency() != currency => {
                Err(PromotionError::BadAmount(currency))
            }
            Rule::MinimumUnits { units: 0, .. } => Err(PromotionError::BadUnits),
            Rule::MinimumSpend { goods, .. } | Rule::MinimumUnits { goods, .. } if !goods.fits() => {
                Err(PromotionError::TooManyGoods)
            }
            Rule::CustomerGroup { groups } if groups.len() > GOODS_MAX => Err(PromotionError::TooManyGoods),
            Rule::MinimumSpend { .. } | Rule::MinimumUnits { .. } | Rule::CustomerGroup { .. } | Rule::FirstOrder => {
                Ok(())
            }
        }
    }
}
