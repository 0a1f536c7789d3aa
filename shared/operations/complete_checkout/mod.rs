//! The one way from a checkout to an order, called by the buyer and by the resume message alike.
//!
//! A completion is a saga over single-partition batches; any await may be its last. What it has done so
//! far stands in the checkout document; whoever comes after the lease has lapsed takes over with a higher
//! fence and goes on from there. The steps, their guards and their undoing:
//!
//! | step | effect | repeated | undone |
//! |---|---|---|---|
//! | begin | checkout: frozen prices, a fresh fence, resume message armed | etag | the rest |
//! | holding | cart locked, stock held, uses of promotions claimed | hold and claim keyed by checkout, fenced | cart opened, hold and uses released |
//! | paying | hidden order; payment authorised under the attempt's name | provider's key; asked first | voided, order failed |
//! | finalising | stock claimed, money captured, order placed with its events | hold's state, key, etag | forward only once captured |
mod begin;
mod drive;
mod effects;
mod finalise;

use std::time::Duration;

use offpeak_domain::{
    checkout::{Checkout, CheckoutState, KeyUse, PaymentChoice, Refusal, Shortage, Step},
    ids::CheckoutId,
    money::Money,
    pricing::PricingError,
    problems::CartProblem,
    sku::Sku,
    store::ShippingRate,
};
use time::OffsetDateTime;

use super::{
    SettingsError, Shop, carts, checkouts,
    kept_answers::{Completed, KeptError, Rendered, keep, replay},
    outbox,
    payment_events::{self, SettleError},
    sha256,
};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, Order, StoredCheckout},
    },
    ports::{bus::BusError, documents::StoreError, payments::PaymentError, taxes::TaxesUnavailable},
};
use drive::{Driven, Run};
pub(crate) use effects::resume_message;

/// How often a call looks again because another run moved the checkout under it.
const ROUNDS_MAX: u32 = 6;

/// How long after a lease or a hold has ended the next look comes.
const LOOK_AFTER: time::Duration = time::Duration::seconds(5);
/// How long after a look that failed the next one comes.
const LOOK_AFTER_FAILURE: time::Duration = time::Duration::seconds(30);

/// What the buyer asks for.
#[derive(Clone, Debug)]
pub struct CompleteCheckout {
    pub checkout: CheckoutId,
    /// The cart's token.
    pub token: String,
    pub idempotency_key: String,
    /// The total the buyer was shown; nothing else is ever charged.
    pub expected_total: Money,
    pub payment: PaymentChoice,
}

/// How a call ended, for good or for now.
#[derive(Clone, Debug)]
pub enum Outcome {
    Placed(Box<Order>),
    /// The buyer must go to `url`, then call again with the same key.
    ActionRequired {
        url: String,
    },
    Refused(Final),
}

/// Refusals that are final for their key.
#[derive(Clone, Debug)]
pub enum Final {
    Empty,
    /// What stands in the way, as the cart and the checkout list it, and the methods that reach the address.
    Problems {
        problems: Vec<CartProblem>,
        shipping_options: Vec<ShippingRate>,
    },
    /// What the buyer expected and what it is now.
    TotalChanged {
        expected: Money,
        actual: Money,
        changed: Vec<ChangedLine>,
    },
    Pricing(PricingError),
    Ended(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLine {
    pub sku: Sku,
    pub was: Money,
    pub now: Money,
}

/// The caller's way to write an outcome down. It is kept with the key.
pub type Render = fn(&Outcome) -> Rendered;

#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    #[error("no such checkout")]
    NotFound,
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A moment ago nothing was left of these; how many of each are asked for.
    #[error("sold out a moment ago")]
    SoldOut { short: Vec<Shortage> },
    #[error("another run is completing this checkout")]
    InProgress { retry_after_s: u32 },
    #[error("there is no such payment method")]
    UnknownMethod,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nothing is charged on a guess.
    #[error(transparent)]
    Taxes(#[from] TaxesUnavailable),
    #[error(transparent)]
    Payment(#[from] PaymentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl From<KeptError> for CompleteError {
    fn from(err: KeptError) -> CompleteError {
        match err {
            KeptError::KeyReused => CompleteError::KeyReused,
            KeptError::InProgress => CompleteError::InProgress { retry_after_s: 1 },
            KeptError::Store(err) => err.into(),
        }
    }
}

impl From<SettleError> for CompleteError {
    fn from(err: SettleError) -> CompleteError {
        match err {
            SettleError::Payment(err) => err.into(),
            SettleError::Bus(err) => err.into(),
            SettleError::Store(err) => err.into(),
        }
    }
}

/// Completes a checkout. Repeating the call, from anywhere, at any time, makes no second order.
///
/// # Errors
/// [`CompleteError`]: nothing final was decided; the same call may be made again.
pub async fn complete_checkout(
    shop: &Shop,
    command: &CompleteCheckout,
    render: Render,
) -> Result<Completed, CompleteError> {
    if !shop.ports.payments.accepts(&command.payment.method) {
        return Err(CompleteError::UnknownMethod);
    }
    let by = key_use(command);
    for round in 0..ROUNDS_MAX {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(round) * 5)).await;
        }
        let seen = checkouts::open_checkout(shop, command.checkout, &command.token).await.map_err(not_found)?;
        if let Some(answer) = replay(shop, command.checkout, &by).await? {
            return Ok(answer);
        }
        match complete_once(shop, command, &by, seen).await {
            Ok(Some(Ended { outcome: Outcome::ActionRequired { url }, .. })) => {
                return Ok(Completed { rendered: render(&Outcome::ActionRequired { url }), replayed: false });
            }
            Ok(Some(Ended { outcome, settled })) => {
                return Ok(keep(shop, command.checkout, &by, render(&outcome), settled).await?);
            }
            // Someone moved the checkout under us: look again.
            Ok(None) | Err(CompleteError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => {}
            Err(err) => return Err(err),
        }
    }
    Err(CompleteError::InProgress { retry_after_s: 1 })
}

/// How one call ended.
struct Ended {
    outcome: Outcome,
    /// Nothing is left to do for the order.
    settled: bool,
}

/// One look at the checkout and what follows from it; `None`: look again.
async fn complete_once(
    shop: &Shop,
    command: &CompleteCheckout,
    by: &KeyUse,
    seen: Seen<StoredCheckout>,
) -> Result<Option<Ended>, CompleteError> {
    let now = shop.ports.clock.now();
    match &seen.value.checkout.state {
        CheckoutState::Placed { by: placed } => {
            same_request(placed, by)?;
            Ok(Some(Outcome::Placed(effects::placed(shop, command.checkout).await?).into()))
        }
        CheckoutState::Open => {
            if let Some(last) = &seen.value.checkout.last
                && last.answers(&by.key, now)
            {
                same_request(&last.by, by)?;
                return Ok(Some(Outcome::Refused(Final::Ended(last.refusal.clone())).into()));
            }
            let run = match begin::begin(shop, command, by, seen).await? {
                begin::Begun::Run(run) => run,
                begin::Begun::Refused(refusal) => return Ok(Some(Outcome::Refused(refusal).into())),
            };
            Ok(Some(drive::drive(shop, *run).await?.into()))
        }
        CheckoutState::Completing(attempt) => {
            same_request(&attempt.by, by)?;
            if let Some(retry_after_s) = attempt.busy_for(now) {
                return Err(CompleteError::InProgress { retry_after_s });
            }
            let mine = attempt.by.key == by.key;
            if mine && let Some(url) = effects::still_waits(shop, command.checkout, attempt).await? {
                return Ok(Some(Outcome::ActionRequired { url }.into()));
            }
            let run = Run::take_over(shop, seen).await?;
            match drive::drive(shop, run).await? {
                driven if mine => Ok(Some(driven.into())),
                placed @ Driven::Placed { .. } => Ok(Some(placed.into())),
                // The buyer chose another way to pay: the earlier attempt ends first.
                Driven::ActionRequired { .. } => {
                    abandon(shop, command).await?;
                    Ok(None)
                }
                Driven::Refused(_) => Ok(None),
            }
        }
    }
}

/// Ends an attempt that waits for the buyer.
async fn abandon(shop: &Shop, command: &CompleteCheckout) -> Result<(), CompleteError> {
    let seen = checkouts::open_checkout(shop, command.checkout, &command.token).await.map_err(not_found)?;
    let waits = matches!(&seen.value.checkout.state, CheckoutState::Completing(it) if matches!(it.step, Step::ActionRequired { .. }));
    if !waits {
        return Ok(());
    }
    let mut run = Run::take_over(shop, seen).await?;
    run.undo(shop, Refusal::Abandoned).await?;
    drive::drive(shop, run).await.map(drop)
}

/// Finishes what a crash or a buyer who left has left over. Called by the message armed at the beginning;
/// `name` is the look's name. Arms another look if it is not over, or if it failed: the broker would deliver
/// the same message again at once, ten times, and then nobody would look any more.
///
/// # Errors
/// [`BusError`] if no further look could be armed: the message should come again.
pub async fn resume_checkout(shop: &Shop, id: CheckoutId, name: &str) -> Result<(), BusError> {
    let now = shop.ports.clock.now();
    match look(shop, id, name, now).await {
        Ok(None) => Ok(()),
        Ok(Some(until)) => look_again(shop, id, name, until + LOOK_AFTER).await,
        Err(err) => {
            let error = crate::shared::ports::chain(&err);
            tracing::warn!(checkout.id = %id, error, "A checkout could not be finished yet.");
            look_again(shop, id, name, now + LOOK_AFTER_FAILURE).await
        }
    }
}

/// Answers until when there is nothing to do, if it is not over.
async fn look(
    shop: &Shop,
    id: CheckoutId,
    name: &str,
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, CompleteError> {
    let Some(seen) = purchases::read_checkout(shop.ports.documents.as_ref(), id).await? else { return Ok(None) };
    if is_settled(shop, &seen.value.checkout, name).await? {
        return Ok(None);
    }
    let again = match &seen.value.checkout.state {
        CheckoutState::Completing(attempt) => {
            // The provider has news: ask it, whoever is away.
            let away = matches!(attempt.step, Step::ActionRequired { .. }) && !payment_events::was_told(name);
            let waits = away.then_some(attempt.hold_until);
            let busy = attempt.lease_until.filter(|_| attempt.busy_for(now).is_some());
            match waits.or(busy) {
                Some(until) if until > now => Some(until),
                _ => finish(shop, seen).await?,
            }
        }
        CheckoutState::Placed { .. } => {
            let order = effects::placed(shop, id).await?;
            finalise::after_placing(shop, &order, None).await?
        }
        CheckoutState::Open => None,
    };
    payment_events::settle(shop, id, name).await?;
    outbox::publish_left(shop, id).await?;
    Ok(again)
}

/// Whether the answer that was kept says that nothing is left to do. It speaks of the only attempt, and of what was
/// known then: whoever looks because of something newer looks at everything.
async fn is_settled(shop: &Shop, checkout: &Checkout, name: &str) -> Result<bool, StoreError> {
    let CheckoutState::Placed { by } = &checkout.state else { return Ok(false) };
    let of_attempt = name.starts_with(|it: char| it.is_ascii_digit());
    if checkout.attempts > 1 || !of_attempt {
        return Ok(false);
    }
    let answer = purchases::read_answer(shop.ports.documents.as_ref(), checkout.id, &by.key).await?;
    Ok(answer.is_some_and(|it| it.settled))
}

/// Takes over and drives; answers until when it waits for the buyer.
async fn finish(shop: &Shop, seen: Seen<StoredCheckout>) -> Result<Option<OffsetDateTime>, CompleteError> {
    let run = Run::take_over(shop, seen).await?;
    match drive::drive(shop, run).await? {
        Driven::ActionRequired { until, .. } => Ok(Some(until)),
        Driven::Placed { settled: true, .. } => Ok(None),
        // Whoever comes later finds nothing to do: what follows is seen to here, or this message comes again.
        Driven::Placed { order, .. } => finalise::after_placing(shop, &order, None).await,
        Driven::Refused(_) => Ok(None),
    }
}

/// The next look's id follows from this one's, so a look delivered twice arms one next look.
async fn look_again(shop: &Shop, id: CheckoutId, name: &str, at: OffsetDateTime) -> Result<(), BusError> {
    let (stem, count) = name.rsplit_once('+').map_or((name, 0), |(stem, count)| (stem, count.parse().unwrap_or(0)));
    let next = effects::resume_message(id, &format!("{stem}+{}", count + 1_u32), at);
    shop.ports.bus.send(&next).await
}

fn not_found(err: checkouts::CheckoutError) -> CompleteError {
    match err {
        checkouts::CheckoutError::Store(err) => CompleteError::Store(err),
        _ => CompleteError::NotFound,
    }
}

fn key_use(command: &CompleteCheckout) -> KeyUse {
    let request = format!(
        "complete\n{}\n{}\n{} {}\n{}\n{}\n{}",
        command.checkout,
        sha256(&command.token),
        command.expected_total.minor(),
        command.expected_total.currency(),
        command.payment.method,
        command.payment.token.as_deref().unwrap_or_default(),
        command.payment.return_url.as_deref().unwrap_or_default(),
    );
    KeyUse { key: sha256(&command.idempotency_key), fingerprint: sha256(&request) }
}

fn same_request(used: &KeyUse, by: &KeyUse) -> Result<(), CompleteError> {
    if used.key == by.key && used.fingerprint != by.fingerprint { Err(CompleteError::KeyReused) } else { Ok(()) }
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Ended {
        Ended { outcome, settled: false }
    }
}

impl From<Driven> for Ended {
    fn from(driven: Driven) -> Ended {
        match driven {
            Driven::Placed { order, settled } => Ended { outcome: Outcome::Placed(order), settled },
            Driven::ActionRequired { url, .. } => Outcome::ActionRequired { url }.into(),
            Driven::Refused(refusal) => Outcome::Refused(Final::Ended(refusal)).into(),
        }
    }
}
