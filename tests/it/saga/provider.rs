//! A payment provider with a ledger of its own: what it holds decides, not what it was asked.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use offpeak::shared::ports::payments::{Authorise, Payment, PaymentError, PaymentState};
use offpeak_domain::money::Money;

pub(super) const METHODS: [&str; 5] = ["approve", "decline", "challenge", "timeout", "unavailable"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) request: Authorise,
    status: PaymentState,
    pub(super) authorised: i64,
    pub(super) captured: i64,
    pub(super) captures: u32,
    voided: i64,
}

impl Entry {
    /// What still blocks the buyer's money, or could still come to.
    pub(super) fn is_held(&self) -> bool {
        self.authorised - self.captured - self.voided != 0 || matches!(self.status, PaymentState::ActionRequired { .. })
    }

    fn shown(&self) -> Payment {
        let money = |minor| Money::new(minor, self.request.amount.currency());
        Payment {
            reference: self.request.reference.clone(),
            status: self.status.clone(),
            authorised: money(self.authorised),
            captured: money(self.captured),
            refunded: money(0),
            voided: money(self.voided),
        }
    }
}

#[derive(Default)]
pub(super) struct Provider {
    payments: Mutex<BTreeMap<String, Entry>>,
    /// References whose first request got no answer and left no trace.
    refused_once: Mutex<BTreeSet<String>>,
    /// A planted fault: a repeated capture takes the money again, and does not say so.
    captures_again: bool,
}

fn unavailable() -> PaymentError {
    PaymentError::Unavailable("no answer came".into())
}

fn refused(reason: &str) -> PaymentError {
    PaymentError::Refused(reason.to_owned())
}

impl Provider {
    pub(super) fn new(captures_again: bool) -> Provider {
        Provider { captures_again, ..Provider::default() }
    }

    pub(super) fn ledger(&self) -> BTreeMap<String, Entry> {
        self.payments.lock().unwrap().clone()
    }

    /// The buyers stand before their bank's page.
    pub(super) fn answer_challenges(&self, yes: bool) {
        for entry in self.payments.lock().unwrap().values_mut() {
            if !matches!(entry.status, PaymentState::ActionRequired { .. }) {
                continue;
            }
            if yes {
                entry.status = PaymentState::Authorised;
                entry.authorised = entry.request.amount.minor();
            } else {
                entry.status = PaymentState::Declined { reason: "challenge_failed".to_owned() };
            }
        }
    }

    pub(super) fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        if let Some(known) = payments.get(&request.reference) {
            return if known.request == *request { Ok(known.shown()) } else { Err(refused("another request")) };
        }
        if request.method == "unavailable" && self.refused_once.lock().unwrap().insert(request.reference.clone()) {
            return Err(unavailable());
        }
        let (status, authorised) = match request.method.as_str() {
            "decline" => (PaymentState::Declined { reason: "insufficient_funds".to_owned() }, 0),
            "challenge" => (PaymentState::ActionRequired { url: "https://bank.example/ask".to_owned() }, 0),
            _ => (PaymentState::Authorised, request.amount.minor()),
        };
        let request = request.clone();
        let entry = Entry { request, status, authorised, captured: 0, captures: 0, voided: 0 };
        let shown = entry.shown();
        let method = entry.request.method.clone();
        payments.insert(shown.reference.clone(), entry);
        if method == "timeout" { Err(unavailable()) } else { Ok(shown) }
    }

    pub(super) fn find(&self, reference: &str) -> Option<Payment> {
        self.payments.lock().unwrap().get(reference).map(Entry::shown)
    }

    pub(super) fn capture(&self, reference: &str) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(reference).ok_or_else(|| refused("no such payment"))?;
        if entry.status != PaymentState::Authorised {
            return Err(refused("nothing is authorised"));
        }
        if entry.captured == 0 || self.captures_again {
            entry.captured = entry.authorised;
            entry.captures += 1;
        }
        Ok(entry.shown())
    }

    pub(super) fn void(&self, reference: &str) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(reference).ok_or_else(|| refused("no such payment"))?;
        match entry.status {
            PaymentState::Authorised if entry.captured > 0 => return Err(refused("captured already")),
            PaymentState::Declined { .. } => return Err(refused("declined")),
            PaymentState::Authorised | PaymentState::ActionRequired { .. } | PaymentState::Voided => {}
        }
        entry.voided = entry.authorised;
        entry.status = PaymentState::Voided;
        Ok(entry.shown())
    }
}
