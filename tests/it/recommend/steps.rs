//! A run whose steps are cut, or fail, goes on where it was.
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    documents::{
        clicks::event::text,
        recommendations::{Refresh, RefreshOutcome, RefreshPhase},
    },
    operations::{
        Shop,
        clicks::{
            ClickEvent, Clicks, What,
            ingest::{Arrived, ingest},
        },
        recommendations::refresh::{continue_refresh, last_refresh, refresh},
    },
    ports::{
        Ports,
        bus::Bus,
        documents::ETag,
        objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
    },
};
use offpeak_domain::{ids::JobId, recommend::Kind};

use super::{
    Goods,
    refresh::Sent,
    shoppers::{Walk, shopped, shopped_apart},
};

const CHAIN: Walk<'_> = (&["TENT", "MAT", "STOVE"], Kind::View);
/// Batches of a day, one for every twenty seconds.
const BATCHES: usize = 2_400;
const CALL: Duration = Duration::from_millis(200);
/// What an invocation has.
const INVOCATION: Duration = Duration::from_secs(15);
/// Calls of a run at most that look for what is too old, before anything else.
const REMOVING: i64 = 8;

/// Objects that are far away, one call of which is lost.
struct Far {
    inner: Arc<dyn Objects>,
    call: Duration,
    /// Calls until then.
    lost: AtomicI64,
}

impl Far {
    fn of(goods: &Goods, call: Duration, lost: i64) -> Ports {
        let objects = Arc::new(Far { inner: Arc::clone(&goods.ports.objects), call, lost: AtomicI64::new(lost) });
        Ports { objects, ..goods.ports.clone() }
    }

    async fn call(&self) -> Result<(), ObjectError> {
        if !self.call.is_zero() {
            tokio::time::sleep(self.call).await;
        }
        match self.lost.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(ObjectError::Unavailable("a call was lost".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Objects for Far {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        self.call().await?;
        self.inner.upload(name).await
    }

    async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), ObjectError> {
        self.call().await?;
        self.inner.put(name, content).await
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        self.call().await?;
        self.inner.read(name, range).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.call().await?;
        self.inner.list(folder, page, max).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.call().await?;
        self.inner.delete(name).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.call().await?;
        self.inner.pointer(name).await
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        self.call().await?;
        self.inner.point(name, text, seen).await
    }
}

fn view(session: u64, at: u32, sku: &str) -> Vec<u8> {
    let event = ClickEvent { at, what: What::View { sku: sku.to_owned() } };
    text(Clicks { session, consent: true, events: vec![event] }).unwrap().into_bytes()
}

async fn stored(shop: &Shop) -> Refresh {
    last_refresh(shop).await.unwrap().unwrap().value
}

#[tokio::test(start_paused = true)]
async fn a_day_of_many_batches_far_away_is_packed_by_invocations_that_are_cut() {
    let goods = Goods::new().await;
    shopped_apart(&goods, 2, &[CHAIN; BATCHES]).await;
    let mut shop = goods.shop(Far::of(&goods, CALL, -1));
    shop.recommender.days = 3;
    // No message is due before an invocation is cut.
    shop.recommender.at_once = Duration::MAX;
    let mut cuts = 0;
    let begun = tokio::time::timeout(INVOCATION, refresh(&shop)).await;
    assert!(begun.is_err(), "it is too much for one invocation");
    let id = JobId::parse(&stored(&shop).await.job_id).unwrap();
    assert_eq!(continue_refresh(&shop, id, 0).await.unwrap(), None, "it may still be at work");
    loop {
        goods.clock.advance(90);
        match tokio::time::timeout(INVOCATION, continue_refresh(&shop, id, 0)).await {
            Ok(done) => break assert_eq!(done.unwrap().unwrap().phase, RefreshPhase::Done),
            Err(_) => cuts += 1,
        }
        assert!(cuts < 20, "{:?}", stored(&shop).await);
    }
    assert!(cuts > 0, "it is too much for two");
    let done = stored(&shop).await;
    assert_eq!(done.outcome, Some(RefreshOutcome::Published));
    assert_eq!(done.published.unwrap().clicks, 3 * 2_400);
}

#[tokio::test]
async fn a_message_of_which_a_later_step_failed_goes_on_when_it_comes_again() {
    let mut later = 0;
    for lost in 0.. {
        let goods = Goods::new().await;
        shopped(&goods, 2, &[CHAIN; 5]).await;
        let bus = Arc::new(Sent::default());
        let shop = |ports: Ports, at_once| {
            let mut shop = goods.shop(Ports { bus: Arc::clone(&bus) as Arc<dyn Bus>, ..ports });
            (shop.recommender.days, shop.recommender.at_once) = (3, at_once);
            shop
        };
        refresh(&shop(goods.ports.clone(), Duration::ZERO)).await.unwrap();
        let (id, slice) = bus.next().unwrap();
        if continue_refresh(&shop(Far::of(&goods, Duration::ZERO, lost), Duration::MAX), id, slice).await.is_ok() {
            break;
        }
        later += u32::from(stored(&shop(goods.ports.clone(), Duration::MAX)).await.slices > slice);
        let done = continue_refresh(&shop(goods.ports.clone(), Duration::MAX), id, slice).await.unwrap();
        let done = done.unwrap_or_else(|| panic!("nobody goes on after call {lost} was lost"));
        assert_eq!((done.phase, done.outcome), (RefreshPhase::Done, Some(RefreshOutcome::Published)), "{lost}");
    }
    assert!(later > 5, "{later}");
}

#[tokio::test]
async fn a_step_that_lost_a_call_is_done_again_by_its_message_and_no_step_is_left_out() {
    for lost in 0.. {
        let goods = Goods::new().await;
        shopped(&goods, 2, &[CHAIN; 5]).await;
        let shop = |ports| {
            let mut shop = goods.shop(ports);
            shop.recommender.days = 3;
            shop
        };
        refresh(&shop(goods.ports.clone())).await.unwrap();
        shopped(&goods, 1, &[CHAIN; 5]).await;
        let bus = Arc::new(Sent::default());
        let shop = shop(Ports { bus: Arc::clone(&bus) as Arc<dyn Bus>, ..Far::of(&goods, Duration::ZERO, lost) });
        if let Ok(done) = refresh(&shop).await {
            // What is too old is removed later where it cannot be now; no other call may be lost without a word.
            assert!(!(REMOVING..=20).contains(&lost), "a run has more calls than {lost}");
            assert_eq!(done.unwrap().outcome, Some(RefreshOutcome::Published), "{lost}");
            if lost > 20 {
                break;
            }
            continue;
        }
        let failed = stored(&shop).await;
        assert!(failed.failure.as_ref().is_some_and(|it| it.contains("unavailable")), "{failed:?}");
        let (id, slice) = bus.next().expect("a message that asks for the step again");
        let done = continue_refresh(&shop, id, slice).await.unwrap().unwrap();
        assert_eq!((done.phase, done.outcome), (RefreshPhase::Done, Some(RefreshOutcome::Published)), "{lost}");
        assert!(done.judged.is_some() && done.failure.is_none(), "{lost}: {done:?}");
        assert_eq!(done.published.unwrap().clicks, 30);
    }
}

#[tokio::test]
async fn what_comes_after_its_day_is_packed_is_learnt_all_the_same() {
    let goods = Goods::new().await;
    shopped(&goods, 1, &[CHAIN; 5]).await;
    let shop = goods.shop(goods.ports.clone());
    let learnt = async || refresh(&shop).await.unwrap().unwrap().published.unwrap().clicks;
    assert_eq!(learnt().await, 15);
    let yesterday = ObjectName::parse("clicks/days/2027-01-14").unwrap();
    goods.ports.objects.read(&yesterday, None).await.expect("it is packed");
    // A client that was without a network, and a partition that waited for a day.
    let at = u32::try_from(goods.ports.clock.now().unix_timestamp()).unwrap() - 23 * 3_600;
    let late = [view(1, at, "TENT"), view(2, at, "MAT")];
    for (number, body) in (0..).zip(&late) {
        ingest(&goods.ports, "0", &[Arrived { number, body }]).await.unwrap();
    }
    assert_eq!(learnt().await, 17);
    goods.clock.advance(86_400);
    assert_eq!(learnt().await, 17, "and once, when it is packed");
}

#[tokio::test]
async fn what_is_not_for_sale_is_not_learnt() {
    let goods = Goods::new().await;
    shopped(&goods, 1, &[CHAIN; 5]).await;
    let made_up: Vec<String> = (0..500).map(|it| format!("MADE-UP-{it}")).collect();
    let walks: Vec<Vec<&str>> = made_up.chunks(5).map(|it| it.iter().map(String::as_str).collect()).collect();
    shopped(&goods, 0, &walks.iter().map(|it| (it.as_slice(), Kind::View)).collect::<Vec<_>>()).await;
    let made = refresh(&goods.shop(goods.ports.clone())).await.unwrap().unwrap().published.unwrap();
    assert_eq!((made.clicks, made.sessions), (15, 5));
    assert!(made.items < 20, "{} items", made.items);
}
