//! A promotion as JSON: what staff write, and what is stored. Amounts are minor units as text, shares are
//! millionths. Every fault names the member it is about.
use std::collections::BTreeSet;

use offpeak_domain::{
    catalogue::slug::Slug,
    money::{Currency, Money},
    promotion::{Combines, CouponCode, Effect, Goods, Promotion, PromotionError, PromotionId, Rule, Trigger},
    quantity::Quantity,
    sku::Sku,
    store::Rate,
    uses::UseLimits,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::super::Minor;

/// Longest title, in characters.
pub const TITLE_MAX: usize = 120;
/// Longest name of a customer group, in characters.
pub const GROUP_MAX: usize = 64;

/// One fault of a form: the member, as a path from the form's root, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct FormFault {
    pub field: String,
    pub detail: String,
}

impl FormFault {
    pub fn new(field: impl Into<String>, detail: impl ToString) -> FormFault {
        FormFault { field: field.into(), detail: detail.to_string() }
    }
}

/// A promotion as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromotionForm {
    pub title: String,
    pub trigger: TriggerForm,
    /// All of them must hold.
    #[serde(default)]
    pub rules: Vec<RuleForm>,
    /// The first moment, RFC 3339.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// The first moment after.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    pub effect: EffectForm,
    /// Classes it may stand beside.
    #[serde(default)]
    pub combines_with: Vec<ClassForm>,
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub uses: UsesForm,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TriggerForm {
    Automatic,
    /// Without codes it waits for single-use codes.
    Coded {
        #[serde(default)]
        codes: Vec<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum RuleForm {
    MinimumSpend {
        amount: MoneyForm,
        #[serde(default)]
        goods: GoodsForm,
    },
    MinimumUnits {
        units: u32,
        #[serde(default)]
        goods: GoodsForm,
    },
    CustomerGroup {
        groups: Vec<String>,
    },
    FirstOrder,
}

/// Naming nothing selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodsForm {
    #[serde(default)]
    pub skus: Vec<String>,
    #[serde(default)]
    pub categories: Vec<String>,
}

/// Shares are in millionths: 10 % is 100,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum EffectForm {
    OrderPercent {
        millionths: u32,
    },
    OrderFixed {
        amount: MoneyForm,
    },
    LinePercent {
        millionths: u32,
        #[serde(default)]
        goods: GoodsForm,
    },
    LineFixed {
        amount: MoneyForm,
        #[serde(default)]
        goods: GoodsForm,
    },
    ShippingPercent {
        millionths: u32,
    },
    ShippingFixed {
        amount: MoneyForm,
    },
    FreeShipping,
    BuyGet {
        #[serde(default)]
        buy: GoodsForm,
        buy_units: u32,
        #[serde(default)]
        get: GoodsForm,
        get_units: u32,
        /// Of the units got; 1,000,000 is free.
        #[serde(default = "whole")]
        millionths: u32,
        #[serde(default)]
        times_max: Option<u32>,
    },
    Gift {
        sku: String,
        units: u32,
    },
}

const fn whole() -> u32 {
    1_000_000
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyForm {
    pub amount: Minor,
    pub currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassForm {
    Product,
    Order,
    Shipping,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsesForm {
    #[serde(default)]
    pub total: Option<u32>,
    #[serde(default)]
    pub per_customer: Option<u32>,
}

impl PromotionForm {
    /// What the form means, if it may be stored in a shop that sells in `currency`.
    ///
    /// # Errors
    /// The first [`FormFault`].
    pub fn checked(self, id: PromotionId, currency: Currency) -> Result<Promotion, FormFault> {
        let promotion = self.into_domain(id)?;
        promotion.check(currency).map_err(|err| fault_of(&promotion, &err, currency))?;
        Ok(promotion)
    }

    /// What the form means. A shop that has changed its currency keeps its old promotions; pricing passes over
    /// them.
    ///
    /// # Errors
    /// The first [`FormFault`].
    pub fn into_domain(self, id: PromotionId) -> Result<Promotion, FormFault> {
        Ok(Promotion {
            id,
            title: title(&self.title)?,
            trigger: self.trigger.into_domain()?,
            rules: self.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?,
            from: self.from,
            until: self.until,
            effect: self.effect.into_domain()?,
            combines_with: Combines {
                product: self.combines_with.contains(&ClassForm::Product),
                order: self.combines_with.contains(&ClassForm::Order),
                shipping: self.combines_with.contains(&ClassForm::Shipping),
            },
            priority: self.priority,
            uses: UseLimits { total: self.uses.total, per_customer: self.uses.per_customer },
        })
    }
}

/// Which member breaks the rule that joins the parts.
fn fault_of(promotion: &Promotion, err: &PromotionError, currency: Currency) -> FormFault {
    let wrong = |money: Money| money.minor() <= 0 || money.currency() != currency;
    let field = match err {
        PromotionError::BadId => "id",
        PromotionError::BadAmount(_) if promotion.effect.amount().is_some_and(wrong) => "effect",
        PromotionError::BadAmount(_) | PromotionError::TooManyRules => "rules",
        PromotionError::TooManyCodes => "trigger.coded.codes",
        PromotionError::BadLimit => "uses",
        PromotionError::BadDates => "until",
        PromotionError::BadRate => "effect",
        PromotionError::BadUnits | PromotionError::TooManyGoods => "effect or rules",
    };
    FormFault::new(field, err)
}

/// 1 to [`TITLE_MAX`] printable characters, trimmed.
pub(in super::super) fn title(text: &str) -> Result<String, FormFault> {
    let text = text.trim();
    let fits = (1..=TITLE_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(FormFault::new("title", format!("1 to {TITLE_MAX} printable characters")))
    }
}

/// A customer group as identity names it.
pub(in super::super) fn group(field: &str, text: &str) -> Result<String, FormFault> {
    let fits = (1..=GROUP_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(FormFault::new(field, format!("a group is 1 to {GROUP_MAX} printable characters")))
    }
}

fn rule((index, form): (usize, RuleForm)) -> Result<Rule, FormFault> {
    let path = |rest: &str| format!("rules[{index}].{rest}");
    Ok(match form {
        RuleForm::MinimumSpend { amount, goods } => Rule::MinimumSpend {
            amount: amount.into_domain(&path("minimum_spend.amount"))?,
            goods: goods.into_domain(&path("minimum_spend.goods"))?,
        },
        RuleForm::MinimumUnits { units, goods } => {
            Rule::MinimumUnits { units, goods: goods.into_domain(&path("minimum_units.goods"))? }
        }
        RuleForm::CustomerGroup { groups } => {
            let field = path("customer_group.groups");
            let groups: BTreeSet<String> = groups.iter().map(|it| group(&field, it)).collect::<Result<_, _>>()?;
            if groups.is_empty() {
                return Err(FormFault::new(field, "name at least one group"));
            }
            Rule::CustomerGroup { groups }
        }
        RuleForm::FirstOrder => Rule::FirstOrder,
    })
}

impl TriggerForm {
    fn into_domain(self) -> Result<Trigger, FormFault> {
        let TriggerForm::Coded { codes } = self else { return Ok(Trigger::Automatic) };
        let parse = |text: &String| CouponCode::parse(text).map_err(|err| FormFault::new("trigger.coded.codes", err));
        Ok(Trigger::Coded { codes: codes.iter().map(parse).collect::<Result<_, _>>()? })
    }
}

impl GoodsForm {
    fn into_domain(self, path: &str) -> Result<Goods, FormFault> {
        let sku = |text: &String| Sku::parse(text).map_err(|err| FormFault::new(format!("{path}.skus"), err));
        let category = |text: String| match Slug::parse(&text) {
            Ok(_) => Ok(text),
            Err(err) => Err(FormFault::new(format!("{path}.categories"), err)),
        };
        Ok(Goods {
            skus: self.skus.iter().map(sku).collect::<Result<_, _>>()?,
            categories: self.categories.into_iter().map(category).collect::<Result<_, _>>()?,
        })
    }
}

impl EffectForm {
    fn into_domain(self) -> Result<Effect, FormFault> {
        Ok(match self {
            EffectForm::OrderPercent { millionths } => {
                Effect::OrderPercent { rate: rate("effect.order_percent.millionths", millionths)? }
            }
            EffectForm::OrderFixed { amount } => {
                Effect::OrderFixed { amount: amount.into_domain("effect.order_fixed.amount")? }
            }
            EffectForm::LinePercent { millionths, goods } => Effect::LinePercent {
                rate: rate("effect.line_percent.millionths", millionths)?,
                goods: goods.into_domain("effect.line_percent.goods")?,
            },
            EffectForm::LineFixed { amount, goods } => Effect::LineFixed {
                amount: amount.into_domain("effect.line_fixed.amount")?,
                goods: goods.into_domain("effect.line_fixed.goods")?,
            },
            EffectForm::ShippingPercent { millionths } => {
                Effect::ShippingPercent { rate: rate("effect.shipping_percent.millionths", millionths)? }
            }
            EffectForm::ShippingFixed { amount } => {
                Effect::ShippingFixed { amount: amount.into_domain("effect.shipping_fixed.amount")? }
            }
            EffectForm::FreeShipping => Effect::FreeShipping,
            EffectForm::BuyGet { buy, buy_units, get, get_units, millionths, times_max } => Effect::BuyGet {
                buy: buy.into_domain("effect.buy_get.buy")?,
                buy_units,
                get: get.into_domain("effect.buy_get.get")?,
                get_units,
                rate: rate("effect.buy_get.millionths", millionths)?,
                times_max,
            },
            EffectForm::Gift { sku, units } => Effect::Gift {
                sku: Sku::parse(&sku).map_err(|err| FormFault::new("effect.gift.sku", err))?,
                units: Quantity::new(units).map_err(|err| FormFault::new("effect.gift.units", err))?,
            },
        })
    }
}

impl MoneyForm {
    fn into_domain(self, path: &str) -> Result<Money, FormFault> {
        let currency =
            Currency::parse(&self.currency).map_err(|err| FormFault::new(format!("{path}.currency"), err))?;
        Ok(Money::new(self.amount.0, currency))
    }
}

fn rate(path: &str, millionths: u32) -> Result<Rate, FormFault> {
    Rate::new(millionths).ok_or_else(|| FormFault::new(path, "at most 1000000, which is 100 %"))
}
