//! The tax table: which rate goods of a class bear at a destination, and why a rate is zero.
//!
//! Nothing is untaxed in silence: every zero carries its reason, be it from the table, from an external
//! provider, or because no row fits at all.
use std::collections::BTreeMap;

use crate::{
    address::{Country, Destination, same_name},
    sku::Sku,
    store::Rate,
};

/// Rows of a tax table.
pub const TAX_RULES_MAX: usize = 500;

/// Why the tax on a line is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaxReason {
    /// Taxable, at a rate of nothing (books in some countries).
    ZeroRated,
    /// Outside the tax by law.
    Exempt,
    /// It leaves the country; whoever brings it in pays there.
    Export,
    /// No row of the table fits: probably an oversight, so it is told apart from the others.
    NoRule,
}

impl TaxReason {
    pub const ALL: [TaxReason; 4] = [TaxReason::ZeroRated, TaxReason::Exempt, TaxReason::Export, TaxReason::NoRule];

    /// As stored and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            TaxReason::ZeroRated => "zero_rated",
            TaxReason::Exempt => "exempt",
            TaxReason::Export => "export",
            TaxReason::NoRule => "no_rule",
        }
    }

    pub fn parse(name: &str) -> Option<TaxReason> {
        TaxReason::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What one line bears. `reason` is there exactly when the rate is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedTax {
    rate: Rate,
    reason: Option<TaxReason>,
}

impl AppliedTax {
    /// A zero rate without a reason is `ZeroRated`; a reason beside another rate says nothing and is dropped.
    pub fn new(rate: Rate, reason: Option<TaxReason>) -> AppliedTax {
        let reason = (rate == Rate::ZERO).then(|| reason.unwrap_or(TaxReason::ZeroRated));
        AppliedTax { rate, reason }
    }

    pub const fn rate(self) -> Rate {
        self.rate
    }

    pub const fn reason(self) -> Option<TaxReason> {
        self.reason
    }
}

/// One row of the tax table; the first row that fits wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxRule {
    /// Destination; `None` fits every country.
    pub country: Option<Country>,
    /// State or province; `None` fits every one.
    pub region: Option<String>,
    /// Tax class of the goods; `None` fits every class and shipping.
    pub class: Option<String>,
    pub rate: Rate,
    /// Why it is zero, if it is.
    pub reason: Option<TaxReason>,
}

impl TaxRule {
    fn fits(&self, destination: &Destination, class: &str) -> bool {
        self.country.is_none_or(|it| it == destination.country)
            && self.region.as_deref().is_none_or(|it| destination.is_in_region(it))
            && self.class.as_deref().is_none_or(|it| it == class)
    }
}

/// The first row that fits; without one the rate is zero for want of a rule.
pub fn applied(rules: &[TaxRule], destination: &Destination, class: &str) -> AppliedTax {
    match rules.iter().find(|it| it.fits(destination, class)) {
        Some(rule) => AppliedTax::new(rule.rate, rule.reason),
        None => AppliedTax::new(Rate::ZERO, Some(TaxReason::NoRule)),
    }
}

/// What an external provider says about one basket: used instead of the table, whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvidedTaxes {
    pub by_sku: BTreeMap<Sku, AppliedTax>,
    /// `None` before a shipping method is chosen.
    pub shipping: Option<AppliedTax>,
}

impl ProvidedTaxes {
    /// `None` if the provider was not asked about this SKU: never to be read as no tax.
    pub fn of(&self, sku: &Sku) -> Option<AppliedTax> {
        self.by_sku.get(sku).copied()
    }
}

impl Destination {
    /// Whether it lies in this state or province; without a region it lies in none.
    pub fn is_in_region(&self, region: &str) -> bool {
        self.region.as_deref().is_some_and(|it| same_name(it, region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(country: Option<&str>, region: Option<&str>, class: Option<&str>, millionths: u32) -> TaxRule {
        TaxRule {
            country: country.map(|it| Country::parse(it).unwrap()),
            region: region.map(ToOwned::to_owned),
            class: class.map(ToOwned::to_owned),
            rate: Rate::new(millionths).unwrap(),
            reason: None,
        }
    }

    #[test]
    fn the_first_row_that_fits_wins_and_every_zero_has_a_reason() {
        let mut rules = vec![
            rule(Some("US"), Some("NY"), Some("clothing"), 0),
            rule(Some("US"), Some("NY"), None, 88_750),
            rule(Some("GB"), None, None, 200_000),
        ];
        rules[0].reason = Some(TaxReason::Exempt);
        let to = |country: &str, region: Option<&str>| Destination {
            region: region.map(ToOwned::to_owned),
            ..Destination::country(Country::parse(country).unwrap())
        };
        let check = |destination: &Destination, class: &str, millionths: u32, reason: Option<TaxReason>| {
            let tax = applied(&rules, destination, class);
            assert_eq!((tax.rate().millionths(), tax.reason()), (millionths, reason), "{destination:?} {class}");
        };
        check(&to("US", Some(" ny ")), "clothing", 0, Some(TaxReason::Exempt));
        check(&to("US", Some("NY")), "standard", 88_750, None);
        check(&to("US", None), "standard", 0, Some(TaxReason::NoRule));
        check(&to("GB", None), "shipping", 200_000, None);
        check(&to("FR", None), "standard", 0, Some(TaxReason::NoRule));
        rules.push(TaxRule { reason: Some(TaxReason::Export), ..rule(None, None, None, 0) });
        assert_eq!(applied(&rules, &to("FR", None), "standard").reason(), Some(TaxReason::Export));
        for reason in TaxReason::ALL {
            assert_eq!(TaxReason::parse(reason.name()), Some(reason));
        }
    }
}
