//! A price as people write it, in major units, read without a float.
//!
//! Spreadsheets and data frames write 19.99 as 19.989999999999998. Rounding at six places takes that
//! noise away and nothing else: what is left must be whole minor units, or the price is refused rather
//! than quietly changed.
use crate::money::{Currency, Money};

/// Places kept when float noise is rounded away; at least the digits of any currency.
const PLACES: usize = 6;

/// One major unit at that precision.
const MAJOR: i64 = 1_000_000;

/// Highest price of one unit, in minor units. A full cart of such prices still fits an amount.
pub const PRICE_MAX_MINOR: i64 = 1_000_000_000_000;

/// Longest text of a price; a double prints in fewer.
const TEXT_MAX: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("price `{0}` is not a decimal number such as 12.50")]
    NotDecimal(String),
    #[error("price {0} is negative")]
    Negative(String),
    #[error("price {text} is not a whole number of minor units of {currency}")]
    NotWholeMinorUnits { text: String, currency: Currency },
    /// A free product is more often a hole in a price list than a gift.
    #[error("price is zero; give a price above zero")]
    Zero,
    #[error("price {0} is too high")]
    TooHigh(String),
}

/// Reads `digits` or `digits.digits`, above zero.
///
/// # Errors
/// [`PriceError`].
pub fn parse_price(text: &str, currency: Currency) -> Result<Money, PriceError> {
    let shown = || text.chars().take(TEXT_MAX).collect::<String>();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(PriceError::NotDecimal(shown())),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > TEXT_MAX || whole.is_empty() || !plain(whole) || !plain(fraction) {
        return Err(PriceError::NotDecimal(shown()));
    }
    if negative {
        return Err(PriceError::Negative(shown()));
    }
    let scaled = scaled(whole, fraction).ok_or_else(|| PriceError::TooHigh(shown()))?;
    let step = MAJOR / 10_i64.pow(u32::from(currency.exponent()));
    if scaled % step != 0 {
        return Err(PriceError::NotWholeMinorUnits { text: shown(), currency });
    }
    match scaled / step {
        0 => Err(PriceError::Zero),
        minor if minor > PRICE_MAX_MINOR => Err(PriceError::TooHigh(shown())),
        minor => Ok(Money::new(minor, currency)),
    }
}

/// The number times [`MAJOR`], rounded half up at that place; `None` if it does not fit.
fn scaled(whole: &str, fraction: &str) -> Option<i64> {
    let (kept, rest) = fraction.split_at(fraction.len().min(PLACES));
    let kept: i64 = format!("{kept:0<PLACES$}").parse().ok()?;
    let up = i64::from(rest.bytes().next().is_some_and(|digit| digit >= b'5'));
    whole.parse::<i64>().ok()?.checked_mul(MAJOR)?.checked_add(kept + up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str, code: &str) -> Result<i64, PriceError> {
        parse_price(text, Currency::parse(code).unwrap()).map(Money::minor)
    }

    #[test]
    fn noise_goes_and_halves_stay_refused() {
        assert_eq!(parse("19.989999999999998", "GBP"), Ok(1999));
        assert_eq!(parse("0.29999999999999999", "GBP"), Ok(30));
        assert_eq!(parse("9.9999999", "GBP"), Ok(1000));
        assert_eq!(parse("2.95", "GBP"), Ok(295));
        assert_eq!(parse("2.950", "GBP"), Ok(295));
        assert_eq!(parse("007", "GBP"), Ok(700));
        assert_eq!(parse("1200", "JPY"), Ok(1200));
        assert_eq!(parse("1.234", "KWD"), Ok(1234));
        for half in ["3.325", "1.6549999999999998", "5.6850000000000005", "0.001"] {
            assert!(matches!(parse(half, "GBP"), Err(PriceError::NotWholeMinorUnits { .. })), "{half}");
        }
        assert!(matches!(parse("12.5", "JPY"), Err(PriceError::NotWholeMinorUnits { .. })));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for bad in ["", ".", "1.", ".5", "1,50", "£1", "1e3", "NaN", "inf", "+1", " 1", "1 ", "--1", "1.-5", "１"] {
            assert!(matches!(parse(bad, "GBP"), Err(PriceError::NotDecimal(_))), "{bad}");
        }
        assert!(matches!(parse(&"9".repeat(41), "GBP"), Err(PriceError::NotDecimal(_))));
        assert!(matches!(parse("-1.50", "GBP"), Err(PriceError::Negative(_))));
        assert_eq!(parse("0", "GBP"), Err(PriceError::Zero));
        assert_eq!(parse("0.0000001", "GBP"), Err(PriceError::Zero));
        assert_eq!(parse("10000000000", "GBP"), Ok(PRICE_MAX_MINOR));
        assert!(matches!(parse("10000000000.01", "GBP"), Err(PriceError::TooHigh(_))));
        assert!(matches!(parse("99999999999999999999", "GBP"), Err(PriceError::TooHigh(_))));
    }

    proptest! {
        #[test]
        fn a_printed_price_is_read_back(minor in 1_i64..=PRICE_MAX_MINOR) {
            prop_assert_eq!(parse(&format!("{}.{:02}", minor / 100, minor % 100), "GBP"), Ok(minor));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,50}") {
            prop_assert!(parse(&text, "GBP").is_err() || text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        }
    }
}
