//! What each code costs, in minor units: by the price list, by the shop, or by both if they agree.
use std::{collections::HashMap, io::Read};

use csv::{Reader, StringRecord};
use offpeak_domain::{catalogue::price::parse_price, money::Currency, sku::Sku};

use super::invoices::{columns, unreadable};
use crate::failure::Failure;

pub(super) type Prices = HashMap<String, i64>;

/// The rows of a price list that an import would load, by the import's own rules; the first of a code counts.
pub(super) fn from_list(file: impl Read, currency: &str) -> Result<Prices, Failure> {
    let currency = Currency::parse(currency).map_err(|err| Failure::usage(err.to_string()))?;
    let mut reader = Reader::from_reader(file);
    let heading = reader.headers().map_err(unreadable)?.clone();
    let [code, price] = columns(&heading, ["StockCode", "price"]).or_else(|_| columns(&heading, ["sku", "price"]))?;
    let mut prices = Prices::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(unreadable)? {
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        if let (Ok(sku), Ok(price)) = (Sku::parse(cell(code)), parse_price(cell(price), currency)) {
            prices.entry(sku.as_str().to_owned()).or_insert(price.minor());
        }
    }
    Ok(prices)
}

/// What can be bought and checked: with both lists, a code must be in both at one price.
pub(super) fn agreed(listed: Option<Prices>, sold: Option<Prices>) -> Result<Prices, Failure> {
    let (listed, mut sold) = match (listed, sold) {
        (Some(listed), Some(sold)) => (listed, sold),
        (one, other) => return Ok(one.or(other).unwrap_or_default()),
    };
    if let Some((code, price)) = sold.iter().find(|(code, price)| listed.get(*code).is_some_and(|it| it != *price)) {
        return Err(Failure::new(format!("the shop sells {code} at {price}, the list says {}", listed[code])));
    }
    sold.retain(|code, _| listed.contains_key(code));
    Ok(sold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(list: &[(&str, i64)]) -> Prices {
        list.iter().map(|(code, price)| ((*code).to_owned(), *price)).collect()
    }

    #[test]
    fn the_list_counts_as_an_import_would_read_it() {
        let text = "StockCode,desc,price\na1,A,1.9899999999999998\na2,B,3.325\na b,C,1\na1,D,5\n";
        assert_eq!(from_list(text.as_bytes(), "GBP").unwrap(), prices(&[("a1", 199)]));
        let text = "sku,price\na1,1.9899999999999998\na2,3.325\na b,1\na1,5\n";
        assert_eq!(from_list(text.as_bytes(), "GBP").unwrap(), prices(&[("a1", 199)]));
        assert!(from_list(text.as_bytes(), "pounds").is_err());
    }

    #[test]
    fn list_and_shop_must_agree() {
        let (list, shop) = (prices(&[("a", 1), ("b", 2)]), prices(&[("b", 2), ("c", 3)]));
        assert_eq!(agreed(Some(list.clone()), Some(shop.clone())).unwrap(), prices(&[("b", 2)]));
        assert_eq!(agreed(Some(list.clone()), None).unwrap(), list);
        assert!(agreed(Some(prices(&[("b", 9)])), Some(shop)).is_err());
    }
}
