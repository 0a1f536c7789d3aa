//! Amounts as Stripe counts them. Source: docs.stripe.com/currencies, "Zero-decimal currencies", "Special cases" and
//! "Three-decimal currencies".
//!
//! What must stay true: what is asked for is what was priced, to the last digit, or it is refused; never rounded.
use offpeak_domain::money::{Currency, Money};

/// Charged in whole units.
const ZERO: &str = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF";
/// Without a minor unit, and yet written with two digits, both of them zero.
const ZERO_WITH_TWO: &str = "ISK UGX";
/// Written with three digits, of which the last is zero.
const THREE: &str = "BHD JOD KWD OMR TND";

/// Digits after the point in Stripe's own numbers.
fn digits(currency: Currency) -> u8 {
    let listed = |list: &str| list.split(' ').any(|it| it == currency.code());
    match () {
        () if listed(ZERO) => 0,
        () if listed(THREE) => 3,
        () => 2,
    }
}

/// What the smallest step is, in Stripe's own numbers.
fn step(currency: Currency) -> i64 {
    let listed = |list: &str| list.split(' ').any(|it| it == currency.code());
    match () {
        () if listed(ZERO_WITH_TWO) => 100,
        () if listed(THREE) => 10,
        () => 1,
    }
}

/// The amount in Stripe's number.
///
/// # Errors
/// What is wrong with it: a currency Stripe has no digits for, or an amount between its steps.
pub(super) fn to_stripe(amount: Money) -> Result<i64, String> {
    let currency = amount.currency();
    let (ours, theirs) = (currency.exponent(), digits(currency));
    let scale = 10_i64.pow(u32::from(ours.abs_diff(theirs)));
    let between = || format!("Stripe takes no such part of a {currency}: {amount}");
    let number = if theirs >= ours {
        amount.minor().checked_mul(scale).ok_or_else(|| format!("{amount} is out of range"))?
    } else if amount.minor() % scale == 0 {
        amount.minor() / scale
    } else {
        return Err(between());
    };
    if number % step(currency) == 0 { Ok(number) } else { Err(between()) }
}

/// The amount that Stripe's number means.
///
/// # Errors
/// A part that our currency has no digit for, or a number out of range.
pub(super) fn from_stripe(number: i64, currency: Currency) -> Result<Money, String> {
    let (ours, theirs) = (currency.exponent(), digits(currency));
    let scale = 10_i64.pow(u32::from(ours.abs_diff(theirs)));
    let minor = if ours >= theirs {
        number.checked_mul(scale).ok_or_else(|| format!("{number} {currency} is out of range"))?
    } else if number % scale == 0 {
        number / scale
    } else {
        return Err(format!("{number} is no amount of {currency} at Stripe"));
    };
    Ok(Money::new(minor, currency))
}

/// Of Stripe's name, which is in small letters.
pub(super) fn currency(name: &str) -> Result<Currency, String> {
    Currency::parse(&name.to_ascii_uppercase()).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, Currency::parse(code).unwrap())
    }

    /// P11: amounts with Stripe's digits.
    #[test]
    fn amounts_have_stripes_digits() {
        for (minor, code, number) in [
            (1_999, "EUR", 1_999),
            (80, "JPY", 80),
            (1_230, "BHD", 1_230),
            (500, "ISK", 50_000),
            (500, "UGX", 50_000),
            (500, "HUF", 500),
            (500, "MGA", 5),
            (9_007_199_254_740_993, "USD", 9_007_199_254_740_993),
        ] {
            assert_eq!(to_stripe(money(minor, code)), Ok(number), "{minor} {code}");
            assert_eq!(from_stripe(number, Currency::parse(code).unwrap()), Ok(money(minor, code)), "{minor} {code}");
        }
        for (minor, code) in [(1_234, "BHD"), (501, "MGA"), (1, "CLF"), (i64::MAX, "ISK")] {
            assert!(to_stripe(money(minor, code)).is_err(), "{minor} {code}");
        }
        assert!(from_stripe(50_001, Currency::parse("ISK").unwrap()).is_err());
        assert_eq!(currency("eur").unwrap().code(), "EUR");
        assert!(currency("€").is_err());
    }
}
