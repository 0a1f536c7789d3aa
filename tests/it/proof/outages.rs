//! A dependency that is away for a while: whoever buys is answered, nothing is lost, and all goes on by itself once it
//! is back, by timers and by the broker, with nobody's help.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::watch, time::Instant};

use super::{
    broker::Manners,
    buyer::Buyer,
    messages::placed_and_mails,
    planted::Planted,
    rest::at_rest,
    rooms::Answer,
    time::{in_virtual_time, pass},
    world::{Fleet, World},
};

const BUYERS: u64 = 100;
/// How long a buyer may wait for a broker that is silent, with all else that a completion does.
const SOON: Duration = Duration::from_secs(1);

async fn crowd(world: &Arc<World>) -> Vec<Buyer> {
    let mut buyers = Vec::new();
    for _ in 0..BUYERS {
        buyers.push(Buyer::at_checkout(world, &[("BELL", 1)]).await);
    }
    buyers
}

/// What those are answered who come within this time, one after another, while broker and timers go on.
async fn buying<T>(fleet: &Fleet, buyers: &[Buyer], within: Duration, buy: impl AsyncFn(usize, &Buyer) -> T) -> Vec<T> {
    let (stop, stopped) = watch::channel(false);
    let between = within / u32::try_from(buyers.len()).unwrap();
    let come = async |(n, buyer)| {
        tokio::time::sleep(between * u32::try_from(n).unwrap()).await;
        buy(n, buyer).await
    };
    let ((), answers) = tokio::join!(fleet.serve(stopped), async {
        let answers = buyers.iter().enumerate().map(come).collect::<FuturesUnordered<_>>().collect().await;
        // What is being worked on comes to its end.
        pass(1).await;
        stop.send_replace(true);
        answers
    });
    answers
}

/// Every order has its letter, nothing was set aside, and the books are in order.
async fn is_as_if_nothing_had_been(world: &Arc<World>, orders: usize) {
    world.settle().await;
    assert!(world.broker.dead().is_empty(), "{:?}", world.broker.dead());
    assert_eq!(placed_and_mails(world), (orders, orders));
    at_rest(world).await.unwrap();
}

/// Orders are placed while nothing can be sent, nobody waits for the broker, and what they have to tell is told later.
#[test]
fn a_broker_that_is_silent_for_a_minute_delays_messages_and_nothing_else() {
    in_virtual_time(async {
        let world = World::new(11, Planted::Nothing, Manners::GOOD, &[("BELL", "5.00", 100)]).await;
        let buyers = crowd(&world).await;
        let fleet = Fleet::new(&world, 3, None);
        world.bus_is_silent.store(true, Ordering::SeqCst);
        let began = Instant::now();
        let answers = buying(&fleet, &buyers, Duration::from_mins(1), async |n, buyer| {
            let asked = Instant::now();
            let method = ["approve", "approve", "approve", "decline", "challenge"][n % 5];
            let answer = buyer.complete(&fleet.any(), "first", method).await.unwrap();
            assert!(asked.elapsed() < SOON, "{n} waited for {:?}", asked.elapsed());
            answer.status
        });
        let answers = answers.await;
        assert!(began.elapsed() >= Duration::from_secs(59));
        let count = |status: u16| answers.iter().filter(|it| **it == status).count();
        assert_eq!((count(200), count(402), count(202)), (60, 20, 20), "{answers:?}");
        assert!(world.broker.sent().is_empty() && world.letters.lock().unwrap().is_empty(), "nothing was to be sent");

        world.bus_is_silent.store(false, Ordering::SeqCst);
        is_as_if_nothing_had_been(&world, 60).await;
    });
}

/// While a store turns everyone away callers are told when to come back, and whoever does gets the order, once.
/// Messages that are given out meanwhile are not used up.
#[test]
fn a_store_that_turns_all_away_for_half_a_minute_is_waited_out_by_callers_and_messages() {
    in_virtual_time(async {
        // What is sent before the store is away comes while it is.
        let manners = Manners { copies: 0, late: Duration::from_secs(20) };
        let world = World::new(12, Planted::Nothing, manners, &[("BELL", "5.00", 100)]).await;
        let buyers = crowd(&world).await;
        let fleet = Fleet::new(&world, 3, None);
        let outage = async {
            pass(15).await;
            world.store_is_busy.store(true, Ordering::SeqCst);
            pass(30).await;
            world.store_is_busy.store(false, Ordering::SeqCst);
        };
        let insisting = buying(&fleet, &buyers, Duration::from_mins(1), async |_, buyer| {
            let mut refused = 0;
            for _ in 0..100 {
                let answer = buyer.complete(&fleet.any(), "first", "approve").await.unwrap();
                if answer.is_final() {
                    return (answer.status, refused);
                }
                refused += told_to_wait(&answer);
                tokio::time::sleep(Duration::from_secs(answer.retry_after_s.unwrap_or(1).into())).await;
            }
            panic!("no final answer");
        });
        let (answers, ()) = tokio::join!(insisting, outage);
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        let refused: u32 = answers.iter().map(|(_, refused)| refused).sum();
        assert!(refused > 0, "nobody met the outage");
        is_as_if_nothing_had_been(&world, answers.len()).await;
    });
}

/// 1 for a 503 with `Retry-After`; else it must be that a completion is under way.
fn told_to_wait(answer: &Answer) -> u32 {
    if answer.status == 503 {
        assert!(answer.retry_after_s.is_some_and(|it| it >= 1), "{}", answer.json());
        return 1;
    }
    assert_eq!(answer.code(), "completion_in_progress", "{}", answer.json());
    0
}
