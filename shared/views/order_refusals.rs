//! What changes of orders refuse, as problems that tell the caller what to do.
use offpeak_domain::{code::Code, order::OrderRefusal};
use serde_json::json;

use super::money::MoneyView;
use crate::shared::{
    host::problem::Problem,
    operations::{find_order::FindError, orders::OrderError},
};

/// One text for "not there", "not yours" and "too late", so that none can be told from the others.
fn not_found() -> Problem {
    Problem::new(
        Code::NotFound,
        "There is no such order, or it cannot be opened this way. Check number and e-mail address, or send its \
         X-Cart-Token.",
    )
}

impl From<OrderError> for Problem {
    fn from(err: OrderError) -> Problem {
        match err {
            OrderError::NotFound => not_found(),
            OrderError::KeyReused => Problem::new(
                Code::IdempotencyKeyReused,
                "This key was sent before with another body. Use a new key for a new request.",
            ),
            OrderError::Changed => {
                Problem::new(Code::EtagMismatch, "The order has changed since you read it. Read it again.")
            }
            OrderError::Busy => {
                Problem::new(Code::Conflict, "Others changed this order at the same time. Try again.").retry_after(1)
            }
            OrderError::Refused(refusal) => refused(&refusal),
            OrderError::Store(err) => err.into(),
        }
    }
}

impl From<FindError> for Problem {
    fn from(err: FindError) -> Problem {
        match err {
            FindError::NotFound => not_found(),
            FindError::Settings(err) => err.into(),
            FindError::Store(err) => err.into(),
        }
    }
}

fn refused(refusal: &OrderRefusal) -> Problem {
    let state = |detail: String| Problem::new(Code::OrderState, detail);
    match refusal {
        OrderRefusal::NoSuchLine { line } => {
            Problem::invalid("lines", format!("the order has no line {}; lines are numbered from 1", line + 1))
        }
        OrderRefusal::NoUnits => Problem::invalid("lines", refusal.to_string()),
        OrderRefusal::TooMany { line, most } => {
            let detail = format!("line {} has {most} units for this; read the order and ask for less", line + 1);
            Problem::invalid("lines", detail).with("line", json!(line + 1)).with("available", json!(most))
        }
        OrderRefusal::TooMuch { left } => {
            Problem::invalid("amount", refusal.to_string()).with("refundable", json!(MoneyView::from(*left)))
        }
        OrderRefusal::NoSuchFulfilment { .. } | OrderRefusal::NoSuchReturn { .. } => {
            Problem::new(Code::NotFound, format!("{refusal}."))
        }
        OrderRefusal::Money(err) => Problem::invalid("amount", err.to_string()),
        OrderRefusal::Fulfilled => {
            state("Something is on its way already. Ask for a return when it has arrived.".to_owned())
        }
        OrderRefusal::NotAllocated { .. } => {
            state(format!("{refusal}. Fulfil less, or from the locations that the order shows."))
        }
        OrderRefusal::NotPlaced { .. }
        | OrderRefusal::OnHold { .. }
        | OrderRefusal::NotPaid
        | OrderRefusal::NothingLeft
        | OrderRefusal::WrongState { .. }
        | OrderRefusal::Full { .. } => state(format!("The order does not allow this: {refusal}.")),
    }
}
