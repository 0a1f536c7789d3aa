//! Money: whole minor units of one currency. Never a float, never two currencies mixed.
use std::fmt;

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

/// Codes and minor digits. Source: ISO 4217 list one, currencies with a minor unit defined.
const DIGITS_0: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const DIGITS_3: &str = "BHD IQD JOD KWD LYD OMR TND";
const DIGITS_4: &str = "CLF UYW";
const DIGITS_2: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD \
CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL \
HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN \
MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("`{0}` is not an ISO 4217 currency code")]
    UnknownCurrency(String),
    #[error("cannot combine {0} with {1}")]
    CurrencyMismatch(Currency, Currency),
    #[error("the amount is out of range")]
    Overflow,
    #[error("`{0}` is not an amount in minor units: digits only, e.g. \"1999\"")]
    NotMinorUnits(String),
    #[error("an amount cannot be shared out over less than itself")]
    NoRoom,
    #[error("the purchase has no such line, or not that many units left")]
    NoSuchUnit,
}

impl Currency {
    /// # Errors
    /// `UnknownCurrency` for anything but an upper-case ISO 4217 code.
    pub fn parse(text: &str) -> Result<Currency, MoneyError> {
        let unknown = || MoneyError::UnknownCurrency(text.chars().take(8).collect());
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| unknown())?;
        let listed = |list: &str| list.split(' ').any(|it| it == text);
        let exponent = [(DIGITS_2, 2), (DIGITS_0, 0), (DIGITS_3, 3), (DIGITS_4, 4)]
            .into_iter()
            .find_map(|(list, digits)| listed(list).then_some(digits))
            .ok_or_else(unknown)?;
        Ok(Currency { code, exponent })
    }

    /// Every currency, by the number of its minor digits.
    pub fn all() -> impl Iterator<Item = Currency> {
        [DIGITS_0, DIGITS_2, DIGITS_3, DIGITS_4]
            .into_iter()
            .flat_map(|it| it.split(' '))
            .filter_map(|it| Currency::parse(it).ok())
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or_else(|_| unreachable!("a code is ASCII"))
    }

    /// Digits after the point: 2 for GBP, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u8 {
        self.exponent
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in the currency's minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    pub const fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// From the wire: minor units as a string of digits (an optional leading minus), no more than i64 holds.
    ///
    /// # Errors
    /// `NotMinorUnits`, `Overflow`.
    pub fn parse(minor: &str, currency: Currency) -> Result<Money, MoneyError> {
        let digits = minor.strip_prefix('-').unwrap_or(minor);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MoneyError::NotMinorUnits(minor.chars().take(24).collect()));
        }
        let minor = minor.parse().map_err(|_| MoneyError::Overflow)?;
        Ok(Money { minor, currency })
    }

    pub const fn minor(self) -> i64 {
        self.minor
    }

    pub const fn currency(self) -> Currency {
        self.currency
    }

    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// # Errors
    /// `CurrencyMismatch`, `Overflow`.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.with_other(other, i64::checked_add)
    }

    /// # Errors
    /// `CurrencyMismatch`, `Overflow`.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.with_other(other, i64::checked_sub)
    }

    /// # Errors
    /// `Overflow`.
    pub fn times(self, factor: u32) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_mul(i64::from(factor)).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// # Errors
    /// `CurrencyMismatch`, `Overflow`.
    pub fn sum(currency: Currency, parts: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
        parts.into_iter().try_fold(Money::zero(currency), Money::plus)
    }

    fn with_other(self, other: Money, combine: fn(i64, i64) -> Option<i64>) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch(self.currency, other.currency));
        }
        let minor = combine(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }
}

impl fmt::Display for Money {
    /// For people: `12.05 GBP`, `-0.05 USD`, `1205 JPY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.exponent);
        let scale = 10_u64.pow(u32::from(self.currency.exponent));
        let sign = if self.minor < 0 { "-" } else { "" };
        let (whole, part) = (self.minor.unsigned_abs() / scale, self.minor.unsigned_abs() % scale);
        if digits == 0 {
            write!(f, "{sign}{whole} {}", self.currency)
        } else {
            write!(f, "{sign}{whole}.{part:0digits$} {}", self.currency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn prints_by_currency() {
        let check = |minor, code, want: &str| assert_eq!(Money::new(minor, currency(code)).to_string(), want);
        check(1205, "EUR", "12.05 EUR");
        check(-5, "USD", "-0.05 USD");
        check(1205, "JPY", "1205 JPY");
        check(1234, "BHD", "1.234 BHD");
        check(i64::MIN, "JPY", "-9223372036854775808 JPY");
    }

    #[test]
    fn what_is_not_minor_units_is_refused() {
        for bad in ["", "-", "1.5", "1e18", "NaN", " 1", "+1", "0x1", "１"] {
            assert!(matches!(Money::parse(bad, currency("EUR")), Err(MoneyError::NotMinorUnits(_))), "{bad}");
        }
        assert_eq!(Money::parse("9223372036854775808", currency("EUR")), Err(MoneyError::Overflow));
        assert_eq!(Money::parse("9007199254740993", currency("EUR")).unwrap().minor(), 9_007_199_254_740_993);
    }

    #[test]
    fn p11_every_currency_goes_out_and_comes_back() {
        assert_eq!(Currency::all().count(), 17 + 7 + 2 + DIGITS_2.split(' ').count());
        for currency in Currency::all() {
            assert_eq!(Currency::parse(currency.code()), Ok(currency));
            for minor in [0, 1, -1, 99, 1_234, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
                let money = Money::new(minor, currency);
                assert_eq!(Money::parse(&minor.to_string(), currency), Ok(money));
                // What people read has the currency's digits, and all of them.
                let text = money.to_string();
                let (amount, code) = text.split_once(' ').unwrap();
                assert_eq!(code, currency.code());
                assert_eq!(amount.split_once('.').map_or(0, |it| it.1.len()), usize::from(currency.exponent()));
                assert_eq!(amount.replace('.', "").parse::<i64>(), Ok(minor));
            }
        }
    }

    #[test]
    fn p11_minor_units_follow_the_currency() {
        let read = |text, code| crate::catalogue::price::parse_price(text, currency(code)).map(Money::minor);
        assert_eq!(read("80", "JPY"), Ok(80));
        assert_eq!(read("1.234", "BHD"), Ok(1_234));
        assert_eq!(read("1.23", "EUR"), Ok(123));
        assert!(read("80.5", "JPY").is_err() && read("1.2345", "BHD").is_err());
        let (euro, yen) = (Money::new(1, currency("EUR")), Money::new(1, currency("JPY")));
        assert_eq!(euro.plus(yen), Err(MoneyError::CurrencyMismatch(currency("EUR"), currency("JPY"))));
        assert!(euro.minus(yen).is_err() && Money::sum(currency("EUR"), [euro, yen]).is_err());
    }

    #[test]
    fn sums_never_wrap_or_mix() {
        let most = Money::new(i64::MAX, currency("EUR"));
        assert_eq!(most.plus(Money::new(1, currency("EUR"))), Err(MoneyError::Overflow));
        assert_eq!(most.times(2), Err(MoneyError::Overflow));
        assert!(matches!(most.plus(Money::zero(currency("USD"))), Err(MoneyError::CurrencyMismatch(_, _))));
        assert!(Currency::parse("eur").is_err() && Currency::parse("EU").is_err() && Currency::parse("XYZ").is_err());
    }
}
