//! A payment provider with a ledger of its own: what it holds decides, not what it was asked.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use offpeak::shared::ports::payments::{
    Authorise, Movement, Payment, PaymentError, PaymentName, PaymentState, RefundState, Refunded,
};
use offpeak_domain::{
    money::Money,
    payment::{FactKind, PaymentFact},
};
use time::OffsetDateTime;

pub(super) const METHODS: [&str; 5] = ["approve", "decline", "challenge", "timeout", "unavailable"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) request: Authorise,
    status: PaymentState,
    pub(super) authorised: i64,
    pub(super) captured: i64,
    pub(super) captures: u32,
    pub(super) refunded: i64,
    voided: i64,
    /// Captures and refunds by fact id.
    moved: BTreeMap<String, i64>,
    /// Whether the buyer's bank disputes it.
    disputed: bool,
}

impl Entry {
    fn new(request: &Authorise, status: PaymentState, authorised: i64) -> Entry {
        let (captured, captures, refunded, voided) = (0, 0, 0, 0);
        Entry {
            request: request.clone(),
            status,
            authorised,
            captured,
            captures,
            refunded,
            voided,
            moved: BTreeMap::new(),
            disputed: false,
        }
    }

    fn sum(&self, prefix: &str) -> i64 {
        self.moved.iter().filter(|(id, _)| id.starts_with(prefix)).map(|(_, minor)| minor).sum()
    }

    /// What still blocks the buyer's money, or could still come to.
    pub(super) fn is_held(&self) -> bool {
        self.authorised - self.captured - self.voided != 0 || matches!(self.status, PaymentState::ActionRequired { .. })
    }

    fn shown(&self) -> Payment {
        let currency = self.request.amount.currency();
        let fact = |id: &str, kind, minor| PaymentFact {
            id: id.to_owned(),
            reference: self.request.reference.clone(),
            kind,
            amount: Money::new(minor, currency),
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let mut facts = Vec::new();
        if self.authorised > 0 {
            facts.push(fact("authorised", FactKind::Authorised, self.authorised));
        }
        if self.status == PaymentState::Voided || self.voided > 0 {
            facts.push(fact("voided", FactKind::Voided, self.voided));
        }
        facts.extend(self.moved.iter().map(|(id, minor)| {
            let kind = if id.starts_with("capture:") { FactKind::Captured } else { FactKind::Refunded };
            fact(id, kind, *minor)
        }));
        if self.disputed {
            facts.push(fact("dispute:1:opened", FactKind::DisputeOpened, self.captured));
        }
        let name = PaymentName { reference: self.request.reference.clone(), provider_id: None };
        Payment::of(&name, self.status.clone(), currency, facts)
    }
}

#[derive(Default)]
pub(crate) struct Provider {
    payments: Mutex<BTreeMap<String, Entry>>,
    /// References whose first request got no answer and left no trace.
    refused_once: Mutex<BTreeSet<String>>,
    /// References that were given up before anyone asked for them.
    barred: Mutex<BTreeSet<String>>,
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

    pub(crate) fn ledger(&self) -> BTreeMap<String, Entry> {
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

    /// What no provider should do: money comes to a payment that was given up, and is even taken.
    pub(super) fn comes_late(&self, reference: &str, taken: bool) {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(reference).unwrap();
        entry.status = PaymentState::Authorised;
        entry.authorised = entry.request.amount.minor();
        entry.voided = 0;
        if taken {
            entry.captured = entry.authorised;
            entry.moved.insert("capture:late".to_owned(), entry.authorised);
        }
    }

    /// What no provider should do: it takes the money once more.
    pub(super) fn takes_again(&self, reference: &str) {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(reference).unwrap();
        entry.captured += entry.authorised;
        entry.moved.insert("capture:again".to_owned(), entry.authorised);
    }

    pub(super) fn dispute(&self, reference: &str) {
        self.payments.lock().unwrap().get_mut(reference).unwrap().disputed = true;
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
            _ if self.barred.lock().unwrap().contains(&request.reference) => (PaymentState::Voided, 0),
            "decline" => (PaymentState::Declined { reason: "insufficient_funds".to_owned() }, 0),
            "challenge" => (PaymentState::ActionRequired { url: "https://bank.example/ask".to_owned() }, 0),
            _ => (PaymentState::Authorised, request.amount.minor()),
        };
        let entry = Entry::new(request, status, authorised);
        let shown = entry.shown();
        payments.insert(shown.reference.clone(), entry);
        if request.method == "timeout" { Err(unavailable()) } else { Ok(shown) }
    }

    pub(super) fn find(&self, name: &PaymentName) -> Option<Payment> {
        self.payments.lock().unwrap().get(&name.reference).map(Entry::shown)
    }

    pub(super) fn capture(&self, name: &PaymentName, movement: &Movement) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(&name.reference).ok_or_else(|| refused("no such payment"))?;
        let (id, minor) = (format!("capture:{}", movement.key), movement.amount.minor());
        if let Some(known) = entry.moved.get(&id)
            && !self.captures_again
        {
            return if *known == minor { Ok(entry.shown()) } else { Err(refused("another capture")) };
        }
        let left = entry.authorised - entry.captured - entry.voided;
        if entry.status != PaymentState::Authorised || minor > left && !self.captures_again {
            return Err(refused("so much is not authorised"));
        }
        entry.moved.insert(id, minor);
        entry.captured = entry.sum("capture:");
        entry.captures += 1;
        Ok(entry.shown())
    }

    pub(super) fn void(&self, name: &PaymentName) -> Option<Payment> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(&name.reference) else {
            self.barred.lock().unwrap().insert(name.reference.clone());
            return None;
        };
        let open = matches!(entry.status, PaymentState::Authorised | PaymentState::ActionRequired { .. });
        if open {
            entry.voided = entry.authorised - entry.captured;
        }
        if open && entry.captured == 0 {
            entry.status = PaymentState::Voided;
        }
        Some(entry.shown())
    }

    pub(super) fn refund(&self, name: &PaymentName, movement: &Movement) -> Result<Refunded, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let entry = payments.get_mut(&name.reference).ok_or_else(|| refused("no such payment"))?;
        let (id, minor) = (format!("refund:{}", movement.key), movement.amount.minor());
        match entry.moved.get(&id) {
            Some(known) if *known != minor => return Err(refused("another refund")),
            Some(_) => {}
            None if minor > entry.captured - entry.refunded => return Err(refused("so much is not captured")),
            None => {
                entry.moved.insert(id, minor);
                entry.refunded = entry.sum("refund:");
            }
        }
        Ok(Refunded { payment: entry.shown(), state: RefundState::Succeeded })
    }
}
