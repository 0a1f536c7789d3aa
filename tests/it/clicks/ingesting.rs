//! A batch of the hub is kept once and is in the last hour once, however often it comes and wherever it stops.
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicI64},
};

use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        object_storage::{PATIENCE, StoredObjects},
    },
    documents::clicks::{event::text, stored::unpack},
    operations::clicks::{
        ClickEvent, Clicks, ClicksError, batches,
        ingest::{Arrived, Ingested, ingest},
        live::{self, CLICKS_MAX, LastHour, MINUTE_MAX, MINUTES},
    },
    ports::{Ports, objects::ObjectName},
};
use offpeak_domain::recommend::{Kind, LiveClick};
use tokio::task::JoinSet;

use super::{
    World, event,
    objects::{Cut, Loss},
    view,
};
use crate::objects_contract::azurite::Azurite;

type Events = Vec<(i64, Vec<u8>)>;

/// One event for each number: a session of three views.
fn events(world: &World, numbers: std::ops::Range<i64>) -> Events {
    let session = |it: i64| u64::try_from(it).unwrap() + 1_000;
    numbers.map(|it| (it, event(session(it), world.now(), &["MUG", "TEA", "POT"]))).collect()
}

async fn take(ports: &Ports, partition: &str, events: &Events) -> Result<Ingested, ClicksError> {
    let arrived: Vec<Arrived<'_>> = events.iter().map(|(number, body)| Arrived { number: *number, body }).collect();
    ingest(ports, partition, &arrived).await
}

/// All kept events by session, and how often each was kept.
async fn kept(ports: &Ports) -> BTreeMap<u64, usize> {
    let mut kept = BTreeMap::new();
    for name in batches::of_day(ports, ports.clock.now().date()).await.unwrap() {
        for clicks in batches::read(ports, &name).await.unwrap() {
            *kept.entry(clicks.session).or_default() += 1;
        }
    }
    kept
}

/// Clicks of the last hour as a process that starts now sees them, in order.
async fn seen(ports: &Ports) -> Vec<LiveClick> {
    let mut hour = LastHour::default();
    hour.refresh(ports).await.unwrap();
    let mut clicks: Vec<LiveClick> = hour.segments().flat_map(|it| it.clicks.clone()).collect();
    clicks.sort();
    clicks
}

#[tokio::test]
async fn a_batch_that_comes_again_changes_nothing_however_it_is_cut() {
    let world = World::new();
    let all = events(&world, 0..30);
    take(&world.ports, "0", &all[..10].to_vec()).await.unwrap();
    let (before, clicks) = (kept(&world.ports).await, seen(&world.ports).await);
    assert_eq!((before.len(), clicks.len()), (10, 30));
    take(&world.ports, "0", &all[..10].to_vec()).await.unwrap();
    assert_eq!((kept(&world.ports).await, seen(&world.ports).await), (before, clicks));
    // From further back and further on, a minute later.
    world.clock.advance(60);
    take(&world.ports, "0", &all[5..20].to_vec()).await.unwrap();
    take(&world.ports, "0", &all[..30].to_vec()).await.unwrap();
    assert_eq!(seen(&world.ports).await.len(), 90, "each event is in the last hour once");
    assert_eq!(kept(&world.ports).await.len(), 30, "and no event is missing from what is kept");
}

#[tokio::test]
async fn partitions_in_any_order_make_the_same_hour() {
    let (one, other) = (World::new(), World::new());
    let batches = [("0", events(&one, 0..5)), ("1", events(&one, 100..105)), ("2", events(&one, 200..205))];
    for (partition, batch) in &batches {
        take(&one.ports, partition, batch).await.unwrap();
    }
    for (partition, batch) in batches.iter().rev() {
        take(&other.ports, partition, batch).await.unwrap();
    }
    assert_eq!(seen(&one.ports).await, seen(&other.ports).await);
    assert_eq!(seen(&one.ports).await.len(), 45);
}

#[tokio::test]
async fn a_batch_that_stops_anywhere_is_whole_the_next_time() {
    for loss in [Loss::Call, Loss::Answer] {
        let mut stops = 0;
        for calls in 0.. {
            let world = World::new();
            take(&world.ports, "0", &events(&world, 0..4)).await.unwrap();
            let cut = Cut { inner: world.ports.objects.clone(), left: AtomicI64::new(calls), loss };
            let dying = Ports { objects: Arc::new(cut), ..world.ports.clone() };
            let batch = events(&world, 4..9);
            let stopped = take(&dying, "0", &batch).await.is_err();
            take(&world.ports, "0", &batch).await.unwrap();
            assert_eq!(kept(&world.ports).await, (1_000..1_009).map(|it| (it, 1)).collect(), "{loss:?} at {calls}");
            assert_eq!(seen(&world.ports).await.len(), 27, "{loss:?} at {calls}");
            if !stopped {
                break;
            }
            stops += 1;
        }
        assert!(stops >= 5, "{stops} calls");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_have_the_same_partition_at_once_lose_nothing() {
    for _ in 0..20 {
        let world = World::new();
        let mut both = JoinSet::new();
        for numbers in [0..5, 5..9] {
            let (ports, batch) = (world.ports.clone(), events(&world, numbers));
            both.spawn(async move { take(&ports, "0", &batch).await.unwrap() });
        }
        both.join_all().await;
        assert_eq!(kept(&world.ports).await.len(), 9);
        // Where the later numbers come first, what is before them waits for the next model.
        let clicks = seen(&world.ports).await.len();
        assert!(clicks == 27 || clicks == 12, "{clicks}");
    }
}

#[tokio::test]
async fn one_bad_event_is_set_aside_with_its_reason_and_stops_nothing() {
    let world = World::new();
    let mut batch = events(&world, 0..3);
    batch[1].1 = b"{\"schema\":\"clicks/9\",\"session\":\"\",\"consent\":true,\"events\":[]}".to_vec();
    batch.push((3, vec![0xff; 100_000]));
    let done = take(&world.ports, "0", &batch).await.unwrap();
    assert_eq!(done, Ingested { clicks: 6, set_aside: 2 });
    assert_eq!(kept(&world.ports).await.len(), 2);
    let folder = ObjectName::parse("clicks/set_aside").unwrap();
    let aside = world.ports.objects.list(&folder, None, 10).await.unwrap().entries;
    assert_eq!(aside.len(), 1);
    let mut object = world.ports.objects.read(&aside[0].name, None).await.unwrap();
    let bytes = object.body.chunk().await.unwrap().unwrap();
    assert!(bytes.len() < 1_000, "a long one is cut: {}", bytes.len());
    assert!(unpack(&bytes).is_err(), "what is set aside is no batch");
    // A batch of nothing else is done with as well.
    let hopeless = vec![(4, b"no JSON".to_vec())];
    assert_eq!(take(&world.ports, "0", &hopeless).await.unwrap(), Ingested { clicks: 0, set_aside: 1 });
    take(&world.ports, "0", &events(&world, 5..6)).await.unwrap();
    assert_eq!(seen(&world.ports).await.len(), 9);
}

#[tokio::test]
async fn who_clicks_without_end_takes_no_more_room_than_a_shopper() {
    let world = World::new();
    let many: Vec<&str> = std::iter::repeat_n("MUG", 1_000).collect();
    let batch: Events = (0..50).map(|it| (it, event(7, world.now(), &many))).collect();
    assert_eq!(take(&world.ports, "0", &batch).await.unwrap().clicks, 50_000);
    assert_eq!(seen(&world.ports).await.len(), 60);
}

/// What nobody agreed to, as much of it as there may be in a minute.
#[tokio::test]
async fn without_consent_one_call_counts_an_item_once_and_leaves_room_for_those_who_agreed() {
    let world = World::new();
    let call = |it: i64| {
        let events = ["MUG"; 100].map(|sku| ClickEvent { at: world.now(), what: view(sku) }).into();
        let session = u64::try_from(it).unwrap();
        (it, text(Clicks { session, consent: false, events }).unwrap().into_bytes())
    };
    take(&world.ports, "0", &vec![call(0)]).await.unwrap();
    assert_eq!(seen(&world.ports).await.len(), 1);
    let last = i64::try_from(MINUTE_MAX).unwrap();
    take(&world.ports, "0", &(1..last + 1).map(call).collect()).await.unwrap();
    take(&world.ports, "0", &events(&world, last + 1..last + 3)).await.unwrap();
    let seen = seen(&world.ports).await;
    let (alone, together): (Vec<_>, Vec<_>) = seen.iter().partition(|it| it.is_alone());
    assert_eq!((alone.len(), together.len()), (MINUTE_MAX / 2, 6));
}

#[tokio::test]
async fn what_is_dated_ahead_is_of_now() {
    let world = World::new();
    let ahead = vec![(0, event(7, world.now() + 100_000, &["MUG", "TEA"]))];
    take(&world.ports, "0", &ahead).await.unwrap();
    assert!(seen(&world.ports).await.iter().all(|it| it.at == world.now()));
}

#[tokio::test]
async fn the_last_hour_is_an_hour_and_what_is_older_is_removed() {
    let world = World::new();
    let segments = async || {
        let folder = ObjectName::parse("clicks/live/segments").unwrap();
        world.ports.objects.list(&folder, None, 1_000).await.unwrap().entries.len()
    };
    for minute in 0..i64::from(MINUTES) + 5 {
        take(&world.ports, "0", &events(&world, minute..minute + 1)).await.unwrap();
        world.clock.advance(60);
    }
    assert_eq!(seen(&world.ports).await.len(), 3 * (MINUTES as usize - 1));
    live::prune(&world.ports).await.unwrap();
    assert_eq!(segments().await, MINUTES as usize + 5, "what may be read still is left");
    world.clock.advance(i64::from(MINUTES) * 60);
    assert!(seen(&world.ports).await.is_empty());
    assert_eq!(live::prune(&world.ports).await.unwrap(), 5);
    assert_eq!(live::prune(&world.ports).await.unwrap(), 0);
}

#[tokio::test]
async fn a_process_reads_what_is_new_and_keeps_what_it_knows() {
    let world = World::new();
    let mut hour = LastHour::default();
    assert!(!hour.refresh(&world.ports).await.unwrap());
    take(&world.ports, "0", &events(&world, 0..2)).await.unwrap();
    take(&world.ports, "1", &events(&world, 0..2)).await.unwrap();
    assert!(hour.refresh(&world.ports).await.unwrap());
    assert!(!hour.refresh(&world.ports).await.unwrap());
    assert_eq!(hour.segments().count(), 2);
    // A list and two pointers, and nothing that it knows already.
    let cut = Cut { inner: world.ports.objects.clone(), left: AtomicI64::new(3), loss: Loss::Call };
    let few = Ports { objects: Arc::new(cut), ..world.ports.clone() };
    assert!(!hour.refresh(&few).await.unwrap());
    assert!(hour.refresh(&few).await.is_err());
    assert_eq!(hour.segments().count(), 2, "a failed look forgets nothing");
}

/// Four partitions that are full in every minute of a quarter of an hour.
#[tokio::test]
async fn a_process_keeps_the_newest_clicks_and_no_more_than_it_has_room_for() {
    let (world, mut known) = (World::new(), LastHour::default());
    let mut number = 0;
    for minute in 0..15_u32 {
        for partition in ["0", "1", "2", "3"] {
            let (from, item) = (number, format!("MINUTE-{minute}"));
            number += i64::try_from(MINUTE_MAX).unwrap();
            let click = |it: i64| {
                let session = u64::try_from(it).unwrap();
                (it, LiveClick { session, at: world.now(), item: item.as_str().into(), kind: Kind::View })
            };
            live::append(&world.ports, partition, number - 1, &(from..number).map(click).collect()).await.unwrap();
        }
        known.refresh(&world.ports).await.unwrap();
        world.clock.advance(60);
    }
    let mut begun = LastHour::default();
    assert!(begun.refresh(&world.ports).await.unwrap());
    let count =
        |hour: &LastHour, item: &str| hour.segments().flat_map(|it| &it.clicks).filter(|it| &*it.item == item).count();
    for hour in [&begun, &known] {
        assert_eq!(hour.segments().map(|it| it.clicks.len()).sum::<usize>(), CLICKS_MAX);
        let of = |minute| count(hour, &format!("MINUTE-{minute}"));
        assert_eq!([of(0), of(4), of(5), of(14)], [0, 0, 4 * MINUTE_MAX, 4 * MINUTE_MAX]);
    }
    // What was left out is not read again: a list and four pointers.
    let cut = Cut { inner: world.ports.objects.clone(), left: AtomicI64::new(5), loss: Loss::Call };
    let few = Ports { objects: Arc::new(cut), ..world.ports.clone() };
    assert!(!begun.refresh(&few).await.unwrap());
}

#[tokio::test]
async fn a_hub_that_counts_anew_is_kept_at_once_and_of_the_last_hour_again() {
    let world = World::new();
    take(&world.ports, "0", &events(&world, 0..9)).await.unwrap();
    world.clock.advance(i64::from(MINUTES) * 60);
    let anew: Events = vec![(0, event(7, world.now(), &["MUG", "TEA"])), (8, event(8, world.now(), &["MUG", "POT"]))];
    take(&world.ports, "0", &anew).await.unwrap();
    assert_eq!(seen(&world.ports).await.len(), 4);
    assert_eq!(kept(&world.ports).await.len(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_azure_it_is_the_same() {
    let (azurite, world) = (Azurite::start().await, World::new());
    let objects = StoredObjects::new(azurite.place(), HttpClient::default(), PATIENCE);
    let ports = Ports { objects: Arc::new(objects), ..world.ports.clone() };
    let mut hour = LastHour::default();
    for _ in 0..2 {
        take(&ports, "0", &events(&world, 0..5)).await.unwrap();
        take(&ports, "1", &events(&world, 100..104)).await.unwrap();
    }
    assert!(hour.refresh(&ports).await.unwrap());
    assert_eq!((hour.segments().count(), seen(&ports).await.len(), kept(&ports).await.len()), (2, 27, 9));
    world.clock.advance(60);
    take(&ports, "0", &events(&world, 5..6)).await.unwrap();
    assert!(hour.refresh(&ports).await.unwrap());
    assert_eq!(hour.segments().count(), 3);
    world.clock.advance(i64::from(MINUTES) * 180);
    assert_eq!(live::prune(&ports).await.unwrap(), 3);
}
