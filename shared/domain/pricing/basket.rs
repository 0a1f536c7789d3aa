//! What is in the basket: one item per SKU, each with the price that holds for it.
use time::OffsetDateTime;

use super::{Basket, Priced, PricingError, PricingProblem, Snapshot};
use crate::{
    money::Money,
    offer::Offer,
    price_list::{PriceList, PriceSource, winner},
    quantity::Quantity,
};

#[derive(Debug)]
pub(super) struct Item<'a> {
    pub offer: &'a Offer,
    pub quantity: Quantity,
    pub unit_price: Money,
    pub source: PriceSource,
    pub subtotal: Money,
    /// Not bought but given by a promotion.
    pub gift: bool,
    /// Where the SKU first stands in the basket.
    place: usize,
}

impl<'a> Item<'a> {
    /// What a promotion gives, at the catalogue's price.
    pub(super) fn gift(offer: &'a Offer, quantity: Quantity) -> Result<Item<'a>, PricingError> {
        let subtotal = offer.price.times(quantity.get())?;
        let source = PriceSource::Catalogue;
        Ok(Item { offer, quantity, unit_price: offer.price, source, subtotal, gift: true, place: 0 })
    }
}

/// One item per SKU, by SKU, priced by the merged quantity. What nothing prices is left out and told.
pub(super) fn items<'a>(
    snapshot: &Snapshot<'a>,
    basket: &Basket<'a>,
    now: OffsetDateTime,
    problems: &mut Vec<PricingProblem>,
) -> Result<Vec<Item<'a>>, PricingError> {
    let currency = snapshot.settings.currency;
    let groups = basket.customer.groups.as_slice();
    let lists: Vec<&PriceList> = snapshot.price_lists.iter().filter(|it| it.applies(currency, groups, now)).collect();
    let mut order: Vec<usize> = (0..basket.lines.len()).collect();
    order.sort_by_key(|it| &basket.lines[*it].0.sku);

    let mut items: Vec<Item<'a>> = Vec::with_capacity(order.len());
    for same in order.chunk_by(|one, other| basket.lines[*one].0.sku == basket.lines[*other].0.sku) {
        // The sort is stable, so the first of its SKU stands first.
        let place = same[0];
        let offer = &basket.lines[place].0;
        let units = same.iter().fold(0_u32, |sum, it| sum.saturating_add(basket.lines[*it].1.get()));
        let quantity = Quantity::new(units).map_err(|_| PricingError::TooMany { sku: offer.sku.clone() })?;
        let (unit_price, source) = match winner(&lists, &offer.sku, units) {
            Some((list, tier)) => (tier.price, PriceSource::List { id: list.id.clone(), tier: tier.from_units }),
            None if offer.price.currency() == currency => (offer.price, PriceSource::Catalogue),
            None => {
                problems.push(PricingProblem::NoPrice { sku: offer.sku.clone() });
                continue;
            }
        };
        let subtotal = unit_price.times(units)?;
        items.push(Item { offer, quantity, unit_price, source, subtotal, gift: false, place });
    }
    Ok(items)
}

/// Puts the lines, and the shares of each discount, back into the order of the basket; gifts stay behind.
pub(super) fn restore_order(priced: &mut Priced, items: &[Item<'_>]) {
    let place = |it: usize| items.get(it).map_or(usize::MAX, |item| item.place);
    if (1..items.len()).all(|it| place(it - 1) < place(it)) {
        return;
    }
    let mut order: Vec<usize> = (0..priced.lines.len()).collect();
    order.sort_by_key(|it| place(*it));
    let mut lines: Vec<_> = std::mem::take(&mut priced.lines).into_iter().map(Some).collect();
    priced.lines = order.iter().filter_map(|it| lines[*it].take()).collect();
    for discount in &mut priced.discounts {
        discount.lines = order.iter().map(|it| discount.lines[*it]).collect();
    }
}
