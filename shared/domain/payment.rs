//! The payment ledger: what is known to have happened to the money of one purchase, folded into amounts.
//!
//! What must stay true: the fold is over a *set*. A fact is named by what it is about, so the provider's
//! answer and its webhook tell the same fact twice and it counts once; facts come late, twice and in any
//! order, and every order gives the same amounts. Facts are what the provider says: they are never refused.
//! Guards belong to what we ask for; facts that cannot all be true are anomalies, for a person to look at.
use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::{
    money::{Currency, Money, MoneyError},
    order::PaymentStatus,
};

/// When the money of a placed order is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaptureWhen {
    /// With the order.
    #[default]
    AtPlacement,
    /// As goods leave: what is never sent is never taken. An authorisation lapses after some days.
    AtFulfilment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    Authorised,
    AuthoriseFailed,
    ActionRequired,
    Captured,
    /// What was authorised and not taken is given back, by us or by the provider.
    Voided,
    Refunded,
    /// The refund whose fact has this one's id without `:failed` came to nothing.
    RefundFailed,
    DisputeOpened,
    DisputeWon,
    DisputeLost,
    /// The authorisation lapsed: as good as voided.
    Expired,
}

macro_rules! named {
    ($kind:ident { $($variant:ident = $name:literal),+ }) => {
        impl $kind {
            pub const fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),+ }
            }

            /// `None` for a name that no version of this type has written.
            pub fn parse(name: &str) -> Option<$kind> {
                match name { $($name => Some($kind::$variant),)+ _ => None }
            }
        }
    };
}

named!(CaptureWhen { AtPlacement = "at_placement", AtFulfilment = "at_fulfilment" });
named!(FactKind {
    Authorised = "authorised",
    AuthoriseFailed = "authorise_failed",
    ActionRequired = "action_required",
    Captured = "captured",
    Voided = "voided",
    Refunded = "refunded",
    RefundFailed = "refund_failed",
    DisputeOpened = "dispute_opened",
    DisputeWon = "dispute_won",
    DisputeLost = "dispute_lost",
    Expired = "expired"
});

/// Ends the id of a fact that takes back the fact of the same id without it.
pub const FAILED: &str = ":failed";

/// One thing that happened to one payment attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFact {
    /// What it is about, e.g. `capture:<key>`; the same in the provider's answers and in its webhooks.
    pub id: String,
    /// The attempt's name, [`crate::ids::CheckoutId::attempt`].
    pub reference: String,
    pub kind: FactKind,
    /// Zero for kinds that move nothing.
    pub amount: Money,
    pub at: OffsetDateTime,
}

impl PaymentFact {
    /// The provider never heard of the payment and will not let it through: as good as given back.
    pub fn barred(reference: &str, currency: Currency, at: OffsetDateTime) -> PaymentFact {
        let (id, reference) = ("voided".to_owned(), reference.to_owned());
        PaymentFact { id, reference, kind: FactKind::Voided, amount: Money::zero(currency), at }
    }
}

/// What the provider holds, has taken and has given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Ever authorised, voided or not.
    pub authorised: Money,
    pub captured: Money,
    /// Asked back and not failed; a refund that is still under way counts.
    pub refunded: Money,
    /// Authorised, and given back without having been taken.
    pub voided: Money,
    /// Under dispute, or lost by it.
    pub disputed: Money,
}

/// Facts that cannot all be true. Judge a ledger only after the provider was asked for all it knows: while
/// facts are on their way, a refund may be known before its capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Anomaly {
    #[error("{reference}: {captured} is captured of {authorised} authorised")]
    CapturedAboveAuthorised { reference: String, captured: Money, authorised: Money },
    #[error("{reference}: {refunded} is refunded of {captured} captured")]
    RefundedAboveCaptured { reference: String, refunded: Money, captured: Money },
    #[error("{reference}: {voided} is voided and {captured} captured of {authorised} authorised")]
    VoidedAboveAuthorised { reference: String, voided: Money, captured: Money, authorised: Money },
    #[error("{reference}: `{id}` was told with two amounts")]
    Contradiction { reference: String, id: String },
    /// A negative amount, another currency, or a sum beyond the range.
    #[error("{reference}: the amount of `{id}` cannot be counted")]
    Uncountable { reference: String, id: String },
}

/// The set of facts of one purchase, all attempts together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By reference, id and kind. What was told twice with two amounts is kept twice.
    facts: BTreeMap<(String, String, FactKind), Vec<PaymentFact>>,
}

impl Ledger {
    /// The set of these facts.
    pub fn fold(facts: impl IntoIterator<Item = PaymentFact>) -> Ledger {
        let mut ledger = Ledger::default();
        for fact in facts {
            ledger.add(fact);
        }
        ledger
    }

    /// `false` if it is known already. Of one fact told twice, the earlier time is kept.
    pub fn add(&mut self, fact: PaymentFact) -> bool {
        let told = self.facts.entry((fact.reference.clone(), fact.id.clone(), fact.kind)).or_default();
        if let Some(known) = told.iter_mut().find(|it| it.amount == fact.amount) {
            known.at = known.at.min(fact.at);
            return false;
        }
        told.push(fact);
        told.sort_by_key(|it| (it.amount.minor(), it.amount.currency().code().to_owned()));
        true
    }

    /// In an order that depends on the facts only.
    pub fn facts(&self) -> impl Iterator<Item = &PaymentFact> {
        self.facts.values().flatten()
    }

    pub fn len(&self) -> usize {
        self.facts.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// The attempts there are facts about.
    pub fn references(&self) -> Vec<&str> {
        let mut references: Vec<&str> = self.facts.keys().map(|(reference, ..)| reference.as_str()).collect();
        references.dedup();
        references
    }

    /// Whether a fact of this kind is known of the attempt.
    pub fn has(&self, reference: &str, kind: FactKind) -> bool {
        self.facts.keys().any(|(of, _, it)| of == reference && *it == kind)
    }

    /// The amounts of one attempt.
    pub fn amounts_of(&self, reference: &str, currency: Currency) -> Amounts {
        self.sum(currency, |it| it == reference).0
    }

    /// The amounts of all attempts together.
    pub fn amounts(&self, currency: Currency) -> Amounts {
        self.sum(currency, |_| true).0
    }

    /// Facts that cannot all be true.
    pub fn anomalies(&self, currency: Currency) -> Vec<Anomaly> {
        let mut found = self.sum(currency, |_| true).1;
        for ((reference, id, _), told) in &self.facts {
            if told.len() > 1 {
                found.push(Anomaly::Contradiction { reference: reference.clone(), id: id.clone() });
            }
        }
        for reference in self.references() {
            let Amounts { authorised, captured, refunded, voided, .. } = self.amounts_of(reference, currency);
            let reference = reference.to_owned();
            if captured.minor() > authorised.minor() {
                found.push(Anomaly::CapturedAboveAuthorised { reference, captured, authorised });
            } else if refunded.minor() > captured.minor() {
                found.push(Anomaly::RefundedAboveCaptured { reference, refunded, captured });
            } else if voided.minor() > authorised.minor() - captured.minor() {
                found.push(Anomaly::VoidedAboveAuthorised { reference, voided, captured, authorised });
            }
        }
        found
    }

    fn sum(&self, currency: Currency, mine: impl Fn(&str) -> bool) -> (Amounts, Vec<Anomaly>) {
        let mut amounts = Amounts::zero(currency);
        let mut uncounted = Vec::new();
        for ((reference, id, kind), told) in self.facts.iter().filter(|((reference, ..), _)| mine(reference)) {
            // Of a contradiction the larger amount counts: it is the safer one to have to explain.
            let Some(fact) = told.last() else { continue };
            let came_to_nothing =
                || self.facts.contains_key(&(reference.clone(), format!("{id}{FAILED}"), FactKind::RefundFailed));
            let counted = match kind {
                FactKind::Refunded if came_to_nothing() => Ok(()),
                _ => amounts.count(*kind, fact.amount),
            };
            if counted.is_err() {
                uncounted.push(Anomaly::Uncountable { reference: reference.clone(), id: id.clone() });
            }
        }
        // A dispute that is won no longer counts, whichever of its facts came first.
        amounts.disputed = Money::new(amounts.disputed.minor().max(0), currency);
        (amounts, uncounted)
    }
}

impl Amounts {
    pub const fn zero(currency: Currency) -> Amounts {
        let zero = Money::zero(currency);
        Amounts { authorised: zero, captured: zero, refunded: zero, voided: zero, disputed: zero }
    }

    fn count(&mut self, kind: FactKind, amount: Money) -> Result<(), MoneyError> {
        if amount.minor() < 0 {
            return Err(MoneyError::Overflow);
        }
        let sum = match kind {
            FactKind::Authorised => &mut self.authorised,
            FactKind::Captured => &mut self.captured,
            FactKind::Voided | FactKind::Expired => &mut self.voided,
            FactKind::Refunded => &mut self.refunded,
            FactKind::DisputeOpened | FactKind::DisputeWon => &mut self.disputed,
            FactKind::AuthoriseFailed | FactKind::ActionRequired | FactKind::RefundFailed | FactKind::DisputeLost => {
                return Ok(());
            }
        };
        *sum = if kind == FactKind::DisputeWon { sum.minus(amount)? } else { sum.plus(amount)? };
        Ok(())
    }

    /// What may still be captured, never below zero.
    pub fn capturable(&self) -> Money {
        let left = self.authorised.minor().saturating_sub(self.captured.minor()).saturating_sub(self.voided.minor());
        Money::new(left.max(0), self.authorised.currency())
    }

    /// What may still be refunded, never below zero.
    pub fn refundable(&self) -> Money {
        let left = self.captured.minor().saturating_sub(self.refunded.minor());
        Money::new(left.max(0), self.captured.currency())
    }
}

impl PaymentStatus {
    /// How a purchase that costs `due` is paid for.
    pub fn of(amounts: &Amounts, due: Money) -> PaymentStatus {
        let Amounts { authorised, captured, refunded, voided, disputed } = amounts;
        let (captured, refunded) = (captured.minor(), refunded.minor());
        if disputed.minor() > 0 {
            PaymentStatus::Disputed
        } else if captured > 0 && refunded >= captured {
            PaymentStatus::Refunded
        } else if captured.saturating_sub(refunded) > due.minor() {
            PaymentStatus::Overpaid
        } else if refunded > 0 {
            PaymentStatus::PartiallyRefunded
        } else if captured > 0 {
            let rest = !amounts.capturable().is_zero();
            if rest { PaymentStatus::PartiallyCaptured } else { PaymentStatus::Captured }
        } else if !amounts.capturable().is_zero() {
            PaymentStatus::Authorised
        } else if authorised.is_zero() && voided.is_zero() {
            PaymentStatus::None
        } else {
            PaymentStatus::Voided
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eur(minor: i64) -> Money {
        Money::new(minor, Currency::parse("EUR").unwrap())
    }

    fn fact(reference: &str, id: &str, kind: FactKind, minor: i64) -> PaymentFact {
        let at = time::macros::datetime!(2026-01-01 12:00:00 UTC);
        PaymentFact { id: id.to_owned(), reference: reference.to_owned(), kind, amount: eur(minor), at }
    }

    fn amounts(facts: &[PaymentFact]) -> Amounts {
        Ledger::fold(facts.iter().cloned()).amounts(eur(0).currency())
    }

    fn status(facts: &[PaymentFact], due: i64) -> PaymentStatus {
        PaymentStatus::of(&amounts(facts), eur(due))
    }

    #[test]
    fn payment_status_follows_the_amounts() {
        let authorised = fact("a", "authorised", FactKind::Authorised, 10);
        let part = fact("a", "capture:1", FactKind::Captured, 4);
        let rest = fact("a", "capture:2", FactKind::Captured, 6);
        let refund = fact("a", "refund:1", FactKind::Refunded, 3);
        let opened = fact("a", "dispute:d:opened", FactKind::DisputeOpened, 10);
        let won = fact("a", "dispute:d:won", FactKind::DisputeWon, 10);
        let lost = fact("a", "dispute:d:lost", FactKind::DisputeLost, 10);
        let void = |minor| fact("a", "voided", FactKind::Voided, minor);
        let check = |facts: &[&PaymentFact], want| {
            let facts: Vec<_> = facts.iter().map(|it| (*it).clone()).collect();
            assert_eq!(status(&facts, 10), want, "{facts:?}");
        };
        check(&[], PaymentStatus::None);
        check(&[&authorised], PaymentStatus::Authorised);
        check(&[&authorised, &part], PaymentStatus::PartiallyCaptured);
        check(&[&authorised, &part, &void(6)], PaymentStatus::Captured);
        check(&[&authorised, &part, &rest], PaymentStatus::Captured);
        check(&[&authorised, &part, &rest, &refund], PaymentStatus::PartiallyRefunded);
        check(&[&authorised, &part, &fact("a", "refund:2", FactKind::Refunded, 4)], PaymentStatus::Refunded);
        check(&[&authorised, &part, &rest, &refund, &opened], PaymentStatus::Disputed);
        check(&[&authorised, &part, &rest, &refund, &opened, &won], PaymentStatus::PartiallyRefunded);
        check(&[&authorised, &part, &rest, &opened, &lost], PaymentStatus::Disputed);
        check(&[&authorised, &void(10)], PaymentStatus::Voided);
        check(&[&authorised, &fact("a", "expired", FactKind::Expired, 10)], PaymentStatus::Voided);
        check(&[&fact("a", "voided", FactKind::Voided, 0)], PaymentStatus::None);
        check(&[&fact("a", "failed", FactKind::AuthoriseFailed, 0)], PaymentStatus::None);
        let twice = [&authorised, &part, &rest, &fact("b", "authorised", FactKind::Authorised, 10)];
        let twice_taken = fact("b", "capture:1", FactKind::Captured, 10);
        check(&[&twice[..], &[&twice_taken]].concat(), PaymentStatus::Overpaid);
    }

    #[test]
    fn a_refund_that_failed_never_happened_whichever_is_told_first() {
        let taken = [fact("a", "authorised", FactKind::Authorised, 10), fact("a", "capture:1", FactKind::Captured, 10)];
        let failed = fact("a", "refund:1:failed", FactKind::RefundFailed, 3);
        let asked = fact("a", "refund:1", FactKind::Refunded, 3);
        let mut facts = taken.to_vec();
        facts.push(failed);
        assert_eq!(amounts(&facts).refunded, eur(0));
        facts.push(asked);
        assert_eq!((amounts(&facts).refunded, amounts(&facts).refundable()), (eur(0), eur(10)));
        facts.push(fact("a", "refund:2", FactKind::Refunded, 3));
        assert_eq!(amounts(&facts).refunded, eur(3));
    }

    #[test]
    fn what_cannot_be_true_is_an_anomaly_and_nothing_panics() {
        let anomalies = |facts: &[PaymentFact]| Ledger::fold(facts.iter().cloned()).anomalies(eur(0).currency());
        let authorised = fact("a", "authorised", FactKind::Authorised, 10);
        assert_eq!(anomalies(&[authorised.clone(), fact("a", "capture:1", FactKind::Captured, 10)]), []);
        let check = |wrong: PaymentFact, want: &str| {
            let found = anomalies(&[authorised.clone(), wrong]);
            assert!(found.iter().any(|it| it.to_string().contains(want)), "{found:?}");
        };
        check(fact("a", "capture:1", FactKind::Captured, 11), "0.11 EUR is captured of 0.10 EUR");
        check(fact("a", "refund:1", FactKind::Refunded, 1), "refunded");
        check(fact("a", "voided", FactKind::Voided, 11), "voided");
        check(fact("a", "authorised", FactKind::Authorised, 9), "two amounts");
        check(fact("a", "capture:1", FactKind::Captured, -1), "cannot be counted");
        check(fact("a", "capture:1", FactKind::Authorised, i64::MAX), "cannot be counted");
        let dollars = Money::new(1, Currency::parse("USD").unwrap());
        check(PaymentFact { amount: dollars, ..fact("a", "x", FactKind::Captured, 1) }, "cannot be counted");
    }

    fn any_fact() -> impl Strategy<Value = PaymentFact> {
        let kinds = prop::sample::select(vec![
            FactKind::Authorised,
            FactKind::AuthoriseFailed,
            FactKind::Captured,
            FactKind::Voided,
            FactKind::Refunded,
            FactKind::RefundFailed,
            FactKind::DisputeOpened,
            FactKind::DisputeWon,
            FactKind::Expired,
        ]);
        (0..2_u8, 0..4_u8, kinds, 0..100_i64, 0..1000_i64).prop_map(|(reference, id, kind, minor, later)| {
            let suffix = if kind == FactKind::RefundFailed { FAILED } else { "" };
            let told = fact(&format!("pay_{reference}"), &format!("op:{id}{suffix}"), kind, minor);
            PaymentFact { at: told.at + time::Duration::seconds(later), ..told }
        })
    }

    proptest! {
        /// P14: late, repeated and shuffled facts need no special case.
        #[test]
        fn any_order_and_any_repeats_give_the_same_ledger(
            (facts, shuffled) in prop::collection::vec(any_fact(), 0..24).prop_flat_map(|facts| {
                let repeated: Vec<_> = facts.iter().chain(&facts).cloned().collect();
                (Just(facts), Just(repeated).prop_shuffle())
            }),
        ) {
            let (once, again) = (Ledger::fold(facts), Ledger::fold(shuffled));
            let currency = eur(0).currency();
            prop_assert_eq!(&once, &again);
            prop_assert_eq!(once.amounts(currency), again.amounts(currency));
            prop_assert_eq!(once.anomalies(currency), again.anomalies(currency));
        }
    }
}
