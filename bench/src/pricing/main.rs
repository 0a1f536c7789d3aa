//! Prices one cart of fifty lines under twenty promotions, again and again on one thread, and prints how long
//! it took as one JSON object.
//!
//! What must stay true: every promotion is open to the cart and of use, so that none is dismissed cheaply;
//! the price list is as large as one may be, so that what is looked up is looked up in something.
#![expect(clippy::print_stdout, reason = "a program for people")]
use std::{collections::BTreeSet, error::Error, hint::black_box, time::Instant};

use offpeak_domain::{
    money::{Currency, Money},
    offer::Offer,
    price_list::{PRICES_MAX, PriceList, PriceListId, Tier},
    pricing::{Basket, CustomerFacts, Priced, Snapshot, price},
    promotion::{Combines, CouponCode, Effect, Goods, Promotion, PromotionId, Rule, Trigger},
    quantity::Quantity,
    sku::Sku,
    store::{Rate, StoreSettings, TaxRule},
    uses::UseLimits,
};
use serde_json::json;
use time::{OffsetDateTime, macros::datetime};

const LINES: usize = 50;
const PROMOTIONS: usize = 20;
const CODES: usize = 5;
const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn main() -> Result<(), Box<dyn Error>> {
    let turns = std::env::args().nth(1).map_or(Ok(20_000), |it| it.parse::<usize>())?;
    let shop = Shop::new(PRICES_MAX)?;
    // The same cart in a shop whose list names hardly more than what is in it.
    let small = Shop::new(LINES)?;
    let first = shop.price()?;
    let mut nanoseconds = Vec::with_capacity(turns);
    for _ in 0..turns.max(1) {
        let start = Instant::now();
        black_box(black_box(&shop).price()?);
        nanoseconds.push(u64::try_from(start.elapsed().as_nanos())?);
    }
    nanoseconds.sort_unstable();
    let at = |percent: usize| nanoseconds[(nanoseconds.len() - 1) * percent / 100];
    let open = first.discounts.len() + first.skipped.iter().filter(|it| it.reason.name() == "not_combinable").count();
    let said = json!({
        "lines": first.lines.len(),
        "promotions": open,
        "applied": first.discounts.len(),
        "medianNs": at(50),
        "p99Ns": at(99),
        "allocations": allocations(&shop)?,
        "allocationsInASmallShop": allocations(&small)?,
    });
    println!("{said}");
    Ok(())
}

/// Of one pricing, on this thread.
fn allocations(shop: &Shop) -> Result<u64, Box<dyn Error>> {
    let mut priced = None;
    let counted = allocation_counter::measure(|| priced = Some(shop.price()));
    priced.ok_or("nothing was priced")??;
    Ok(counted.count_total)
}

struct Shop {
    settings: StoreSettings,
    lists: [PriceList; 1],
    promotions: Vec<Promotion>,
    gifts: [Offer; 1],
    lines: Vec<(Offer, Quantity)>,
    codes: Vec<CouponCode>,
    customer: CustomerFacts,
}

impl Shop {
    /// With so many SKUs on its price list.
    fn new(prices: usize) -> Result<Shop, Box<dyn Error>> {
        let currency = Currency::parse("GBP")?;
        let rate = |millionths| Rate::new(millionths).ok_or("a rate above 100 %");
        let rule = |rate| TaxRule { country: None, region: None, class: None, rate, reason: None };
        let settings = StoreSettings { taxes: vec![rule(rate(200_000)?)], ..StoreSettings::plain(currency) };
        let lines = (0..LINES)
            .map(|it| Ok((offer(currency, it)?, Quantity::new(1 + u32::try_from(it % 4)?)?)))
            .collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Shop {
            lists: [list(currency, prices)?],
            promotions: (0..PROMOTIONS).map(|it| promotion(currency, it)).collect::<Result<_, _>>()?,
            gifts: [offer(currency, 999)?],
            codes: (0..CODES).map(|it| CouponCode::parse(&format!("CODE-{it}"))).collect::<Result<_, _>>()?,
            customer: CustomerFacts { groups: vec!["club".to_owned()], first_order: true },
            settings,
            lines,
        })
    }

    fn price(&self) -> Result<Priced, Box<dyn Error>> {
        let snapshot = Snapshot {
            price_lists: &self.lists,
            promotions: &self.promotions,
            gifts: &self.gifts,
            ..Snapshot::of(&self.settings)
        };
        let (lines, codes, customer) = (&self.lines, &self.codes, &self.customer);
        let basket = Basket { lines, codes, customer, destination: None, method: Some("standard") };
        Ok(price(&snapshot, &basket, NOW)?)
    }
}

fn sku(number: usize) -> Result<Sku, Box<dyn Error>> {
    Ok(Sku::parse(&format!("SKU-{:05}", number * 7919 % 100_000))?)
}

fn offer(currency: Currency, number: usize) -> Result<Offer, Box<dyn Error>> {
    Ok(Offer {
        product_id: format!("prd_{number:026}"),
        slug: format!("a-product-with-a-name-{number}"),
        sku: sku(number)?,
        title: format!("A product with a name {number}"),
        variant_title: "Large, blue".to_owned(),
        price: Money::new(999 + 37 * i64::try_from(number)?, currency),
        tax_class: "standard".to_owned(),
        category: format!("category-{}", number % 8),
    })
}

fn list(currency: Currency, prices: usize) -> Result<PriceList, Box<dyn Error>> {
    let tiers = |from_units, minor| Tier { from_units, price: Money::new(minor, currency) };
    let price = |number: usize| Ok((sku(2 * number)?, vec![tiers(1, 950), tiers(3, 900), tiers(10, 850)]));
    Ok(PriceList {
        id: PriceListId::parse("club")?,
        title: "Club".to_owned(),
        currency,
        groups: vec!["club".to_owned()],
        from: None,
        until: None,
        priority: 0,
        prices: (0..prices).map(price).collect::<Result<_, Box<dyn Error>>>()?,
    })
}

/// All kinds, on all selections, with rules; every third combines with nothing of its class.
fn promotion(currency: Currency, number: usize) -> Result<Promotion, Box<dyn Error>> {
    let rate = Rate::new(50_000 + 10_000 * u32::try_from(number)?).ok_or("a rate above 100 %")?;
    let amount = Money::new(300 + 10 * i64::try_from(number)?, currency);
    let skus = [sku(number)?, sku(number + 1)?, sku(number + 2)?];
    let some = Goods { skus: skus.into(), categories: BTreeSet::new() };
    let shelf = Goods { skus: BTreeSet::new(), categories: [format!("category-{}", number % 8)].into() };
    let effect = match number % 10 {
        0 => Effect::OrderPercent { rate },
        1 => Effect::OrderFixed { amount },
        2 | 3 => Effect::LinePercent { rate, goods: shelf.clone() },
        4 => Effect::LineFixed { amount, goods: some },
        5 => Effect::BuyGet {
            buy: Goods::default(),
            buy_units: 3,
            get: shelf.clone(),
            get_units: 1,
            rate,
            times_max: None,
        },
        6 => Effect::LinePercent { rate, goods: Goods::default() },
        7 => Effect::Gift { sku: sku(999)?, units: Quantity::new(1)? },
        8 => Effect::LinePercent { rate, goods: some },
        _ => Effect::OrderPercent { rate },
    };
    let alone = number.is_multiple_of(3);
    let trigger = if number < CODES {
        Trigger::Coded { codes: [CouponCode::parse(&format!("CODE-{number}"))?].into() }
    } else {
        Trigger::Automatic
    };
    Ok(Promotion {
        id: PromotionId::parse(&format!("promotion-{number}"))?,
        title: format!("Promotion {number}"),
        trigger,
        rules: vec![
            Rule::MinimumSpend { amount: Money::new(1_000, currency), goods: shelf },
            Rule::CustomerGroup { groups: ["club".to_owned()].into() },
        ],
        from: Some(NOW),
        until: None,
        combines_with: Combines { product: !alone, order: true, shipping: true },
        effect,
        priority: i32::try_from(number % 4)?,
        uses: UseLimits::default(),
    })
}
