//! The money of a purchase: asked for once, taken, given back. An answer may be lost, so the provider is asked.
use offpeak_domain::{
    checkout::{Attempt, PaymentChoice, Step},
    ids::CheckoutId,
    payment::PaymentFact,
};

use super::super::CompleteError;
use crate::shared::{
    operations::Shop,
    ports::payments::{Authorise, Movement, Payment, PaymentError, PaymentName, PaymentState},
};

/// How the attempt's payment is found at the provider.
pub(in super::super) fn name(id: CheckoutId, attempt: &Attempt) -> PaymentName {
    PaymentName { reference: attempt.reference(id), provider_id: attempt.provider_id.clone() }
}

fn request(id: CheckoutId, attempt: &Attempt) -> Authorise {
    let PaymentChoice { method, token, return_url } = attempt.payment.clone();
    Authorise {
        reference: attempt.reference(id),
        checkout_id: id.to_string(),
        amount: attempt.total(),
        method,
        token,
        provider_id: attempt.provider_id.clone(),
        return_url,
    }
}

/// What a provider that will never do this has answered: a decline in all but name.
fn refused(request: &Authorise, reason: &str) -> Payment {
    tracing::warn!(payment.id = request.reference, reason, "The provider refused a payment.");
    let declined = PaymentState::Declined { reason: "refused_by_provider".to_owned() };
    Payment::of(&request.name(), declined, request.amount.currency(), Vec::new())
}

/// What came of naming a payment at the provider.
pub(in super::super) enum Prepared {
    /// To be stored before any money is asked for.
    Named(String),
    /// The reference is the name.
    AsReference,
    Refused(Payment),
}

/// Names the payment at the provider; no money is asked for yet.
pub(in super::super) async fn prepare(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Prepared, CompleteError> {
    let request = request(id, attempt);
    match shop.ports.payments.prepare(&request).await {
        Ok(Some(name)) => Ok(Prepared::Named(name)),
        Ok(None) => Ok(Prepared::AsReference),
        Err(PaymentError::Refused(reason)) => Ok(Prepared::Refused(refused(&request, &reason))),
        Err(err) => Err(err.into()),
    }
}

/// Asks for the money; when the answer is lost, asks what became of it.
pub(in super::super) async fn authorise(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Payment, CompleteError> {
    let request = request(id, attempt);
    match shop.ports.payments.authorise(&request).await {
        Ok(payment) => Ok(payment),
        Err(lost @ PaymentError::Unavailable(_)) => {
            let found = shop.ports.payments.find(&request.name()).await?;
            found.ok_or(CompleteError::Payment(lost))
        }
        Err(PaymentError::Refused(reason)) => Ok(refused(&request, &reason)),
    }
}

/// Takes the authorised money. `None`: the provider will not, and has not.
pub(in super::super) async fn capture(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Payment>, CompleteError> {
    let name = name(id, attempt);
    let whole = Movement { key: format!("{}:capture", name.reference), amount: attempt.total() };
    match shop.ports.payments.capture(&name, &whole).await {
        Ok(payment) if payment.captured == attempt.total() => Ok(Some(payment)),
        Ok(payment) => {
            let (captured, total) = (payment.captured, attempt.total());
            Err(PaymentError::Unavailable(format!("{captured} of {total} is captured").into()).into())
        }
        Err(PaymentError::Refused(reason)) => {
            tracing::error!(payment.id = name.reference, reason, "The provider refused a capture.");
            match shop.ports.payments.find(&name).await? {
                Some(payment) if payment.captured == attempt.total() => Ok(Some(payment)),
                // Still there to be captured: another call is at it, or the provider is confused. Try again later.
                Some(Payment { status: PaymentState::Authorised, .. }) => {
                    Err(PaymentError::Unavailable(reason.into()).into())
                }
                _ => Ok(None),
            }
        }
        Err(err) => Err(err.into()),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Voided {
    /// Nothing is held for this attempt any more, says the provider.
    Done(Vec<PaymentFact>),
    /// The money is captured.
    TooLate,
}

/// Gives back what is authorised for this attempt, if anything is.
pub(in super::super) async fn void(shop: &Shop, id: CheckoutId, attempt: &Attempt) -> Result<Voided, CompleteError> {
    if attempt.total().is_zero() {
        return Ok(Voided::Done(Vec::new()));
    }
    let name = name(id, attempt);
    // Without asking first: a request that is still on its way must find the name barred.
    match shop.ports.payments.void(&name, &format!("{}:void", name.reference)).await? {
        Some(payment) if !payment.captured.is_zero() => Ok(Voided::TooLate),
        Some(payment) => Ok(Voided::Done(payment.facts)),
        None => {
            let (currency, now) = (attempt.total().currency(), shop.ports.clock.now());
            Ok(Voided::Done(vec![PaymentFact::barred(&name.reference, currency, now)]))
        }
    }
}

/// The page the buyer must still visit, if that is all there is to say: looking takes nothing over.
pub(in super::super) async fn still_waits(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<String>, CompleteError> {
    let Step::ActionRequired { url } = &attempt.step else { return Ok(None) };
    if shop.ports.clock.now() >= attempt.hold_until {
        return Ok(None);
    }
    let payment = shop.ports.payments.find(&name(id, attempt)).await?;
    let waits = payment.is_some_and(|it| matches!(it.status, PaymentState::ActionRequired { .. }));
    Ok(waits.then(|| url.clone()))
}

/// The payment, if its money is ours to take; `None`: it is not, and will not be.
pub(in super::super) async fn authorised(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Payment>, CompleteError> {
    let payment = shop.ports.payments.find(&name(id, attempt)).await?;
    Ok(payment.filter(|it| it.status == PaymentState::Authorised && it.authorised == attempt.total()))
}

/// Whether the provider has taken this attempt's money.
pub(in super::super) async fn is_captured(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<bool, CompleteError> {
    if attempt.total().is_zero() {
        return Ok(false);
    }
    let payment = shop.ports.payments.find(&name(id, attempt)).await?;
    Ok(payment.is_some_and(|it| !it.captured.is_zero()))
}
