//! P14, P20 and P21: messages that come twice, late, in any order or never, next to ones that nobody can read;
//! and a shop in which nothing happens for a day.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    sync::atomic::Ordering,
    time::Duration,
};

use http::Method;
use offpeak::shared::ports::bus::Message;
use tokio::time::Instant;

use super::{
    broker::{DELIVERIES_MAX, Manners},
    buyer::Buyer,
    chance::Chance,
    planted::Planted,
    prove::{Proved, each_seed},
    rest::at_rest,
    rooms::{self, Request},
    time::{in_virtual_time, pass},
    world::{Fleet, World},
};

/// Purchases of one run: some 1,000 messages.
const BUYERS: usize = 330;
/// Messages that are no messages.
const POISON: usize = 20;
const QUEUES: [&str; 2] = ["checkouts", "mail"];

fn message(queue: &str, id: String, body: String) -> Message {
    let destination = queue.to_owned();
    Message { destination, id, session: None, subject: "poison".to_owned(), scheduled: None, body }
}

/// What nobody can work on.
fn poison(chance: &Chance) -> Vec<Message> {
    let bodies = ["", "{", "[]", "{\"checkoutId\":7}", "{\"kind\":\"order_confirmation\",\"orderId\":\"ord_x\"}"];
    let one = |n: usize| {
        let body = bodies[chance.index(bodies.len())].to_owned();
        message(QUEUES[n % QUEUES.len()], format!("poison-{n}"), body)
    };
    (0..POISON).map(one).collect()
}

async fn any_order(seed: u64) -> Result<Proved, String> {
    let world = World::new(seed, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 10_000)]).await;
    let chance = Chance::stream(seed, "messages");
    for _ in 0..BUYERS {
        let buyer = Buyer::at_checkout(&world, &[("BELL", 1)]).await;
        let method = if chance.in_1000(200) { "decline" } else { "approve" };
        buyer.complete(&world.calm(), "first", method).await.unwrap();
    }
    // Everything that was sent, once to five times, with poison in between, shuffled within 1,000.
    let mut sent = world.broker.sent();
    sent.retain(|it| rooms::has_consumer(&it.destination));
    let mut copies: Vec<Message> =
        sent.iter().flat_map(|it| vec![it.clone(); 1 + chance.index(5)]).chain(poison(&chance)).collect();
    let count = copies.len();
    copies.chunks_mut(1_000).for_each(|it| chance.shuffle(it));
    let fleet = Fleet::new(&world, 3, None);
    for window in copies.chunks(50) {
        window.iter().for_each(|it| world.broker.inject(it));
        pass(1).await;
        fleet.deliver_due().await;
    }
    world.settle().await;

    let dead = world.broker.dead();
    if dead.len() != POISON || dead.iter().any(|(it, reason)| it.subject != "poison" || reason.is_empty()) {
        return Err(format!("{} dead letters: {:?}", dead.len(), dead.first()));
    }
    at_rest(&world).await?;
    let (placed, mails) = placed_and_mails(&world);
    if placed != mails {
        return Err(format!("{placed} orders were placed, {mails} letters were written"));
    }
    Ok(Proved {
        trace: Vec::new(),
        told: format!("{count} deliveries of {} messages, {placed} orders, {mails} letters", sent.len()),
    })
}

/// Distinct events that say an order was placed, and distinct letters: the mail service drops a letter whose
/// name it knows, and a message that is worked on twice at once hands the same letter over twice.
pub(super) fn placed_and_mails(world: &World) -> (usize, usize) {
    let mut placed: Vec<_> =
        world.broker.sent().into_iter().filter(|it| it.subject == "order.placed").map(|it| it.id).collect();
    placed.sort();
    placed.dedup();
    let letters = world.letters.lock().unwrap();
    let confirms = |it: &&str| it.starts_with("order-confirmation") || it.starts_with("order-shortfall");
    let names: BTreeSet<_> = letters.iter().map(|it| it.event_id.as_str()).filter(confirms).collect();
    (placed.len(), names.len())
}

#[test]
fn p14_repeats_in_any_order_have_one_effect() {
    each_seed("messages", 2, |seed| in_virtual_time(any_order(seed)));
}

#[test]
fn p14_what_nobody_could_work_on_is_worked_on_when_it_is_sent_again() {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 9)]).await;
        world.mail_is_down.store(true, Ordering::SeqCst);
        let buyer = Buyer::at_checkout(&world, &[("BELL", 1)]).await;
        assert_eq!(buyer.complete(&world.calm(), "first", "approve").await.unwrap().status, 200);
        world.settle().await;
        let dead = world.broker.dead();
        assert_eq!(dead.len(), 1, "{dead:?}");
        assert!(dead[0].0.id.starts_with("order-confirmation") && dead[0].1.contains("mail"), "{dead:?}");
        assert_eq!(world.letters.lock().unwrap().len(), 0);
        world.mail_is_down.store(false, Ordering::SeqCst);
        assert_eq!(world.broker.replay_dead(), 1);
        world.settle().await;
        assert_eq!(world.letters.lock().unwrap().len(), 1);
        at_rest(&world).await.unwrap();
    });
}

#[test]
fn p14_a_message_that_always_fails_is_tried_ten_times() {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 9)]).await;
        let began = Instant::now();
        world.broker.inject(&message("mail", "poison".to_owned(), "{".to_owned()));
        world.settle().await;
        assert_eq!((world.broker.dead().len(), DELIVERIES_MAX), (1, 10));
        assert!(began.elapsed() < Duration::from_mins(5));
    });
}

/// Units that could be bought now, as staff see them.
async fn available(world: &Arc<World>, sku: &str) -> i64 {
    let request = Request::new(Method::GET, format!("v1/manage/stock/{sku}")).staff();
    let shown = request.send(&world.calm()).await.unwrap().json();
    shown["levels"].as_array().unwrap().iter().map(|it| it["available"].as_i64().unwrap()).sum()
}

/// Nothing runs for a day: no message is delivered, no timer ticks. Then someone buys.
#[test]
fn p21_after_a_day_asleep_the_first_request_finds_what_is_free() {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 3)]).await;
        let gone = Buyer::at_checkout(&world, &[("BELL", 3)]).await;
        let answer = gone.complete(&world.calm(), "first", "challenge").await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
        assert_eq!(available(&world, "BELL").await, 0);
        pass(24 * 3_600).await;
        assert_eq!(available(&world, "BELL").await, 3, "the hold has lapsed by itself");
        let next = Buyer::at_checkout(&world, &[("BELL", 3)]).await;
        assert_eq!(next.complete(&world.calm(), "first", "approve").await.unwrap().status, 200);
        // What is late comes at last, and harms nobody.
        world.provider.answer_challenges(true);
        world.settle().await;
        assert_eq!(available(&world, "BELL").await, 0);
        at_rest(&world).await.unwrap();
    });
}

/// A buyer who stays away is given up by the message that was armed for it; no timer ever ticks.
#[test]
fn p21_deadlines_come_from_messages_not_from_timers() {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 3)]).await;
        let gone = Buyer::at_checkout(&world, &[("BELL", 3)]).await;
        let answer = gone.complete(&world.calm(), "first", "challenge").await.unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
        let fleet = Fleet::new(&world, 1, None);
        for _ in 0..100 {
            let Some(due) = world.broker.next_due() else { break };
            tokio::time::sleep_until(due).await;
            fleet.deliver_due().await;
        }
        let ledger: BTreeMap<_, _> = world.provider.ledger();
        assert!(ledger.values().all(|it| !it.is_held()), "{ledger:?}");
        let again = gone.complete(&world.calm(), "first", "challenge").await.unwrap();
        assert_eq!((again.status, again.code().as_str()), (402, "payment_declined"), "{}", again.json());
    });
}

/// Ticks that come twice, at once on several machines, or not for hours.
#[test]
fn p21_ticks_that_come_twice_or_never_are_harmless() {
    in_virtual_time(async {
        let manners = Manners { copies: 2, late: Duration::from_secs(90) };
        let world = World::new(7, Planted::Nothing, manners, &[("BELL", "5.00", 100)]).await;
        let chance = Chance::stream(7, "ticks");
        for n in 0..40_u64 {
            let buyer = Buyer::at_checkout(&world, &[("BELL", 1)]).await;
            let leaders = [world.calm(), world.calm(), world.calm()];
            let buying = buyer.complete(&leaders[0], "first", ["approve", "decline", "timeout"][chance.index(3)]);
            let ticking = async {
                if n % 3 != 0 {
                    pass(chance.below(8)).await;
                    futures_util::future::join_all(leaders.iter().map(rooms::tick)).await;
                }
            };
            tokio::join!(buying, ticking);
            if n % 10 == 9 {
                pass(3 * 3_600).await;
            }
        }
        world.settle().await;
        let (placed, mails) = placed_and_mails(&world);
        assert_eq!(placed, mails);
        at_rest(&world).await.unwrap();
        assert_eq!(available(&world, "BELL").await, 100 - i64::try_from(placed).unwrap());
    });
}

/// Two sweeps at once, and everything is lost once before it is found.
#[test]
fn p20_two_relays_at_once_send_nothing_that_a_consumer_does_not_drop() {
    in_virtual_time(async {
        let world = World::new(3, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 100)]).await;
        for n in 0..30 {
            let buyer = Buyer::at_checkout(&world, &[("BELL", 1)]).await;
            // The process ends after the commit and before anything is sent, or marked.
            let process = world.calm();
            process.faults.end_after(12 + n % 6);
            buyer.complete(&process, "first", "approve").await;
        }
        pass(20).await;
        let leaders = [world.calm(), world.calm()];
        tokio::join!(rooms::tick(&leaders[0]), rooms::tick(&leaders[1]));
        world.settle().await;
        let (placed, mails) = placed_and_mails(&world);
        assert_eq!((placed, mails), (30, 30));
        at_rest(&world).await.unwrap();
    });
}
