//! What a placed purchase is worth in parts: what was paid for each line and unit, and for shipping.
//!
//! Units of a line are given back cumulatively: after `k` of `n` units, exactly `round(paid * k / n)` has gone
//! back, by the rounding mode the purchase was priced with. So whatever the sequence, all units together
//! give back what was paid for the line, and all lines with shipping the total.
use super::{Priced, PricedLine, PricedShipping};
use crate::money::{Money, MoneyError};

/// One amount seen from three sides; `net + tax = gross` exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    pub net: Money,
    pub tax: Money,
    pub gross: Money,
}

impl Amounts {
    /// From an amount as entered and its tax.
    fn of(entered: Money, tax: Money, included: bool) -> Result<Amounts, MoneyError> {
        if included {
            Ok(Amounts { net: entered.minus(tax)?, tax, gross: entered })
        } else {
            Ok(Amounts { net: entered, tax, gross: entered.plus(tax)? })
        }
    }
}

/// What is paid for a line, after discounts.
///
/// # Errors
/// `NoSuchUnit` for a line that is not there; `Overflow`.
pub fn line_amounts(priced: &Priced, line: usize) -> Result<Amounts, MoneyError> {
    let PricedLine { subtotal, discount, tax, .. } = priced.lines.get(line).ok_or(MoneyError::NoSuchUnit)?;
    Amounts::of(subtotal.minus(*discount)?, *tax, priced.tax_included)
}

/// What is paid for shipping, after discounts; nothing without a method.
///
/// # Errors
/// `Overflow`.
pub fn shipping_amounts(priced: &Priced) -> Result<Amounts, MoneyError> {
    let zero = Money::zero(priced.currency);
    let Some(PricedShipping { price, discount, tax, .. }) = &priced.shipping else {
        return Ok(Amounts { net: zero, tax: zero, gross: zero });
    };
    Amounts::of(price.minus(*discount)?, *tax, priced.tax_included)
}

/// What is paid for shipping, with its tax.
///
/// # Errors
/// `Overflow`.
pub fn shipping_paid(priced: &Priced) -> Result<Money, MoneyError> {
    shipping_amounts(priced).map(|it| it.gross)
}

/// What `units` more units of a line are worth when `before` were given back already.
///
/// # Errors
/// `NoSuchUnit` if the line has not that many; `Overflow`.
pub fn refund_of(priced: &Priced, line: usize, before: u32, units: u32) -> Result<Money, MoneyError> {
    let paid = line_amounts(priced, line)?.gross;
    let of = priced.lines.get(line).map_or(0, |it| it.quantity.get());
    let after = before.checked_add(units).filter(|it| *it <= of).ok_or(MoneyError::NoSuchUnit)?;
    let until = |given: u32| -> Result<i64, MoneyError> {
        let share = priced.rounding.mode.divide(i128::from(paid.minor()) * i128::from(given), i128::from(of));
        i64::try_from(share).map_err(|_| MoneyError::Overflow)
    };
    Ok(Money::new(until(after)? - until(before)?, priced.currency))
}

/// What is left of shipping when `before` of it was given back already.
///
/// # Errors
/// `NoSuchUnit` if more was given back than was paid; `Overflow`.
pub fn shipping_refund_of(priced: &Priced, before: Money) -> Result<Money, MoneyError> {
    let left = shipping_paid(priced)?.minus(before)?;
    if left.minor() < 0 || before.minor() < 0 { Err(MoneyError::NoSuchUnit) } else { Ok(left) }
}
