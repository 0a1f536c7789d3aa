//! Document `payments`: what is known of a purchase's payments, all attempts together.
//!
//! What must stay true: facts are added and never changed or removed, in the batch of the change they belong to.
//! The provider's own name of an attempt stands here before the attempt's money is asked for.
use std::collections::BTreeMap;

use offpeak_domain::{
    ids::CheckoutId,
    money::{Currency, Money},
    payment::{FactKind, Ledger, PaymentFact},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::super::{Minor, Seen, Stored, checkout_id_text, currency_text, parse, put};
use crate::shared::ports::{
    documents::{Container, Documents, ETag, StoreError, Write},
    payments::PaymentName,
};

/// The document's id; a refused batch names it.
pub const PAYMENTS_ID: &str = "payments";
/// Facts kept of one purchase; a document has 2 MB, a fact some 300 bytes.
const FACTS_MAX: usize = 2_000;

/// What is known of a purchase's payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPayments {
    /// The provider's own names, by reference.
    pub provider_ids: BTreeMap<String, String>,
    pub ledger: Ledger,
}

impl StoredPayments {
    /// How an attempt is found at the provider.
    pub fn name(&self, reference: &str) -> PaymentName {
        PaymentName { reference: reference.to_owned(), provider_id: self.provider_ids.get(reference).cloned() }
    }

    /// Adds the provider's own name of an attempt; `true` if it was not known.
    pub fn note_name(&mut self, name: &PaymentName) -> bool {
        let Some(provider_id) = &name.provider_id else { return false };
        if self.provider_ids.contains_key(&name.reference) {
            return false;
        }
        self.provider_ids.insert(name.reference.clone(), provider_id.clone());
        true
    }

    /// Adds facts; `true` if any of them was new.
    pub fn note<'a>(&mut self, facts: impl IntoIterator<Item = &'a PaymentFact>) -> bool {
        let mut news = false;
        for fact in facts {
            news |= self.ledger.add(fact.clone());
        }
        news
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentsDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    provider_ids: BTreeMap<String, String>,
    facts: Vec<FactDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactDocument {
    reference: String,
    id: String,
    kind: String,
    amount: Minor,
    #[serde(with = "currency_text")]
    currency: Currency,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Stored for PaymentsDocument {
    const SCHEMA: &'static str = "payments/1";
}

/// `None` before anything is known.
///
/// # Errors
/// As the port's.
pub async fn read_payments(
    documents: &dyn Documents,
    checkout: CheckoutId,
) -> Result<Option<Seen<StoredPayments>>, StoreError> {
    let partition = checkout.to_string();
    let Some(document) = documents.read(Container::Purchases, &partition, PAYMENTS_ID).await? else { return Ok(None) };
    let Seen { value, etag } = parse::<PaymentsDocument>(document)?;
    let mut ledger = Ledger::default();
    for fact in value.facts {
        let kind = FactKind::parse(&fact.kind).ok_or_else(|| StoreError::Unreadable {
            id: PAYMENTS_ID.to_owned(),
            reason: format!("a fact of kind `{}`", fact.kind),
        })?;
        let amount = Money::new(fact.amount.0, fact.currency);
        ledger.add(PaymentFact { id: fact.id, reference: fact.reference, kind, amount, at: fact.at });
    }
    Ok(Some(Seen { value: StoredPayments { provider_ids: value.provider_ids, ledger }, etag }))
}

/// # Errors
/// `Refused` above [`FACTS_MAX`].
pub fn put_payments(checkout: CheckoutId, payments: &StoredPayments, seen: Option<&ETag>) -> Result<Write, StoreError> {
    if payments.ledger.len() > FACTS_MAX {
        return Err(StoreError::Refused(format!("{checkout} has more than {FACTS_MAX} facts of payment")));
    }
    let facts = payments.ledger.facts().map(|fact| FactDocument {
        reference: fact.reference.clone(),
        id: fact.id.clone(),
        kind: fact.kind.name().to_owned(),
        amount: Minor(fact.amount.minor()),
        currency: fact.amount.currency(),
        at: fact.at,
    });
    let document = PaymentsDocument {
        r#type: "payments".to_owned(),
        checkout_id: checkout,
        provider_ids: payments.provider_ids.clone(),
        facts: facts.collect(),
    };
    put(PAYMENTS_ID, &document, seen, None)
}

/// What is known with this attempt's facts added, and the write that says so: for the batch of their change.
/// No write where nothing is new. If another writer adds facts meanwhile, the batch is refused with
/// `Changed` or `Exists` of [`PAYMENTS_ID`]: read again and repeat the batch.
///
/// # Errors
/// As the port's.
pub async fn note_facts(
    documents: &dyn Documents,
    checkout: CheckoutId,
    name: &PaymentName,
    facts: &[PaymentFact],
) -> Result<(StoredPayments, Option<Write>), StoreError> {
    let seen = read_payments(documents, checkout).await?;
    let etag = seen.as_ref().map(|it| it.etag.clone());
    let mut payments = seen.map(|it| it.value).unwrap_or_default();
    let news = payments.note(facts) | payments.note_name(name);
    let write = news.then(|| put_payments(checkout, &payments, etag.as_ref())).transpose()?;
    Ok((payments, write))
}
