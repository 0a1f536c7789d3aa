//! The beginning: price the cart as it is now, compare with what the buyer expects, freeze it.
use offpeak_domain::{
    address::Destination,
    cart::Cart,
    checkout::{Attempt, Checkout, CheckoutState, HOLD_FOR, KeyUse, LEASE, RESUME_AFTER, Step},
    offer::Offer,
    pricing::{Priced, PricingError, PricingProblem},
    sku::Sku,
};

use super::{ChangedLine, CompleteCheckout, CompleteError, Final, carts, drive::Run, effects, outbox::Outgoing};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, StoredCheckout},
    },
    operations::{
        Shop,
        promotions::quote::{Asked, Freshness, QuoteError, quote},
    },
    ports::documents::ETag,
};

pub(super) enum Begun {
    Run(Box<Run>),
    Refused(Final),
}

/// Nothing is held or charged yet; a refusal here leaves no trace but the key's answer.
pub(super) async fn begin(
    shop: &Shop,
    command: &CompleteCheckout,
    by: &KeyUse,
    seen: Seen<StoredCheckout>,
) -> Result<Begun, CompleteError> {
    let priced_cart = match carts::open_cart(shop, command.checkout.cart(), &command.token).await {
        Ok(seen) => seen,
        Err(carts::CartError::Store(err)) => return Err(err.into()),
        Err(_) => return Err(CompleteError::NotFound),
    };
    let cart = &priced_cart.value.cart;
    if cart.lines.is_empty() {
        return Ok(Begun::Refused(Final::Empty));
    }
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers_latest(&skus).await?;
    let missing: Vec<Sku> =
        skus.into_iter().zip(&offers).filter(|(_, offer)| offer.is_none()).map(|(sku, _)| sku).collect();
    if !missing.is_empty() {
        return Ok(Begun::Refused(Final::Unavailable { skus: missing }));
    }
    let priced = match price(shop, &seen.value.checkout, cart, &offers).await? {
        Ok(priced) => priced,
        Err(err) => return Ok(Begun::Refused(Final::Pricing(err))),
    };
    let unpriced: Vec<Sku> = priced.problems.iter().filter_map(unpriced).collect();
    if !unpriced.is_empty() {
        return Ok(Begun::Refused(Final::Unavailable { skus: unpriced }));
    }
    let actual = priced.totals.total;
    if actual != command.expected_total {
        let changed = changed(cart, &offers);
        return Ok(Begun::Refused(Final::TotalChanged { expected: command.expected_total, actual, changed }));
    }

    let now = shop.ports.clock.now();
    let mut stored = seen.value;
    stored.checkout.attempts += 1;
    stored.checkout.fence += 1;
    stored.checkout.state = CheckoutState::Completing(Box::new(Attempt {
        number: stored.checkout.attempts,
        by: by.clone(),
        payment: command.payment.clone(),
        provider_id: None,
        priced,
        step: Step::Holding,
        fence: stored.checkout.fence,
        lease_until: Some(now + LEASE),
        hold_until: now + HOLD_FOR,
    }));
    let mut outgoing = Outgoing::default();
    let name = stored.checkout.attempts.to_string();
    outgoing.add(effects::resume_message(command.checkout, &name, now + RESUME_AFTER));
    let mut writes = vec![purchases::put_checkout(&stored, Some(&seen.etag), now)?];
    writes.extend(outgoing.rows(command.checkout, now)?);
    let etags = purchases::write(shop.ports.documents.as_ref(), command.checkout, writes).await?;
    let etag = etags.first().cloned().unwrap_or(ETag(String::new()));
    let events = outgoing.written(command.checkout, &etags);
    let seen = Seen { value: stored, etag };
    Ok(Begun::Run(Box::new(Run { seen, unpublished: events, said: None, fresh: true, cart: Some(priced_cart) })))
}

/// What the cart costs by what is stored now; the inner error is the buyer's.
async fn price(
    shop: &Shop,
    checkout: &Checkout,
    cart: &Cart,
    offers: &[Option<Offer>],
) -> Result<Result<Priced, PricingError>, CompleteError> {
    let settings = shop.settings_latest().await?;
    let destination = Destination::from(&checkout.buyer.shipping_address);
    let lines = carts::sellable(cart, offers);
    let asked = Asked {
        lines: &lines,
        codes: &cart.codes,
        groups: &cart.groups,
        order: Some(checkout.id.order()),
        email: Some(&checkout.buyer.email),
        destination: Some(&destination),
        method: Some(&checkout.shipping_method),
        taxes: None,
    };
    match quote(shop, &settings, &asked, Freshness::Latest).await {
        Ok(priced) => Ok(Ok(priced)),
        Err(QuoteError::Pricing(err)) => Ok(Err(err)),
        Err(QuoteError::Store(err)) => Err(err.into()),
    }
}

fn unpriced(problem: &PricingProblem) -> Option<Sku> {
    match problem {
        PricingProblem::NoPrice { sku } => Some(sku.clone()),
        PricingProblem::TaxUnknown { .. } => None,
    }
}

fn changed(cart: &Cart, offers: &[Option<Offer>]) -> Vec<ChangedLine> {
    let lines = cart.lines.iter().zip(offers);
    lines
        .filter_map(|(line, offer)| {
            let now = offer.as_ref()?.price;
            let was = line.price_when_added;
            (was != now).then(|| ChangedLine { sku: line.sku.clone(), was, now })
        })
        .collect()
}
