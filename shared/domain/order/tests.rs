//! P17 and P18 on the rules alone: whatever happens to an order in whatever sequence, units and money add up,
//! stock comes out even, and what was captured can be given back to the last minor unit.
use std::collections::BTreeMap;

use proptest::prelude::*;
use time::{OffsetDateTime, macros::datetime};
use ulid::Ulid;

use super::*;
use crate::{
    address::{Address, Email},
    ids::CartId,
    money::Currency,
    price_list::PriceSource,
    pricing::{PricedLine, PricedShipping, Totals},
    quantity::Quantity,
    rounding::Rounding,
    stock::{Location, Part},
    store::Rate,
};

const NOW: OffsetDateTime = datetime!(2026-01-01 12:00:00 UTC);
const ON_HAND: i64 = 1000;

/// The world that an order's works move: stock and provider, which refuse what cannot be.
#[derive(Clone, Debug, Default)]
struct World {
    on_hand: BTreeMap<String, i64>,
    allocated: BTreeMap<String, i64>,
    captured: i64,
    refunded: i64,
    voided: i64,
    authorised: i64,
    captures: u32,
}

fn staff() -> By {
    By { actor: Actor::Staff("ada".to_owned()), at: NOW }
}

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").unwrap())
}

/// Lines as (quantity, paid for the line), and what shipping costs; every third line sells the first SKU.
fn priced(lines: &[(u32, i64)], shipping: Option<i64>) -> Priced {
    let goods: i64 = lines.iter().map(|(_, paid)| paid).sum();
    let line = |(place, (quantity, paid)): (usize, &(u32, i64))| PricedLine {
        sku: Sku::parse(&format!("S{}", place % 3)).unwrap(),
        product_id: String::new(),
        slug: String::new(),
        title: String::new(),
        variant_title: String::new(),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: gbp(paid / i64::from(*quantity)),
        price_from: PriceSource::Catalogue,
        subtotal: gbp(*paid),
        discount: gbp(0),
        tax_rate: Rate::ZERO,
        tax: gbp(0),
        tax_reason: None,
        gift_of: None,
        customer_limit: None,
    };
    let paid = shipping.unwrap_or_default();
    Priced {
        currency: gbp(0).currency(),
        rounding: Rounding::default(),
        tax_included: false,
        lines: lines.iter().enumerate().map(line).collect(),
        shipping: shipping.map(|price| PricedShipping {
            method: "standard".to_owned(),
            title: String::new(),
            price: gbp(price),
            discount: gbp(0),
            tax_rate: Rate::ZERO,
            tax: gbp(0),
        }),
        discounts: Vec::new(),
        skipped: Vec::new(),
        problems: Vec::new(),
        totals: Totals {
            subtotal: gbp(goods),
            discount: gbp(0),
            shipping: gbp(paid),
            tax: gbp(0),
            tax_included: gbp(0),
            total: gbp(goods + paid),
        },
    }
}

fn placed(lines: &[(u32, i64)], shipping: Option<i64>, at_placement: bool) -> (Order, World) {
    let priced = priced(lines, shipping);
    let total = priced.totals.total.minor();
    let address = Address::parse("Ada", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB").unwrap();
    let email = Email::parse("ada@example.org").unwrap();
    let buyer = Buyer { email, shipping_address: address, billing_address: None, account: None };
    let id = CartId::new(Ulid::from_parts(1, 1)).checkout().order();
    let captured = if at_placement { total } else { 0 };
    let payment = OrderPayment { authorised: total, captured, ..OrderPayment::default() };
    let mut order = Order::pending(id, String::new(), buyer, priced, payment, NOW);
    let mut world = World { authorised: total, captured, ..World::default() };
    let mut parts = Vec::new();
    for line in &order.priced.lines {
        let units = i64::from(line.quantity.get());
        // Split over two locations, as an allocation may be.
        let [here, there] = [units / 2, units - units / 2];
        let part = |location: &str, units| Part { location: Location::parse(location).unwrap(), units };
        parts.push((line.sku.clone(), vec![part("east", here), part("west", there)]));
        world.on_hand.insert(line.sku.to_string(), ON_HAND);
        *world.allocated.entry(line.sku.to_string()).or_default() += units;
    }
    order.place(parts, &By { actor: Actor::System, at: NOW });
    (order, world)
}

/// One thing that people or the world do.
#[derive(Clone, Copy, Debug)]
enum Act {
    CancelOne(usize),
    CancelAll,
    FulfilOne(usize),
    FulfilAll,
    PackAll,
    ShipPacked,
    Unpack,
    RefundOne(usize),
    RefundAll,
    RefundShipping,
    RefundAmount(i64),
    ReturnOne(usize),
    ReceiveAll,
    InspectAll,
    CloseReturn,
    /// The oldest work, done or refused by the provider.
    Work(bool),
}

fn one(line: usize) -> Vec<LineAsk> {
    vec![LineAsk { line, units: 1 }]
}

fn act(order: &mut Order, world: &mut World, act: Act) {
    let by = staff();
    let mut after = order.clone();
    let done = match act {
        Act::CancelOne(line) => after.cancel(&Cancel { lines: Some(one(line)), ..Cancel::default() }, &by).map(drop),
        Act::CancelAll => after.cancel(&Cancel::default(), &by).map(drop),
        Act::FulfilOne(line) => {
            after.fulfil(&Fulfil { lines: Some(one(line)), shipped: true, ..Fulfil::default() }, &by).map(drop)
        }
        Act::FulfilAll => after.fulfil(&Fulfil { shipped: true, ..Fulfil::default() }, &by).map(drop),
        Act::PackAll => after.fulfil(&Fulfil::default(), &by).map(drop),
        Act::ShipPacked => move_packed(&mut after, FulfilmentState::Shipped),
        Act::Unpack => move_packed(&mut after, FulfilmentState::Cancelled),
        Act::RefundOne(line) => refund(&mut after, one(line), false),
        Act::RefundAll => {
            let lines = after.units.iter().enumerate();
            let lines = lines.map(|(line, it)| LineAsk { line, units: it.refundable() }).filter(|it| it.units > 0);
            let (lines, shipping) = (lines.collect(), after.shipping.captured && !after.shipping.refunded);
            refund(&mut after, lines, shipping)
        }
        Act::RefundShipping => refund(&mut after, Vec::new(), true),
        Act::RefundAmount(minor) => after.refund(&RefundAsk::Amount(gbp(minor)), None, &by).map(drop),
        Act::ReturnOne(line) => after.request_return(&one(line), None, &by).map(drop),
        Act::ReceiveAll => move_return(&mut after, ReturnState::Received),
        Act::InspectAll => move_return(&mut after, ReturnState::Inspected),
        Act::CloseReturn => move_return(&mut after, ReturnState::Closed),
        Act::Work(well) => {
            work(&mut after, world, well);
            Ok(())
        }
    };
    if done.is_ok() {
        *order = after;
    }
    check(order, world);
}

fn refund(order: &mut Order, lines: Vec<LineAsk>, shipping: bool) -> Result<(), OrderRefusal> {
    order.refund(&RefundAsk::Goods { lines, shipping }, None, &staff()).map(drop)
}

fn move_packed(order: &mut Order, to: FulfilmentState) -> Result<(), OrderRefusal> {
    let packed = order.fulfilments.iter().find(|it| it.state == FulfilmentState::Packed);
    let id = packed.map(|it| it.id.clone()).unwrap_or_default();
    order.change_fulfilment(&id, to, None, &staff()).map(drop)
}

fn move_return(order: &mut Order, state: ReturnState) -> Result<(), OrderRefusal> {
    let open = |it: &&Return| !matches!(it.state, ReturnState::Closed | ReturnState::Refunded);
    let Some(it) = order.returns.iter().find(open).cloned() else { return Err(OrderRefusal::NothingLeft) };
    let line = |it: &ReturnLine| match state {
        ReturnState::Received => ReturnLine { received: it.requested, ..*it },
        // One is damaged, the others can be sold again.
        _ => ReturnLine { restock: it.received.saturating_sub(1), damaged: it.received.min(1), ..*it },
    };
    let lines = it.lines.iter().map(line).collect();
    let ask = ChangeReturn { state, lines, refund: true, location: Location::parse("west").ok(), note: None };
    order.change_return(&it.id, &ask, &staff()).map(drop)
}

/// Does the oldest work as stock and provider would. Stock never refuses what is really promised.
fn work(order: &mut Order, world: &mut World, well: bool) {
    let Some(work) = order.works.first().cloned() else { return };
    let mut refused = None;
    match &work.kind {
        WorkKind::Ship { sku, parts } => {
            let units: i64 = parts.iter().map(|it| it.units).sum();
            *world.on_hand.get_mut(sku.as_str()).unwrap() -= units;
            *world.allocated.get_mut(sku.as_str()).unwrap() -= units;
        }
        WorkKind::GiveBack { sku, parts } => {
            *world.allocated.get_mut(sku.as_str()).unwrap() -= parts.iter().map(|it| it.units).sum::<i64>();
        }
        WorkKind::Restock { sku, units, .. } => *world.on_hand.get_mut(sku.as_str()).unwrap() += units,
        WorkKind::Capture { amount } if well => {
            world.captured += amount;
            world.captures += 1;
            if order.payment.captured_once {
                assert_eq!(world.captures, 1, "captured again: {order:?}");
                world.voided = world.authorised - world.captured;
            }
            assert!(world.captured + world.voided <= world.authorised, "captured above authorised: {order:?}");
        }
        WorkKind::ReleaseClaims | WorkKind::ReleaseUnits => {}
        WorkKind::Void if well => world.voided = world.authorised - world.captured,
        WorkKind::Refund { amount, .. } if well => {
            world.refunded += amount;
            assert!(world.refunded <= world.captured, "refunded above captured: {order:?}");
        }
        WorkKind::Capture { .. } | WorkKind::Void | WorkKind::Refund { .. } => refused = Some("no".to_owned()),
    }
    let outcome = refused.map_or(Outcome::Done, Outcome::Refused);
    order.finish(&work.id, &outcome, NOW).unwrap();
    assert!(order.finish(&work.id, &outcome, NOW).is_none(), "a work ends once");
    order.follow(&crate::payment::Amounts {
        authorised: gbp(world.authorised),
        captured: gbp(world.captured),
        refunded: gbp(world.refunded),
        voided: gbp(world.voided),
        disputed: gbp(0),
    });
}

fn check(order: &Order, world: &World) {
    assert!(order.units.iter().all(LineUnits::adds_up), "{:?}", order.units);
    let gone = order.refunds.iter().filter(|it| !matches!(it.state, RefundState::Failed { .. }));
    let gone: i64 = gone.map(|it| it.amount).sum();
    assert!(gone <= order.payment.captured, "{gone} of {:?}", order.payment);
    for (sku, allocated) in &world.allocated {
        let sku = Sku::parse(sku).unwrap();
        assert_eq!(order.promised_units(&sku), *allocated, "{sku} of {order:?}");
        assert_eq!(order.allocated_units(&sku), order.open_units(&sku), "{sku} of {order:?}");
    }
}

/// Everything owed is done; then stock must explain itself by the units.
fn settle(order: &mut Order, world: &mut World) {
    while !order.works.is_empty() {
        act(order, world, Act::Work(true));
    }
    let mut right: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (line, units) in order.priced.lines.iter().zip(&order.units) {
        let it = right.entry(line.sku.to_string()).or_insert((ON_HAND, 0));
        it.1 += i64::from(units.open());
    }
    for it in order.fulfilments.iter() {
        for allocation in &it.parts {
            let right = right.get_mut(allocation.sku.as_str()).unwrap();
            match it.state {
                FulfilmentState::Packed => right.1 += allocation.units(),
                _ => right.0 -= allocation.units(),
            }
        }
    }
    for it in order.returns.iter().flat_map(|it| &it.lines) {
        right.get_mut(order.priced.lines[it.line].sku.as_str()).unwrap().0 += i64::from(it.restock);
    }
    for (sku, (on_hand, allocated)) in right {
        assert_eq!((world.on_hand[&sku], world.allocated[&sku]), (on_hand, allocated), "{sku} of {order:?}");
    }
    assert_eq!(order.refundable(), world.captured - world.refunded);
}

/// All sequences of the acts, each followed by its works at once or all works at the end.
fn all_sequences(acts: &[Act], done: &mut Vec<Act>, at_once: bool, order: &Order, world: &World, count: &mut u32) {
    if done.len() == acts.len() {
        let (mut order, mut world) = (order.clone(), world.clone());
        settle(&mut order, &mut world);
        *count += 1;
        return;
    }
    for next in acts {
        if done.iter().any(|it| format!("{it:?}") == format!("{next:?}")) {
            continue;
        }
        let (mut order, mut world) = (order.clone(), world.clone());
        act(&mut order, &mut world, *next);
        if at_once {
            settle(&mut order, &mut world);
        }
        done.push(*next);
        all_sequences(acts, done, at_once, &order, &world, count);
        done.pop();
    }
}

#[test]
fn p17_cancel_fulfil_refund_and_return_in_every_sequence() {
    let acts = [
        Act::CancelOne(0),
        Act::CancelAll,
        Act::FulfilOne(0),
        Act::RefundAll,
        Act::ReturnOne(0),
        Act::ReceiveAll,
        Act::InspectAll,
    ];
    let mut count = 0;
    for (at_placement, once) in [(true, false), (false, false), (false, true)] {
        for at_once in [true, false] {
            let (mut order, world) = placed(&[(3, 10_00), (2, 7)], Some(3_95), at_placement);
            order.payment.captured_once = once;
            all_sequences(&acts, &mut Vec::new(), at_once, &order, &world, &mut count);
        }
    }
    assert_eq!(count, 6 * 5040);
}

fn acts() -> impl Strategy<Value = Act> {
    let line = || 0..4_usize;
    prop_oneof![
        line().prop_map(Act::CancelOne),
        Just(Act::CancelAll),
        line().prop_map(Act::FulfilOne),
        Just(Act::FulfilAll),
        Just(Act::PackAll),
        Just(Act::ShipPacked),
        Just(Act::Unpack),
        line().prop_map(Act::RefundOne),
        Just(Act::RefundAll),
        Just(Act::RefundShipping),
        (1..500_i64).prop_map(Act::RefundAmount),
        line().prop_map(Act::ReturnOne),
        Just(Act::ReceiveAll),
        Just(Act::InspectAll),
        Just(Act::CloseReturn),
        Just(Act::Work(true)),
        Just(Act::Work(true)),
        Just(Act::Work(false)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn p17_whatever_happens_units_stock_and_money_add_up(
        lines in proptest::collection::vec((1..5_u32, 0..2000_i64), 1..5),
        shipping in proptest::option::of(0..900_i64),
        at_placement: bool,
        once: bool,
        acts in proptest::collection::vec(acts(), 1..30),
    ) {
        let (mut order, mut world) = placed(&lines, shipping, at_placement);
        order.payment.captured_once = once;
        for it in acts {
            act(&mut order, &mut world, it);
        }
        settle(&mut order, &mut world);
        // And in the end everything that is left can go back, exactly.
        let left = order.refundable();
        if left > 0 {
            act(&mut order, &mut world, Act::RefundAmount(left));
            settle(&mut order, &mut world);
        }
        prop_assert_eq!(world.refunded, world.captured);
    }
}

/// Draws without a dependency: the sequence only has to be varied.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// P18: 100,000 orders are refunded unit by unit, with shipping somewhere between and refunds that fail.
#[test]
fn p18_units_and_shipping_in_any_sequence_sum_to_what_was_captured() {
    for seed in 0..100_000 {
        let mut draw = Draw(seed);
        let lines: Vec<(u32, i64)> = (0..=draw.below(2))
            .map(|_| (u32::try_from(draw.below(3)).unwrap() + 1, i64::try_from(draw.below(3000)).unwrap()))
            .collect();
        let (mut order, mut world) = placed(&lines, Some(i64::try_from(draw.below(500)).unwrap()), seed % 2 == 0);
        order.payment.captured_once = seed % 3 == 0;
        order.fulfil(&Fulfil { shipped: true, ..Fulfil::default() }, &staff()).unwrap();
        while !order.works.is_empty() {
            work(&mut order, &mut world, true);
        }
        assert_eq!(world.captured, order.priced.totals.total.minor());
        loop {
            let mut left: Vec<Option<usize>> = (0..order.units.len()).map(Some).collect();
            left.retain(|it| it.is_some_and(|line| order.units[line].refundable() > 0));
            left.extend((!order.shipping.refunded).then_some(None));
            if left.is_empty() || order.refundable() == 0 {
                break;
            }
            let pick = left[usize::try_from(draw.below(left.len() as u64)).unwrap()];
            let before = order.refundable();
            let asked = refund(&mut order, pick.map(one).unwrap_or_default(), pick.is_none());
            assert!(asked.is_ok() || asked == Err(OrderRefusal::NothingLeft), "seed {seed}: {asked:?}");
            let fails = draw.below(5) == 0;
            while !order.works.is_empty() {
                work(&mut order, &mut world, !fails);
            }
            if fails {
                assert_eq!(order.refundable(), before, "seed {seed}: a failed refund leaves the balance");
            }
        }
        assert_eq!(world.refunded, world.captured, "seed {seed}: {order:?}");
    }
}

#[test]
fn a_buyer_cancels_only_what_nobody_has_packed() {
    let (mut order, mut world) = placed(&[(2, 10_00)], Some(5_00), true);
    let customer = By { actor: Actor::Customer, at: NOW };
    act(&mut order, &mut world, Act::PackAll);
    assert_eq!(order.cancel(&Cancel::default(), &customer), Err(OrderRefusal::Fulfilled));
    act(&mut order, &mut world, Act::Unpack);
    order.cancel(&Cancel::default(), &customer).unwrap();
    settle(&mut order, &mut world);
    assert_eq!((order.lifecycle, order.payment_status), (Lifecycle::Cancelled, PaymentStatus::Refunded));
    assert_eq!((world.refunded, order.fulfilment_status), (15_00, FulfilmentStatus::Cancelled));
    assert!(matches!(order.cancel(&Cancel::default(), &customer), Err(OrderRefusal::NotPlaced { .. })));
}

#[test]
fn a_provider_that_captures_once_is_asked_for_all_of_it_when_the_first_goods_leave() {
    let (mut order, mut world) = placed(&[(3, 10_00)], Some(5_00), false);
    order.payment.captured_once = true;
    act(&mut order, &mut world, Act::CancelOne(0));
    act(&mut order, &mut world, Act::FulfilOne(0));
    settle(&mut order, &mut world);
    assert_eq!((world.captures, world.captured, world.voided), (1, 6_67 + 5_00, 3_33));
    assert_eq!(order.payment_status, PaymentStatus::Captured);
    // What never left is given back from what was taken.
    act(&mut order, &mut world, Act::CancelOne(0));
    settle(&mut order, &mut world);
    assert_eq!((world.captures, world.refunded, order.lifecycle), (1, 3_33, Lifecycle::Completed));
}

#[test]
fn what_is_cancelled_before_its_capture_is_never_taken() {
    let (mut order, mut world) = placed(&[(3, 10_00)], Some(5_00), false);
    act(&mut order, &mut world, Act::FulfilOne(0));
    settle(&mut order, &mut world);
    assert_eq!((world.captured, order.payment_status), (3_33 + 5_00, PaymentStatus::PartiallyCaptured));
    act(&mut order, &mut world, Act::CancelOne(0));
    act(&mut order, &mut world, Act::FulfilAll);
    settle(&mut order, &mut world);
    // The second unit costs 3.34, the third, cancelled, 3.33.
    assert_eq!((world.captured, world.voided), (6_67 + 5_00, 3_33));
    assert_eq!((order.lifecycle, order.payment_status), (Lifecycle::Completed, PaymentStatus::Captured));
}

#[test]
fn a_unit_refunded_ahead_is_not_refunded_again_when_it_returns() {
    let (mut order, mut world) = placed(&[(2, 10_00)], None, true);
    act(&mut order, &mut world, Act::FulfilAll);
    act(&mut order, &mut world, Act::RefundOne(0));
    act(&mut order, &mut world, Act::ReturnOne(0));
    act(&mut order, &mut world, Act::ReceiveAll);
    act(&mut order, &mut world, Act::InspectAll);
    settle(&mut order, &mut world);
    assert_eq!((world.refunded, order.units[0].returned), (5_00, 1));
    assert_eq!(order.fulfilment_status, FulfilmentStatus::Shipped);
}
