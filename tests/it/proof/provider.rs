//! The payment provider's in-process twin: a ledger of its own, which alone decides whose money is where.
//!
//! Every movement has a key and happens once. What it holds is never derived from what the shop believes.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use offpeak::shared::ports::payments::{Authorise, Movement, Payment, PaymentError, PaymentName, PaymentState};
use offpeak_domain::{
    money::Money,
    payment::{FactKind, PaymentFact},
};
use time::OffsetDateTime;

/// What one can pay with, and what comes of it.
pub(super) const METHODS: [&str; 5] = ["approve", "decline", "challenge", "timeout", "unavailable"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Authorised,
    Declined(&'static str),
    /// The buyer stands before the bank's page.
    Asked,
    Voided,
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) checkout: String,
    pub(super) method: String,
    pub(super) amount: Money,
    pub(super) status: Status,
    pub(super) authorised: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) voided: i64,
    /// Captures and refunds by the id of their fact, so that a repeat changes nothing.
    pub(super) moves: BTreeMap<String, i64>,
}

impl Entry {
    /// The buyer's money that is blocked but not taken, or still could be.
    pub(super) fn is_held(&self) -> bool {
        self.authorised - self.captured - self.voided != 0 || self.status == Status::Asked
    }

    /// As the port shows it: with every fact there is.
    pub(super) fn shown(&self, reference: &str) -> Payment {
        let currency = self.amount.currency();
        let mut facts = Vec::new();
        let mut tell = |id: &str, kind, minor| {
            let (id, reference, amount) = (id.to_owned(), reference.to_owned(), Money::new(minor, currency));
            facts.push(PaymentFact { id, reference, kind, amount, at: OffsetDateTime::UNIX_EPOCH });
        };
        if self.authorised > 0 {
            tell("authorised", FactKind::Authorised, self.authorised);
        }
        if self.status == Status::Voided || self.voided > 0 {
            tell("voided", FactKind::Voided, self.voided);
        }
        for (id, minor) in &self.moves {
            let kind = if id.starts_with("capture:") { FactKind::Captured } else { FactKind::Refunded };
            tell(id, kind, *minor);
        }
        let status = match &self.status {
            Status::Authorised => PaymentState::Authorised,
            Status::Declined(reason) => PaymentState::Declined { reason: (*reason).to_owned() },
            Status::Asked => PaymentState::ActionRequired { url: "https://bank.example/ask".to_owned() },
            Status::Voided => PaymentState::Voided,
        };
        Payment::of(&name_of(reference), status, currency, facts)
    }
}

/// The provider's name for a payment is the shop's.
pub(super) fn name_of(reference: &str) -> PaymentName {
    PaymentName { reference: reference.to_owned(), provider_id: None }
}

fn silence() -> PaymentError {
    PaymentError::Unavailable("no answer came".into())
}

fn refused<T>(reason: &str) -> Result<T, PaymentError> {
    Err(PaymentError::Refused(reason.to_owned()))
}

#[derive(Default)]
pub(super) struct Provider {
    payments: Mutex<BTreeMap<String, Entry>>,
    /// References whose first request got no answer and left no trace.
    silent_once: Mutex<BTreeSet<String>>,
    /// References that were given up before anyone asked for them.
    barred: Mutex<BTreeSet<String>>,
    /// A planted fault: a repeated movement moves the money again, and does not say so.
    forgets_keys: bool,
}

impl Provider {
    pub(super) fn new(forgets_keys: bool) -> Provider {
        Provider { forgets_keys, ..Provider::default() }
    }

    pub(super) fn ledger(&self) -> BTreeMap<String, Entry> {
        self.payments.lock().unwrap().clone()
    }

    /// A ledger of another time.
    pub(super) fn restore(&self, payments: BTreeMap<String, Entry>) {
        *self.payments.lock().unwrap() = payments;
    }

    pub(super) fn find(&self, reference: &str) -> Option<Payment> {
        self.payments.lock().unwrap().get(reference).map(|it| it.shown(reference))
    }

    /// Every buyer who stands before the bank's page answers. Says how many did.
    pub(super) fn answer_challenges(&self, yes: bool) -> usize {
        let mut payments = self.payments.lock().unwrap();
        let mut count = 0;
        for entry in payments.values_mut().filter(|it| it.status == Status::Asked) {
            count += 1;
            if yes {
                entry.status = Status::Authorised;
                entry.authorised = entry.amount.minor();
            } else {
                entry.status = Status::Declined("challenge_failed");
            }
        }
        count
    }

    pub(super) fn authorise(&self, request: &Authorise) -> Result<Payment, PaymentError> {
        let Authorise { reference, checkout_id, amount, method, .. } = request;
        let mut payments = self.payments.lock().unwrap();
        if let Some(known) = payments.get(reference) {
            let same = known.checkout == *checkout_id && known.amount == *amount && known.method == *method;
            return if same { Ok(known.shown(reference)) } else { refused("the key was used for another request") };
        }
        if method == "unavailable" && self.silent_once.lock().unwrap().insert(reference.to_owned()) {
            return Err(silence());
        }
        let (status, authorised) = match method.as_str() {
            _ if self.barred.lock().unwrap().contains(reference) => (Status::Voided, 0),
            "decline" => (Status::Declined("insufficient_funds"), 0),
            "challenge" => (Status::Asked, 0),
            _ => (Status::Authorised, amount.minor()),
        };
        let entry = Entry {
            checkout: checkout_id.clone(),
            method: method.clone(),
            amount: *amount,
            status,
            authorised,
            captured: 0,
            refunded: 0,
            voided: 0,
            moves: BTreeMap::new(),
        };
        let shown = entry.shown(reference);
        payments.insert(reference.clone(), entry);
        if method == "timeout" { Err(silence()) } else { Ok(shown) }
    }

    /// Moves money once per key.
    fn once(
        &self,
        reference: &str,
        (id, minor): (String, i64),
        work: impl Fn(&mut Entry) -> Result<(), PaymentError>,
    ) -> Result<Payment, PaymentError> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(reference) else { return refused("no such payment") };
        match entry.moves.get(&id) {
            Some(known) if *known != minor => return refused("the key was used for another amount"),
            Some(_) => {
                let shown = entry.shown(reference);
                if self.forgets_keys {
                    work(entry).ok();
                }
                return Ok(shown);
            }
            None => {}
        }
        work(entry)?;
        entry.moves.insert(id, minor);
        Ok(entry.shown(reference))
    }

    pub(super) fn capture(&self, reference: &str, movement: &Movement) -> Result<Payment, PaymentError> {
        let minor = movement.amount.minor();
        self.once(reference, (format!("capture:{}", movement.key), minor), |entry| {
            let left = entry.authorised - entry.captured - entry.voided;
            if entry.status != Status::Authorised || minor <= 0 || minor > left && !self.forgets_keys {
                return refused("so much is not authorised");
            }
            entry.captured += minor;
            Ok(())
        })
    }

    pub(super) fn refund(&self, reference: &str, movement: &Movement) -> Result<Payment, PaymentError> {
        let minor = movement.amount.minor();
        self.once(reference, (format!("refund:{}", movement.key), minor), |entry| {
            if minor <= 0 || minor > entry.captured - entry.refunded && !self.forgets_keys {
                return refused("so much is not captured");
            }
            entry.refunded += minor;
            Ok(())
        })
    }

    /// What a careless shop does: gives back everything that was taken for a checkout.
    pub(super) fn refund_all(&self, checkout: &str) {
        for entry in self.payments.lock().unwrap().values_mut().filter(|it| it.checkout == checkout) {
            entry.refunded = entry.captured;
        }
    }

    /// Gives back what is authorised and not captured; a name nobody knows yet is barred.
    pub(super) fn void(&self, reference: &str) -> Option<Payment> {
        let mut payments = self.payments.lock().unwrap();
        let Some(entry) = payments.get_mut(reference) else {
            self.barred.lock().unwrap().insert(reference.to_owned());
            return None;
        };
        if matches!(entry.status, Status::Authorised | Status::Asked) {
            entry.voided = entry.authorised - entry.captured;
            if entry.captured == 0 {
                entry.status = Status::Voided;
            }
        }
        Some(entry.shown(reference))
    }
}

#[test]
fn money_moves_once_per_key_and_never_beyond_what_there_is() {
    let provider = Provider::default();
    let pounds = |minor| Money::new(minor, offpeak_domain::money::Currency::parse("GBP").unwrap());
    let request = |reference: &str, method: &str| Authorise {
        reference: reference.to_owned(),
        checkout_id: "c".to_owned(),
        amount: pounds(1_000),
        method: method.to_owned(),
        token: None,
        provider_id: None,
        return_url: None,
    };
    let movement = |key: &str, minor| Movement { key: key.to_owned(), amount: pounds(minor) };
    provider.authorise(&request("p", "approve")).unwrap();
    assert!(provider.authorise(&request("p", "decline")).is_err());
    for _ in 0..2 {
        assert_eq!(provider.capture("p", &movement("one", 600)).unwrap().captured, pounds(600));
        assert_eq!(provider.refund("p", &movement("r", 600)).unwrap().refunded, pounds(600));
    }
    assert!(provider.capture("p", &movement("two", 600)).is_err() && provider.refund("p", &movement("s", 1)).is_err());
    assert_eq!(provider.void("p").unwrap().voided, pounds(400));
    assert!(!provider.ledger()["p"].is_held());
    assert!(provider.void("q").is_none());
    assert_eq!(provider.authorise(&request("q", "approve")).unwrap().status, PaymentState::Voided);
}
