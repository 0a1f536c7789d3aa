//! What promotions take off a basket.
use time::OffsetDateTime;

use super::{Basket, Discount, PricingError, SkipReason, SkippedPromotion, Snapshot, basket::Item};
use crate::{money::Money, promotion::PromotionId};

/// What is taken off, given away and passed over.
#[derive(Default)]
pub(super) struct Reduction<'a> {
    /// With a share for each item and then for each gift.
    pub discounts: Vec<Discount>,
    pub gifts: Vec<(Item<'a>, PromotionId)>,
    pub skipped: Vec<SkippedPromotion>,
}

pub(super) fn reduce<'a>(
    _snapshot: &Snapshot<'a>,
    basket: &Basket<'a>,
    _items: &[Item<'a>],
    _shipping: Option<Money>,
    _now: OffsetDateTime,
) -> Result<Reduction<'a>, PricingError> {
    let unknown = |code: &crate::promotion::CouponCode| SkippedPromotion {
        promotion: None,
        code: Some(code.clone()),
        reason: SkipReason::UnknownCode,
    };
    Ok(Reduction { skipped: basket.codes.iter().map(unknown).collect(), ..Reduction::default() })
}
