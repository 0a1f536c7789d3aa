//! One way to a price: what the pure function needs is gathered here, for a cart, a checkout, a completion and a
//! dry run alike.
//!
//! Limits are looked at after pricing: a limited promotion that took something off is asked how many uses are
//! left, and if none are, the basket is priced again without it. That only spares the buyer a refusal; what
//! decides is the claim at completion.
use futures_util::future::{join_all, try_join_all};
use offpeak_domain::{
    address::Destination,
    ids::OrderId,
    offer::Offer,
    pricing::{self, Basket, CustomerFacts, Discount, Priced, PricingError, Snapshot},
    promotion::{CODES_MAX, CouponCode, Effect, Promotion, PromotionId, SingleUseCode, Trigger},
    quantity::Quantity,
    sku::Sku,
    store::StoreSettings,
    tax::ProvidedTaxes,
    uses::{UseState, Used},
};
use time::OffsetDateTime;

use super::book::Offering;
use crate::shared::{
    documents::{
        coupon_codes::{self, code_pool},
        promo_use::{self, PoolKey},
    },
    operations::{Shop, stock},
    ports::documents::StoreError,
};

/// How often a basket is priced again because a promotion turned out to be used up.
const ROUNDS_MAX: usize = 8;

/// How new the facts must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Some seconds old, for what is only shown.
    Browsing,
    /// As stored now, for what is charged.
    Latest,
}

/// A basket to be priced.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub lines: &'a [(Offer, Quantity)],
    /// At most [`CODES_MAX`] are looked at.
    pub codes: &'a [CouponCode],
    /// Of the customer who is signed in.
    pub groups: &'a [String],
    /// The order it may become: its own claims do not count against it.
    pub order: Option<OrderId>,
    /// The keys of who buys, see [`customer_keys`](offpeak_domain::checkout::customer_keys). Empty before anything
    /// is known: then the customer is taken for a new one.
    pub customers: &'a [String],
    pub destination: Option<&'a Destination>,
    pub method: Option<&'a str>,
    pub taxes: Option<&'a ProvidedTaxes>,
}

#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The price of a basket now.
///
/// # Errors
/// [`QuoteError`].
pub async fn quote(
    shop: &Shop,
    settings: &StoreSettings,
    asked: &Asked<'_>,
    freshness: Freshness,
) -> Result<Priced, QuoteError> {
    let documents = shop.ports.documents.as_ref();
    let offering = match freshness {
        Freshness::Browsing => shop.promotions.offering(documents).await?,
        Freshness::Latest => shop.promotions.latest(documents).await?,
    };
    quote_with(shop, settings, &offering, asked, freshness, shop.ports.clock.now()).await
}

/// The price of a basket under these promotions and price lists, at this moment.
///
/// # Errors
/// [`QuoteError`].
pub async fn quote_with(
    shop: &Shop,
    settings: &StoreSettings,
    offering: &Offering,
    asked: &Asked<'_>,
    freshness: Freshness,
    now: OffsetDateTime,
) -> Result<Priced, QuoteError> {
    let codes = &asked.codes[..asked.codes.len().min(CODES_MAX)];
    let single_use_codes = single_use_codes(shop, offering, codes, asked.order).await?;
    let gifts = gifts(shop, offering, codes, &single_use_codes, asked, freshness).await?;
    let first_order = !offering.asks_for_first_orders() || is_first_order(shop, asked).await?;
    let customer = CustomerFacts { groups: asked.groups.to_vec(), first_order };
    let (lines, destination, method) = (asked.lines, asked.destination, asked.method);
    let basket = Basket { lines, codes, customer: &customer, destination, method };
    let mut exhausted: Vec<PromotionId> = Vec::new();
    let mut asked_of: Vec<PromotionId> = Vec::new();
    for round in 0..=ROUNDS_MAX {
        let snapshot = Snapshot {
            settings,
            price_lists: &offering.price_lists,
            promotions: &offering.promotions,
            gifts: &gifts,
            single_use_codes: &single_use_codes,
            exhausted: &exhausted,
            taxes: asked.taxes,
        };
        let priced = pricing::price(&snapshot, &basket, now)?;
        let is_limited = |it: &Discount| it.limits.total.is_some() || it.limits.per_customer.is_some();
        let unasked: Vec<&Discount> =
            priced.discounts.iter().filter(|it| is_limited(it) && !asked_of.contains(&it.promotion)).collect();
        let spent = try_join_all(unasked.iter().map(|it| is_spent(shop, it, asked))).await?;
        let spent: Vec<PromotionId> =
            unasked.iter().zip(spent).filter(|(_, spent)| *spent).map(|(it, _)| it.promotion.clone()).collect();
        // After so many used-up promotions in a row the claim decides about the rest.
        if spent.is_empty() || round == ROUNDS_MAX {
            return Ok(priced);
        }
        asked_of.extend(unasked.iter().map(|it| it.promotion.clone()));
        exhausted.extend(spent);
    }
    Err(StoreError::Refused("a basket was priced without end".to_owned()).into())
}

/// Whether this customer has no other order, under any name.
async fn is_first_order(shop: &Shop, asked: &Asked<'_>) -> Result<bool, StoreError> {
    let pools: Vec<PoolKey> = asked.customers.iter().map(|it| PoolKey::customer(it)).collect();
    let counts = try_join_all(pools.iter().map(|pool| used(shop, pool, &[], asked.order))).await?;
    Ok(counts.iter().all(|used| used.total == 0))
}

/// Whether a limited promotion has no use left for this customer.
async fn is_spent(shop: &Shop, discount: &Discount, asked: &Asked<'_>) -> Result<bool, StoreError> {
    let pool = PoolKey::promotion(discount.promotion.as_str());
    let used = used(shop, &pool, asked.customers, asked.order).await?;
    let limits = discount.limits;
    let spent_by_customer = |most: u32| used.by_customer.iter().any(|it| *it >= most);
    Ok(limits.total.is_some_and(|most| used.total >= most) || limits.per_customer.is_some_and(spent_by_customer))
}

/// Live claims of a pool, and those under each of the customer's names; without this order's own.
async fn used(shop: &Shop, pool: &PoolKey, customers: &[String], own: Option<OrderId>) -> Result<Used, StoreError> {
    let documents = shop.ports.documents.as_ref();
    let by_customer = try_join_all(customers.iter().map(|it| promo_use::read_customer(documents, pool, it)));
    let (total, by_customer) = tokio::try_join!(promo_use::read_counter(documents, pool), by_customer)?;
    let used = Used { total: total.live, by_customer: by_customer.iter().map(|it| it.live).collect() };
    let Some(own) = own.filter(|_| used.total > 0) else { return Ok(used) };
    let mine = promo_use::read_claim(documents, pool, own).await?.filter(|it| it.value.state == UseState::Live);
    let Some(mine) = mine else { return Ok(used) };
    let others = |(key, count): (&String, u32)| count.saturating_sub(u32::from(mine.value.customers.contains(key)));
    let by_customer = customers.iter().zip(used.by_customer).map(others).collect();
    Ok(Used { total: used.total.saturating_sub(1), by_customer })
}

/// What the store knows of the codes that no promotion shares.
async fn single_use_codes(
    shop: &Shop,
    offering: &Offering,
    codes: &[CouponCode],
    own: Option<OrderId>,
) -> Result<Vec<SingleUseCode>, StoreError> {
    let documents = shop.ports.documents.as_ref();
    let unshared = codes.iter().filter(|it| offering.shared_code(it).is_none());
    let looks = unshared.map(|code| async move {
        let Some(entry) = coupon_codes::read_code(documents, code).await? else { return Ok(None) };
        let Ok(promotion) = PromotionId::parse(&entry.promotion) else { return Ok(None) };
        let live = used(shop, &code_pool(code), &[], own).await?.total;
        Ok(Some(SingleUseCode { code: code.clone(), promotion, used: live > 0 }))
    });
    let found: Vec<Result<_, StoreError>> = join_all(looks).await;
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The goods that promotions within reach give away, as far as they can be had beside what is bought.
async fn gifts(
    shop: &Shop,
    offering: &Offering,
    codes: &[CouponCode],
    single_use: &[SingleUseCode],
    asked: &Asked<'_>,
    freshness: Freshness,
) -> Result<Vec<Offer>, StoreError> {
    let within_reach = |it: &&Promotion| match &it.trigger {
        Trigger::Automatic => true,
        Trigger::Coded { codes: shared } => {
            codes.iter().any(|code| shared.contains(code)) || single_use.iter().any(|code| code.promotion == it.id)
        }
    };
    let mut wanted: Vec<(Sku, i64)> = Vec::new();
    for promotion in offering.promotions.iter().filter(within_reach) {
        let Effect::Gift { sku, units } = &promotion.effect else { continue };
        let bought = asked.lines.iter().filter(|(offer, _)| offer.sku == *sku);
        let bought: i64 = bought.map(|(_, quantity)| i64::from(quantity.get())).sum();
        let units = bought + i64::from(units.get());
        match wanted.iter_mut().find(|(it, _)| it == sku) {
            Some((_, most)) => *most = units.max(*most),
            None => wanted.push((sku.clone(), units)),
        }
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let skus: Vec<Sku> = wanted.iter().map(|(sku, _)| sku.clone()).collect();
    let offers = match freshness {
        Freshness::Browsing => shop.catalogue.offers(&skus).await?,
        Freshness::Latest => shop.catalogue.offers_latest(&skus).await?,
    };
    let available = stock::available(&shop.ports, &skus).await?;
    let enough = offers.into_iter().zip(available).zip(&wanted).filter(|((_, have), (_, units))| have >= units);
    Ok(enough.filter_map(|((offer, _), _)| offer).collect())
}
