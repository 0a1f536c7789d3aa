//! How a process comes to a model, and keeps to it.
use std::{fs, path::PathBuf, sync::Arc};

use offpeak::shared::{
    operations::{
        clicks::live::append,
        recommendations::{FIRST, MODEL},
    },
    ports::{
        Ports,
        clock::{Clock, Ids},
        objects::{ObjectName, Objects},
    },
};
use offpeak_domain::recommend::{Kind, LiveClick, Stage};
use serde_json::json;
use ulid::Ulid;

use super::{Goods, builder, skus};
use crate::cache_contract::soon;

const CAMPERS: (&[&str], Kind) = (&["TENT", "MAT", "STOVE"], Kind::View);
const STOVES: (&[&str], Kind) = (&["TENT", "STOVE"], Kind::View);
const AFTER_A_TENT: &str = "?surface=next&seen=TENT&limit=1";

fn files(goods: &Goods) -> Vec<PathBuf> {
    fs::read_dir(goods.folder.path()).unwrap().map(|it| it.unwrap().path()).collect()
}

/// The same shop, where no object is to be had.
fn without_objects(goods: &Goods) -> Ports {
    let objects = Arc::new(offpeak::shared::adapters::object_storage::StoredObjects::in_memory()) as Arc<dyn Objects>;
    Ports { objects, ..goods.ports.clone() }
}

#[tokio::test]
async fn the_small_model_answers_until_the_whole_one_is_there() {
    let goods = Goods::new().await;
    let first = goods.publish(FIRST, builder(&[CAMPERS, CAMPERS]).finish(Stage::First)).await;
    let server = goods.open().await;
    server.until_model(&first).await;
    assert_eq!(server.skus(AFTER_A_TENT).await, ["MAT"]);
    let whole = goods.publish_model(builder(&[CAMPERS, CAMPERS])).await;
    server.until_model(&whole).await;
    assert_eq!(server.skus(AFTER_A_TENT).await, ["MAT"]);
}

#[tokio::test]
async fn the_first_request_is_answered_by_what_is_there_already() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS])).await;
    goods.open().await.until_model(&model).await;
    // Another process, before it has heard of any object.
    let server = goods.open_with(without_objects(&goods)).await;
    let list = server.list(AFTER_A_TENT).await;
    assert_eq!((skus(&list), &list["modelVersion"]), (vec!["MAT".to_owned()], &json!(model)));
}

#[tokio::test]
async fn a_model_that_is_no_good_is_refused_and_the_last_good_one_stays() {
    let goods = Goods::new().await;
    let good = goods.publish_model(builder(&[CAMPERS])).await;
    let server = goods.open().await;
    server.until_model(&good).await;
    let file = builder(&[STOVES]).finish(Stage::Whole);
    let changed = |at: usize, by: u8| {
        let mut file = file.clone();
        file[at] ^= by;
        file
    };
    for bad in [file[..file.len() - 1].to_vec(), changed(file.len() - 1, 1), changed(8, 0xff), Vec::new()] {
        let name = goods.publish(MODEL, bad).await;
        // Twice, so that it has been looked at once.
        for _ in 0..2 {
            let looked = server.list(AFTER_A_TENT).await;
            assert_eq!((skus(&looked), &looked["modelVersion"]), (vec!["MAT".to_owned()], &json!(good)));
        }
        // It is looked at under its name, and then removed.
        soon(|| async { files(&goods).iter().all(|it| !it.ends_with(format!("model-{name}"))) }).await;
    }
    let next = goods.publish_model(builder(&[STOVES])).await;
    server.until_model(&next).await;
    assert_eq!(server.skus(AFTER_A_TENT).await, ["STOVE"]);
    assert_eq!(files(&goods).len(), 2, "the one that answers, and the one before");
}

#[tokio::test]
async fn a_damaged_file_on_this_machine_is_removed_and_an_older_one_or_none_answers() {
    let goods = Goods::new().await;
    let model = goods.publish_model(builder(&[CAMPERS])).await;
    goods.open().await.until_model(&model).await;
    let good = fs::read(goods.folder.path().join(format!("model-{model}"))).unwrap();
    // Sorts after every name that is drawn.
    let damaged = goods.folder.path().join("model-zz");
    for cut in [0, 7, good.len() / 2, good.len() - 1] {
        fs::write(&damaged, &good[..cut]).unwrap();
        let server = goods.open_with(without_objects(&goods)).await;
        server.until_model(&model).await;
        assert!(!damaged.exists(), "cut at {cut}");
    }
    fs::write(&damaged, {
        let mut changed = good.clone();
        changed[good.len() - 1] ^= 1;
        changed
    })
    .unwrap();
    let server = goods.open_with(without_objects(&goods)).await;
    server.until_model(&model).await;
    assert!(!damaged.exists());
}

/// Draws by the shop's clock, as a machine's own does.
struct ByClock(Arc<dyn Clock>);

impl Ids for ByClock {
    fn ulid(&self) -> Ulid {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).unwrap();
        Ulid::from_parts(seconds * 1_000, Ulid::generate().random())
    }

    fn token(&self) -> String {
        unreachable!("no secret is drawn")
    }
}

#[tokio::test]
async fn clicks_of_a_partition_that_was_late_count_once_though_the_model_knows_newer_ones() {
    let mut goods = Goods::new().await;
    goods.ports.ids = Arc::new(ByClock(Arc::clone(&goods.ports.clock)));
    // Before the newest click that the model knows.
    let at = 1_699_999_000;
    let click = |session: u64, item: &str| LiveClick { session, at, item: item.into(), kind: Kind::View };
    let clicks = |from: u64| -> Vec<(i64, LiveClick)> {
        let clicks = (from..from + 20).flat_map(|session| [click(session, "TENT"), click(session, "PAPER")]);
        (0..).zip(clicks).collect()
    };
    append(&goods.ports, "0", 39, &clicks(0)).await.unwrap();
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS])).await;
    let server = goods.open().await;
    server.until_model(&model).await;
    for _ in 0..3 {
        assert_eq!(server.skus(AFTER_A_TENT).await, ["MAT"], "the model has what came before it was begun");
    }
    goods.clock.advance(60);
    append(&goods.ports, "1", 39, &clicks(20)).await.unwrap();
    server.until(AFTER_A_TENT, |it| skus(it) == ["PAPER"]).await;
}

#[tokio::test]
async fn what_others_clicked_a_moment_ago_is_shown_with_a_model_or_without() {
    let goods = Goods::new().await;
    let now = u32::try_from(goods.ports.clock.now().unix_timestamp()).unwrap();
    let click =
        |session, after, item: &str| LiveClick { session, at: now - 60 + after, item: item.into(), kind: Kind::View };
    let clicks: Vec<(i64, LiveClick)> = (0..20_u64)
        .flat_map(|session| [click(session, 1, "TENT"), click(session, 2, "PAPER")])
        .zip(0..)
        .map(|(click, number)| (number, click))
        .collect();
    append(&goods.ports, "0", 39, &clicks).await.unwrap();
    let server = goods.open().await;
    let is_paper = |it: &serde_json::Value| skus(it) == ["PAPER"];
    let list = server.until(AFTER_A_TENT, is_paper).await;
    assert_eq!((&list["modelVersion"], &list["items"][0]["reason"]["kind"]), (&json!(null), &json!("seen_with")));
    let model = goods.publish_model(builder(&[CAMPERS, CAMPERS])).await;
    server.until_model(&model).await;
    server.until(AFTER_A_TENT, is_paper).await;
    let at = ObjectName::parse("clicks/live/partitions").unwrap();
    assert_eq!(goods.ports.objects.list(&at, None, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn what_was_clicked_after_a_model_was_made_counts_until_the_next_is_there() {
    let goods = Goods::new().await;
    let now = u32::try_from(goods.ports.clock.now().unix_timestamp()).unwrap();
    let click = |session, at, item: &str| LiveClick { session, at, item: item.into(), kind: Kind::View };
    let pair = |session| [click(session, now - 2, "TENT"), click(session, now - 1, "PAPER")];
    let clicks: Vec<(i64, LiveClick)> = (0..).zip((0..20).flat_map(pair)).collect();
    append(&goods.ports, "0", 39, &clicks).await.unwrap();
    // The next is begun an hour later, takes its time, and is asked for once a minute.
    goods.clock.advance(75 * 60);
    append(&goods.ports, "0", 40, &vec![(40, click(99, now + 75 * 60, "STOVE"))]).await.unwrap();
    goods.open().await.until(AFTER_A_TENT, |it| skus(it) == ["PAPER"]).await;
}
