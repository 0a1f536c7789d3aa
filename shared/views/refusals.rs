//! What an operation refuses, as a problem that tells the caller what to do.
use offpeak_domain::{
    cart::{CartRefusal, LineRefusal},
    checkout::{Refusal, Shortage},
    code::Code,
    ids::BadId,
    pricing::PricingError,
    problems::CartProblem,
    quantity::BadQuantity,
    sku::BadSku,
    stock::{ON_HAND_MAX, StockRefusal},
};
use serde_json::json;

use super::{cart::problem_view, checkout::option_view, money::MoneyView};
use crate::shared::{
    host::problem::{Problem, chain},
    operations::{
        SettingsError,
        carts::CartError,
        checkouts::CheckoutError,
        complete_checkout::{CompleteError, Final},
        payment_events::HearError,
        stock::StockError,
    },
    ports::{identity::IdentityError, payments::WebhookError},
};

/// One text for "not there" and "not yours", so that neither can be told from the other.
fn not_found(what: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no such {what}, it has expired, or X-Cart-Token does not open it."))
}

fn locked() -> Problem {
    Problem::new(Code::CartLocked, "The cart is being paid for. Finish or wait for the checkout, then try again.")
        .retry_after(5)
}

fn ordered(order: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::CartOrdered, "The cart has become an order. Start a new cart.")
        .with("orderId", json!(order.to_string()))
}

impl From<BadId> for Problem {
    /// An id that is none names nothing.
    fn from(err: BadId) -> Problem {
        Problem::new(Code::NotFound, format!("This is not an id: {err}."))
    }
}

impl From<BadSku> for Problem {
    fn from(err: BadSku) -> Problem {
        Problem::invalid("sku", err.to_string())
    }
}

impl From<BadQuantity> for Problem {
    fn from(err: BadQuantity) -> Problem {
        Problem::invalid("quantity", format!("{err}; 0 removes the line"))
    }
}

impl From<SettingsError> for Problem {
    fn from(err: SettingsError) -> Problem {
        match err {
            SettingsError::Store(err) => err.into(),
            SettingsError::NotSetUp => {
                Problem::new(Code::Unavailable, "The store is not set up yet: load a catalogue first.").retry_after(30)
            }
        }
    }
}

impl From<PricingError> for Problem {
    fn from(err: PricingError) -> Problem {
        match &err {
            PricingError::NoSuchMethod { .. } => Problem::invalid("shippingMethod", err.to_string()),
            PricingError::TooMany { .. } | PricingError::Money(_) => {
                Problem::new(Code::ValidationFailed, format!("The cart cannot be priced: {err}. Order less at once."))
            }
        }
    }
}

impl From<CartError> for Problem {
    fn from(err: CartError) -> Problem {
        match err {
            CartError::NotFound => not_found("cart"),
            CartError::Lines { refused } => lines_refused(&refused),
            CartError::WrongCurrency { store } => {
                Problem::invalid("currency", format!("this store sells in {store} only"))
            }
            CartError::Refused(CartRefusal::Locked) => locked(),
            CartError::Refused(CartRefusal::Ordered { order }) => ordered(&order),
            CartError::Refused(refusal @ CartRefusal::TooManyCodes) => {
                Problem::new(Code::ValidationFailed, refusal.to_string())
            }
            CartError::Refused(CartRefusal::Merged { into }) => {
                Problem::new(Code::CartMerged, "The cart went into the customer's cart at sign-in. Use that one.")
                    .with("mergedInto", json!(into.to_string()))
            }
            CartError::Busy => {
                Problem::new(Code::Conflict, "Others changed this cart at the same time. Try again.").retry_after(1)
            }
            CartError::Changed => {
                Problem::new(Code::EtagMismatch, "The cart has changed since you read it. Read it again.")
            }
            CartError::Pricing(err) => err.into(),
            CartError::Settings(err) => err.into(),
            CartError::Store(err) => err.into(),
        }
    }
}

/// Each line that is in the way, by its place in the request.
fn lines_refused(refused: &[(usize, LineRefusal)]) -> Problem {
    if let [(_, LineRefusal::UnknownSku { sku })] = refused {
        return Problem::new(Code::UnknownSku, format!("{sku} is not for sale here. SKUs are case-sensitive."))
            .with("sku", json!(sku.as_str()));
    }
    let detail = refused.iter().map(|(_, it)| it.to_string()).take(3).collect::<Vec<_>>().join("; ");
    let errors: Vec<_> = refused
        .iter()
        .map(|(at, it)| json!({ "field": format!("/lines/{at}"), "code": line_code(it), "detail": it.to_string() }))
        .collect();
    Problem::new(Code::ValidationFailed, format!("{detail}. Nothing was changed.")).with("errors", json!(errors))
}

/// The stable name of a line's refusal, the same as in a cart's problems.
pub fn line_code(refusal: &LineRefusal) -> &'static str {
    match refusal {
        LineRefusal::UnknownSku { .. } => "unknown_sku",
        LineRefusal::AboveMaximum { .. } => "above_maximum",
        LineRefusal::TooManyUnits { .. } => "too_many_units",
        LineRefusal::TooManyLines => "too_many_lines",
    }
}

impl From<CheckoutError> for Problem {
    fn from(err: CheckoutError) -> Problem {
        match err {
            CheckoutError::NotFound => not_found("purchase"),
            CheckoutError::Empty => empty(),
            CheckoutError::Missing { field } => Problem::invalid(field, "is needed to begin a checkout"),
            CheckoutError::Locked => locked(),
            CheckoutError::Ordered { order } => ordered(&order),
            CheckoutError::ShippingUnavailable { method, options } => {
                let options: Vec<_> = options.iter().map(option_view).collect();
                Problem::invalid("shippingMethod", format!("`{method}` does not reach this address"))
                    .with("shippingOptions", json!(options))
            }
            CheckoutError::Busy => {
                Problem::new(Code::Conflict, "Others changed this checkout at the same time. Try again.").retry_after(1)
            }
            CheckoutError::Cart(err) => err.into(),
            CheckoutError::Pricing(err) => err.into(),
            CheckoutError::Settings(err) => err.into(),
            CheckoutError::Store(err) => err.into(),
        }
    }
}

fn empty() -> Problem {
    Problem::new(Code::CartEmpty, "Put something into the cart first.")
}

impl From<&Final> for Problem {
    fn from(refusal: &Final) -> Problem {
        match refusal {
            Final::Empty => empty(),
            Final::Problems { problems, shipping_options } => {
                let blocks = |it: &&CartProblem| it.blocks();
                let what: Vec<_> = problems.iter().filter(blocks).map(CartProblem::code).collect();
                let list: Vec<_> = problems.iter().map(problem_view).collect();
                let options: Vec<_> = shipping_options.iter().map(option_view).collect();
                let detail = format!("See to these problems, then complete with a new key: {}.", what.join(", "));
                Problem::new(Code::ValidationFailed, detail)
                    .with("problems", json!(list))
                    .with("shippingOptions", json!(options))
            }
            Final::TotalChanged { expected, actual, changed } => {
                let lines: Vec<_> = changed
                    .iter()
                    .map(|line| {
                        json!({ "sku": line.sku.as_str(), "was": MoneyView::from(line.was), "now": MoneyView::from(line.now) })
                    })
                    .collect();
                Problem::new(Code::CartChanged, "Show the buyer the new total, then complete with it and a new key.")
                    .with("expectedTotal", json!(MoneyView::from(*expected)))
                    .with("actualTotal", json!(MoneyView::from(*actual)))
                    .with("changedLines", json!(lines))
            }
            Final::Pricing(err) => err.clone().into(),
            Final::Ended(refusal) => ended(refusal),
        }
    }
}

fn out_of_stock(short: &[Shortage], advice: &str) -> Problem {
    let line = |it: &Shortage| json!({ "sku": it.sku.as_str(), "requested": it.requested, "available": it.available });
    let lines: Vec<_> = short.iter().map(line).collect();
    Problem::new(Code::OutOfStock, advice).with("availability", json!(lines))
}

fn ended(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::OutOfStock { short } => {
            out_of_stock(short, "Reduce these lines to what is available, then complete with a new key.")
        }
        Refusal::Declined { reason } => {
            Problem::new(Code::PaymentDeclined, "Nothing was charged. Try another way to pay, with a new key.")
                .with("reason", json!(reason))
        }
        Refusal::PromotionExhausted { promotion, code } => {
            let problem = Problem::new(
                Code::PromotionExhausted,
                "Nothing was charged. Read the cart again: it is priced without this promotion now. Then complete with \
                 a new key.",
            );
            problem.with("promotion", json!(promotion)).with("couponCode", json!(code))
        }
        Refusal::AboveCustomerMaximum(exceeded) => {
            let problem = problem_view(&CartProblem::AboveCustomerMaximum(exceeded.clone()));
            Problem::new(Code::ValidationFailed, "Nothing was charged. See to this, then complete with a new key.")
                .with("problems", json!([problem]))
        }
        Refusal::CartChanged => {
            Problem::new(Code::CartChanged, "The cart changed while it was being ordered. Read it and try again.")
        }
        Refusal::Abandoned => {
            Problem::new(Code::PaymentDeclined, "The payment was not finished in time. Try again with a new key.")
                .with("reason", json!("abandoned"))
        }
    }
}

impl From<CompleteError> for Problem {
    fn from(err: CompleteError) -> Problem {
        match err {
            CompleteError::NotFound => not_found("checkout"),
            CompleteError::KeyReused => Problem::new(
                Code::IdempotencyKeyReused,
                "This key was sent before with another body. Use a new key for a new request.",
            ),
            CompleteError::InProgress { retry_after_s } => {
                Problem::new(Code::CompletionInProgress, "Another call is completing this checkout. Ask again shortly.")
                    .retry_after(retry_after_s)
            }
            CompleteError::SoldOut { short } => {
                out_of_stock(&short, "Take these lines out, or repeat the call: more may come back.").retry_after(1)
            }
            CompleteError::UnknownMethod => Problem::invalid("payment.method", "this shop does not offer it"),
            CompleteError::Payment(err) => {
                tracing::warn!(error = %chain(&err), "The payment provider did not answer.");
                Problem::new(Code::Unavailable, "Repeat the call with the same key; nothing is charged twice.")
                    .retry_after(2)
            }
            CompleteError::Settings(err) => err.into(),
            CompleteError::Taxes(err) => {
                tracing::warn!(error = %chain(&err), "A completion waits for the tax service.");
                Problem::new(
                    Code::Unavailable,
                    "Tax cannot be determined right now; nothing was charged. Repeat the call.",
                )
                .retry_after(5)
            }
            CompleteError::Store(err) => err.into(),
            CompleteError::Bus(err) => {
                tracing::warn!(error = %chain(&err), "The broker did not answer.");
                Problem::new(Code::Unavailable, "Repeat the call with the same key; nothing is charged twice.")
                    .retry_after(2)
            }
        }
    }
}

impl From<HearError> for Problem {
    fn from(err: HearError) -> Problem {
        let text = err.to_string();
        match err {
            HearError::NoSuchProvider => Problem::new(Code::NotFound, "This shop has no such payment provider."),
            HearError::UnknownPayment { reference } => {
                tracing::warn!(payment.id = reference, "A webhook is about a payment that nobody here asked for.");
                Problem::new(
                    Code::NotFound,
                    "No checkout of this shop has asked for this payment. Tell it again later.",
                )
            }
            HearError::Webhook(WebhookError::Unsigned | WebhookError::Forged) => {
                tracing::warn!("A webhook is not believed: {text}.");
                Problem::new(
                    Code::Unauthenticated,
                    format!("Sign the body as it is with the webhook's secret: {text}."),
                )
            }
            HearError::Webhook(WebhookError::TooOld { .. }) => {
                tracing::warn!("A webhook is not believed: {text}.");
                Problem::new(Code::InvalidParameter, format!("Sign it again with the present time: {text}."))
            }
            HearError::Webhook(WebhookError::Unreadable(reason)) => {
                tracing::error!(reason, "A signed webhook cannot be understood.");
                Problem::new(Code::InvalidBody, format!("The event cannot be understood: {reason}."))
            }
            HearError::Webhook(WebhookError::Payment(_)) | HearError::Busy => {
                tracing::warn!("A webhook was not noted: {text}.");
                Problem::new(Code::Unavailable, "Tell it again in a moment.").retry_after(2)
            }
            HearError::Store(err) => err.into(),
        }
    }
}

impl From<StockError> for Problem {
    fn from(err: StockError) -> Problem {
        match err {
            StockError::Refused(StockRefusal::OutOfRange) => {
                Problem::invalid("onHand", format!("a whole number from 0 to {ON_HAND_MAX}"))
            }
            StockError::Refused(refusal @ StockRefusal::TooManyLocations) => {
                Problem::invalid("location", refusal.to_string())
            }
            StockError::Refused(
                StockRefusal::Short { .. } | StockRefusal::Superseded | StockRefusal::NotAllocated { .. },
            ) => Problem::new(Code::Conflict, "Read the level again and repeat your change."),
            StockError::Changed => {
                Problem::new(Code::EtagMismatch, "The level has changed since you read it. Read it again.")
            }
            StockError::Store(err) => err.into(),
        }
    }
}

impl From<IdentityError> for Problem {
    fn from(err: IdentityError) -> Problem {
        match &err {
            IdentityError::Invalid(reason) => {
                Problem::new(Code::Unauthenticated, format!("The bearer token is not valid: {reason}."))
            }
            IdentityError::Unavailable(_) => {
                tracing::warn!(error = %chain(&err), "Tokens cannot be checked right now.");
                Problem::bare(Code::Unavailable).retry_after(2)
            }
        }
    }
}
