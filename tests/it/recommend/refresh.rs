//! Making the model anew: what a run does, what stops it, and what it never leaves behind.
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    documents::recommendations::{Refresh, RefreshOutcome, RefreshPhase, read_refresh, write_refresh},
    operations::{
        publications::{Publication, current, open},
        recommendations::{
            MODEL,
            refresh::{continue_refresh, last_refresh, refresh},
        },
    },
    ports::{
        Ports,
        bus::{Bus, BusError, Message},
        documents::ETag,
        objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
    },
};
use offpeak_domain::{
    ids::JobId,
    recommend::{Kind, Layout, Stage},
};

use serde_json::json;

use super::{
    Goods, builder,
    shoppers::{Walk, shopped},
};

const CHAIN: Walk<'_> = (&["TENT", "MAT", "STOVE", "PRINTER", "TONER"], Kind::View);
const NOISE: Walk<'_> = (&["TONER", "TENT"], Kind::View);
/// Sessions with enough clicks to judge by.
const JUDGES: usize = 520;
const DAY: i64 = 86_400;
/// Days that are over of those that [`clicked`] fills, an hour of each.
const DAYS: [&str; 3] = ["clicks/days/2027-01-12", "clicks/days/2027-01-13", "clicks/days/2027-01-14"];
/// These, and an hour of each of the four days.
const PACKED: usize = DAYS.len() + 4;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

/// What answers now; it must be whole.
async fn answering(ports: &Ports) -> Option<Publication> {
    let publication = current(ports, &name(MODEL)).await.unwrap()?;
    let mut object = open(ports, &publication).await.unwrap();
    let mut file = Vec::new();
    while let Some(chunk) = object.body.chunk().await.unwrap() {
        file.extend_from_slice(&chunk);
    }
    Layout::read(&file).unwrap().verify(&file).unwrap();
    Some(publication)
}

async fn names(ports: &Ports, folder: &str) -> Vec<String> {
    let listing = ports.objects.list(&name(folder), None, 1_000).await.unwrap();
    listing.entries.into_iter().map(|it| it.name.to_string()).collect()
}

async fn run(goods: &Goods) -> Refresh {
    refresh(&goods.shop(goods.ports.clone())).await.unwrap().expect("no other run is under way")
}

/// Four days of clicks.
async fn clicked(goods: &Goods) {
    for ago in (0..4).rev() {
        shopped(goods, ago, &[CHAIN; 30]).await;
    }
}

#[tokio::test]
async fn days_that_are_over_are_packed_and_a_model_is_made_of_all() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    let made = run(&goods).await;
    assert_eq!((made.phase, made.outcome), (RefreshPhase::Done, Some(RefreshOutcome::Published)));
    let published = made.published.clone().unwrap();
    assert_eq!((published.clicks, published.sessions, published.days), (600, 120, 30));
    assert_eq!(answering(&goods.ports).await.unwrap().object.as_str().rsplit('/').next(), Some(&*published.version));
    assert_eq!(names(&goods.ports, "clicks/days").await, DAYS);
    let kept = last_refresh(&goods.shop(goods.ports.clone())).await.unwrap().unwrap().value;
    assert_eq!(kept, made);
    let server = goods.open().await;
    let (status, shown) = server.last_run("read_reports").await;
    assert_eq!((status, &shown["outcome"], &shown["published"]["clicks"]), (200, &json!("published"), &json!(600)));
    assert_eq!(server.last_run("read_stock").await.0, 403);
    assert_eq!(Goods::new().await.open().await.last_run("read_reports").await.0, 404);

    // Nobody clicked since.
    let before = answering(&goods.ports).await;
    assert_eq!(run(&goods).await.outcome, Some(RefreshOutcome::Unchanged));
    assert_eq!(answering(&goods.ports).await, before);

    // A day later a fourth day is packed, and what is too old goes.
    goods.clock.advance(DAY);
    assert_eq!(run(&goods).await.published.unwrap().clicks, 600, "the same clicks, packed");
    goods.clock.advance(28 * DAY);
    shopped(&goods, 0, &[CHAIN; 10]).await;
    assert_eq!(run(&goods).await.published.unwrap().clicks, 50 + 150);
    let left = names(&goods.ports, "clicks/batches").await;
    assert!(left.iter().all(|it| it.as_str() >= "clicks/batches/2027-01-15"), "{left:?}");
}

#[tokio::test]
async fn a_batch_that_is_damaged_is_left_out_and_the_rest_is_learnt() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    for day in ["2027-01-12", "2027-01-15"] {
        let at = name(&format!("clicks/batches/{day}/9-0-1"));
        goods.ports.objects.put(&at, Bytes::from_static(b"nothing that was packed")).await.unwrap();
    }
    assert_eq!(run(&goods).await.published.unwrap().clicks, 600);
}

#[tokio::test]
async fn a_model_that_recommends_worse_is_held_back_for_a_week() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    run(&goods).await;
    let live = answering(&goods.ports).await;
    // The archive is lost but for noise, and shoppers go on as before.
    for folder in ["clicks/days", "clicks/hours", "clicks/batches"] {
        for object in names(&goods.ports, folder).await {
            goods.ports.objects.delete(&name(&object)).await.unwrap();
        }
    }
    shopped(&goods, 1, &[NOISE; 50]).await;
    goods.clock.advance(DAY);
    shopped(&goods, 0, &[CHAIN; JUDGES]).await;
    let held = run(&goods).await;
    let judged = held.judged.unwrap();
    assert_eq!((held.outcome, judged.events), (Some(RefreshOutcome::HeldBack), 4 * 520));
    assert!(judged.live_mrr.unwrap() > 0.9 && judged.new_mrr.unwrap() < 0.5, "{judged:?}");
    assert_eq!(answering(&goods.ports).await, live);

    // A model that is older than a week is not kept for that reason.
    goods.clock.advance(7 * DAY);
    shopped(&goods, 0, &[CHAIN; JUDGES]).await;
    assert_eq!(run(&goods).await.outcome, Some(RefreshOutcome::Published));
    assert_ne!(answering(&goods.ports).await, live);
}

#[tokio::test]
async fn a_model_that_recommends_as_well_is_judged_and_published() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    run(&goods).await;
    goods.clock.advance(DAY);
    shopped(&goods, 0, &[CHAIN; JUDGES]).await;
    let made = run(&goods).await;
    let judged = made.judged.unwrap();
    assert_eq!((made.outcome, judged.events), (Some(RefreshOutcome::Published), 4 * 520));
    assert!(judged.new_mrr.unwrap() > 0.9, "{judged:?}");
}

#[tokio::test]
async fn a_published_model_that_cannot_be_read_is_replaced() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    let mut file = builder(&[CHAIN]).finish(Stage::Whole);
    let last = file.len() - 1;
    file[last] ^= 1;
    let bad = goods.publish(MODEL, file).await;
    let made = run(&goods).await;
    assert_eq!(made.outcome, Some(RefreshOutcome::Published));
    let now = answering(&goods.ports).await.unwrap();
    assert!(!now.object.as_str().ends_with(&bad));
}

/// Objects of a process that ends after so many effects.
struct Ending {
    inner: Arc<dyn Objects>,
    left: Arc<AtomicI64>,
}

struct EndingUpload(Box<dyn Upload>, Arc<AtomicI64>);

fn effect(left: &AtomicI64) -> Result<(), ObjectError> {
    if left.fetch_sub(1, Ordering::SeqCst) <= 0 {
        return Err(ObjectError::Unavailable("the process has ended".into()));
    }
    Ok(())
}

#[async_trait]
impl Upload for EndingUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        effect(&self.1)?;
        self.0.write(bytes).await
    }

    async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
        effect(&self.1)?;
        self.0.finish().await
    }
}

#[async_trait]
impl Objects for Ending {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        Ok(Box::new(EndingUpload(self.inner.upload(name).await?, Arc::clone(&self.left))))
    }

    async fn read(&self, name: &ObjectName, range: Option<std::ops::Range<u64>>) -> Result<Object, ObjectError> {
        self.inner.read(name, range).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.inner.list(folder, page, max).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        effect(&self.left)?;
        self.inner.delete(name).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.inner.pointer(name).await
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        effect(&self.left)?;
        self.inner.point(name, text, seen).await
    }
}

#[tokio::test]
async fn a_run_that_ends_at_any_effect_leaves_what_was_published_and_the_next_one_publishes() {
    let mut ends = 0;
    loop {
        let goods = Goods::new().await;
        shopped(&goods, 5, &[CHAIN; 5]).await;
        run(&goods).await;
        let before = answering(&goods.ports).await;
        shopped(&goods, 3, &[CHAIN; 5]).await;
        shopped(&goods, 0, &[CHAIN; 5]).await;
        let left = Arc::new(AtomicI64::new(ends));
        let objects = Arc::new(Ending { inner: Arc::clone(&goods.ports.objects), left: Arc::clone(&left) });
        let ended = refresh(&goods.shop(Ports { objects, ..goods.ports.clone() })).await;
        if ended.is_ok() {
            assert!(ends > 5, "a run has more effects than {ends}");
            break;
        }
        let after = answering(&goods.ports).await;
        assert!(after.is_some(), "end {ends}");
        let failed = read_refresh(goods.ports.documents.as_ref()).await.unwrap().unwrap().value;
        assert!(failed.failure.is_some_and(|it| it.contains("the process has ended")), "end {ends}");
        let next = run(&goods).await;
        assert_eq!(next.phase, RefreshPhase::Done);
        assert_ne!(answering(&goods.ports).await, before, "end {ends}");
        assert_eq!(next.published.unwrap().clicks, 75, "end {ends}");
        ends += 1;
    }
}

#[tokio::test]
async fn a_run_that_ends_at_any_step_is_begun_anew_once_it_is_still() {
    for writes in 0.. {
        let goods = Goods::new().await;
        clicked(&goods).await;
        goods.stand.store.allow_writes(writes);
        let ended = refresh(&goods.shop(goods.ports.clone())).await;
        goods.stand.store.allow_writes(i64::MAX);
        if ended.is_ok() {
            assert!(writes > 3, "a run has more steps than {writes}");
            break;
        }
        answering(&goods.ports).await;
        let shop = goods.shop(goods.ports.clone());
        if writes > 0 {
            assert_eq!(refresh(&shop).await.unwrap(), None, "it may still be at work");
            goods.clock.advance(601);
        }
        assert_eq!(run(&goods).await.phase, RefreshPhase::Done);
        assert!(answering(&goods.ports).await.is_some());
    }
}

#[tokio::test]
async fn of_two_runs_at_once_one_goes_on() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    let (one, other) = (goods.shop(goods.ports.clone()), goods.shop(goods.ports.clone()));
    let (one, other) = tokio::join!(refresh(&one), refresh(&other));
    let done: Vec<Refresh> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!(names(&goods.ports, "recommend/model/versions").await.len(), 1);
}

/// Keeps what is sent.
#[derive(Default)]
pub(super) struct Sent(Mutex<VecDeque<Message>>);

impl Sent {
    /// The run and the slice that the next message asks for.
    pub(super) fn next(&self) -> Option<(JobId, u32)> {
        let message = self.0.lock().unwrap().pop_front()?;
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!((&*message.destination, &body["kind"]), ("jobs", &json!("refresh_recommendations")));
        let id = JobId::parse(body["jobId"].as_str().unwrap()).unwrap();
        Some((id, u32::try_from(body["slice"].as_u64().unwrap()).unwrap()))
    }
}

#[async_trait]
impl Bus for Sent {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        self.0.lock().unwrap().push_back(message.clone());
        Ok(())
    }
}

#[tokio::test]
async fn what_there_is_no_time_for_is_done_by_messages_whichever_come_twice() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    let bus = Arc::new(Sent::default());
    let mut shop = goods.shop(Ports { bus: Arc::clone(&bus) as Arc<dyn Bus>, ..goods.ports.clone() });
    shop.recommender.at_once = Duration::ZERO;
    let begun = refresh(&shop).await.unwrap().unwrap();
    assert_eq!((begun.phase, begun.slices), (RefreshPhase::Pack, 1));
    let mut messages = 0;
    while let Some((id, slice)) = bus.next() {
        assert!(continue_refresh(&shop, id, slice).await.unwrap().is_some());
        assert_eq!(continue_refresh(&shop, id, slice).await.unwrap(), None, "it came twice");
        messages += 1;
    }
    // The other hours and days that are over, what there is, the judgement, the model, and what is too old.
    assert_eq!(messages, PACKED - 1 + 4);
    let done = last_refresh(&shop).await.unwrap().unwrap().value;
    assert_eq!((done.phase, done.outcome), (RefreshPhase::Done, Some(RefreshOutcome::Published)));
}

#[tokio::test]
async fn a_message_goes_on_where_the_run_is_and_an_older_one_does_nothing() {
    let goods = Goods::new().await;
    clicked(&goods).await;
    let shop = goods.shop(goods.ports.clone());
    let begun = run(&goods).await;
    let id = JobId::parse(&begun.job_id).unwrap();
    assert_eq!(continue_refresh(&shop, id, begun.slices).await.unwrap(), None, "it is done");
    let seen = last_refresh(&shop).await.unwrap().unwrap();
    let under_way = Refresh { phase: RefreshPhase::Publish, slices: 4, outcome: None, published: None, ..seen.value };
    write_refresh(goods.ports.documents.as_ref(), &under_way, Some(&seen.etag)).await.unwrap();
    assert_eq!(continue_refresh(&shop, id, 3).await.unwrap(), None);
    assert_eq!(continue_refresh(&shop, JobId::new(goods.ports.ids.ulid()), 4).await.unwrap(), None);
    assert_eq!(last_refresh(&shop).await.unwrap().unwrap().value, under_way);
    let done = continue_refresh(&shop, id, 4).await.unwrap().unwrap();
    assert_eq!((done.phase, done.outcome), (RefreshPhase::Done, Some(RefreshOutcome::Published)));
}
