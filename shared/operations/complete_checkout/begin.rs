//! The beginning: price the cart as it is now, compare with what the buyer expects, freeze it.
use offpeak_domain::{
    address::Destination,
    cart::Cart,
    checkout::{
        Attempt, Checkout, CheckoutState, HOLD_FOR, KeyUse, LEASE, RESUME_AFTER, Shortage, Step, customer_keys,
    },
    offer::Offer,
    pricing::{Priced, PricingProblem},
    problems::{self, CartProblem},
    sku::Sku,
};

use super::{ChangedLine, CompleteCheckout, CompleteError, Final, carts, drive::Run, effects, outbox::Outgoing};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, StoredCheckout},
    },
    operations::{
        Shop, checkouts, customer_limits,
        promotions::quote::{Asked, Freshness, QuoteError, quote},
        stock,
        taxes::{TaxError, TaxedBasket},
    },
    ports::{documents::ETag, taxes::TaxesUnavailable},
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
    refuse_sold_out(shop, cart).await?;
    let offers = shop.catalogue.offers_latest(&skus).await?;
    let priced = match price(shop, &seen.value.checkout, cart, &offers).await? {
        Ok(priced) => priced,
        Err(refusal) => return Ok(Begun::Refused(refusal)),
    };
    let actual = priced.totals.total;
    if actual != command.expected_total {
        let changed = changed(cart, &offers);
        return Ok(Begun::Refused(Final::TotalChanged { expected: command.expected_total, actual, changed }));
    }

    let now = shop.ports.clock.now();
    let mut stored = seen.value;
    stored.checkout.attempts += 1;
    stored.checkout.fence += 1;
    stored.checkout.buyer.account.clone_from(&priced_cart.value.cart.owner);
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
    let run = Run {
        seen,
        unpublished: events,
        said: None,
        fresh: true,
        cart: Some(priced_cart),
        order: None,
        holds: effects::Holds::default(),
    };
    Ok(Begun::Run(Box::new(run)))
}

/// Nothing is decided by this: the buyer may send the same call again.
async fn refuse_sold_out(shop: &Shop, cart: &Cart) -> Result<(), CompleteError> {
    let skus: Vec<&Sku> = cart.lines.iter().map(|line| &line.sku).collect();
    let sold_out = stock::sold_out::known(&shop.ports, &skus).await;
    let lines = cart.lines.iter().zip(sold_out).filter(|(_, sold_out)| *sold_out);
    let short: Vec<Shortage> = lines
        .map(|(line, _)| Shortage { sku: line.sku.clone(), requested: i64::from(line.quantity.get()), available: 0 })
        .collect();
    if short.is_empty() { Ok(()) } else { Err(CompleteError::SoldOut { short }) }
}

/// What the cart costs by what is stored now, unless something stands in the way: the same list as the cart's and
/// the checkout's. About stock the stock itself will be asked.
async fn price(
    shop: &Shop,
    checkout: &Checkout,
    cart: &Cart,
    offers: &[Option<Offer>],
) -> Result<Result<Priced, Final>, CompleteError> {
    let settings = shop.settings_latest().await?;
    let destination = Destination::from(&checkout.buyer.shipping_address);
    let mut problems = problems::of_lines(&cart.lines, offers, None, &settings.limits);
    let (customers, own) = (customer_keys(Some(&checkout.buyer.email), cart.owner.as_deref()), checkout.id.order());
    let above = customer_limits::problems(&shop.ports, &settings.limits, &cart.lines, &customers, own);
    problems.extend(above.await?);
    let method = checkouts::reaching(&settings, &destination, &checkout.shipping_method, &mut problems);
    let lines = carts::sellable(cart, offers);
    let basket = TaxedBasket { lines: &lines, destination: Some(&destination), method };
    // A basket that is refused anyway asks no service.
    let taxes = if problems.iter().any(CartProblem::blocks) {
        None
    } else {
        match shop.taxes.charged(&settings, &basket).await {
            Ok(taxes) => taxes,
            Err(TaxError::Pricing(err)) => return Ok(Err(Final::Pricing(err))),
            Err(TaxError::Unavailable(err)) => return Err(err.into()),
        }
    };
    let asked = Asked {
        lines: &lines,
        codes: &cart.codes,
        groups: &cart.groups,
        order: Some(own),
        customers: &customers,
        destination: Some(&destination),
        method,
        taxes: taxes.as_deref(),
    };
    let priced = match quote(shop, &settings, &asked, Freshness::Latest).await {
        Ok(priced) => priced,
        Err(QuoteError::Pricing(err)) => return Ok(Err(Final::Pricing(err))),
        Err(QuoteError::Store(err)) => return Err(err.into()),
    };
    if priced.problems.iter().any(|it| matches!(it, PricingProblem::TaxUnknown { .. })) {
        return Err(TaxesUnavailable("it left out a line, or shipping".into()).into());
    }
    problems::of_pricing(&priced, &mut problems);
    if problems.iter().any(CartProblem::blocks) {
        let shipping_options = settings.shipping_options(&destination).into_iter().cloned().collect();
        return Ok(Err(Final::Problems { problems, shipping_options }));
    }
    Ok(Ok(priced))
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
