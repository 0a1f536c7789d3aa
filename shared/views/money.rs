//! Money on the wire: minor units as a string of digits, and the currency.
use offpeak_domain::money::{Currency, Money, MoneyError};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyView {
    pub amount: String,
    pub currency: String,
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> MoneyView {
        MoneyView { amount: money.minor().to_string(), currency: money.currency().code().to_owned() }
    }
}

impl MoneyView {
    /// # Errors
    /// [`MoneyError`].
    pub fn parse(&self) -> Result<Money, MoneyError> {
        Money::parse(&self.amount, Currency::parse(&self.currency)?)
    }
}
