//! What promotions take off, and why others do not, as carts, checkouts and dry runs show it.
use offpeak_domain::pricing::{Discount, Priced, SkipReason, SkippedPromotion};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::money::MoneyView;

/// One promotion at work.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscountView {
    pub promotion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub title: String,
    pub amount: MoneyView,
}

/// A promotion or code that takes nothing off, with a stable `reason` and what would change it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `unknown_code`, `not_yet`, `expired`, `below_minimum`, `too_few_units`, `wrong_customer`,
    /// `not_first_order`, `wrong_currency`, `not_combinable`, `exhausted`, `gift_unavailable`,
    /// `nothing_to_discount`, `already_applied`, `too_many`.
    pub reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_amount: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_units: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The promotion it may not stand beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
}

pub fn discounts(priced: &Priced) -> Vec<DiscountView> {
    priced.discounts.iter().map(Into::into).collect()
}

/// What a buyer is told: never of promotions for others, and of a code for others no more than of an unknown one.
pub fn skipped_for_buyer(priced: &Priced) -> Vec<SkippedView> {
    let told = priced.skipped.iter().filter(|it| it.is_for_buyer());
    told.map(|it| match &it.reason {
        SkipReason::WrongCustomer => {
            let (code, reason) = (it.code.clone(), SkipReason::UnknownCode);
            SkippedView::from(&SkippedPromotion { promotion: None, code, reason })
        }
        _ => SkippedView { promotion: None, ..it.into() },
    })
    .collect()
}

impl From<&Discount> for DiscountView {
    fn from(discount: &Discount) -> DiscountView {
        DiscountView {
            promotion: discount.promotion.to_string(),
            code: discount.code.as_ref().map(ToString::to_string),
            title: discount.title.clone(),
            amount: discount.amount.into(),
        }
    }
}

impl From<&SkippedPromotion> for SkippedView {
    fn from(skipped: &SkippedPromotion) -> SkippedView {
        let mut view = SkippedView {
            promotion: skipped.promotion.as_ref().map(ToString::to_string),
            code: skipped.code.as_ref().map(ToString::to_string),
            reason: skipped.reason.name(),
            missing_amount: None,
            missing_units: None,
            from: None,
            until: None,
            with: None,
            sku: None,
        };
        match &skipped.reason {
            SkipReason::BelowMinimum { missing } => view.missing_amount = Some((*missing).into()),
            SkipReason::TooFewUnits { missing } => view.missing_units = Some(*missing),
            SkipReason::NotYet { from } => view.from = from.format(&Rfc3339).ok(),
            SkipReason::Expired { until } => view.until = until.format(&Rfc3339).ok(),
            SkipReason::NotCombinable { with } => view.with = Some(with.to_string()),
            SkipReason::GiftUnavailable { sku } => view.sku = Some(sku.to_string()),
            _ => {}
        }
        view
    }
}
