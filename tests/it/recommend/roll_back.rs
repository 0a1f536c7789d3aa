//! Going back to an older model: who may, what it changes, and what the next runs make of it.
use std::{
    fs,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use offpeak::shared::{
    documents::{
        models::{Hold, read_models, write_models},
        recommendations::{Refresh, RefreshOutcome},
    },
    operations::{
        publications::current,
        recommendations::{FIRST, MODEL, models::hold, refresh::refresh},
    },
    ports::{
        Ports,
        documents::ETag,
        objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
    },
};
use offpeak_domain::recommend::Kind;
use serde_json::{Value, json};

use super::{
    Goods, Server,
    shoppers::{Walk, shopped_now},
};

const CHAIN: Walk<'_> = (&["TENT", "MAT", "STOVE", "PRINTER", "TONER"], Kind::View);
const DAY: i64 = 86_400;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

/// A run after a few clicks more.
async fn run(goods: &Goods, ports: &Ports) -> Refresh {
    shopped_now(goods, &[CHAIN; 5]).await;
    refresh(&goods.shop(ports.clone())).await.unwrap().expect("no other run is under way")
}

/// The versions that so many runs have published.
async fn published(goods: &Goods, runs: usize) -> Vec<String> {
    let mut versions = Vec::new();
    for _ in 0..runs {
        versions.push(run(goods, &goods.ports).await.published.unwrap().version);
        goods.clock.advance(3_600);
    }
    versions
}

/// Which model answers; its small file must be of the same.
async fn answering(goods: &Goods) -> String {
    let (first, whole) = (name(FIRST), name(MODEL));
    let first = current(&goods.ports, &first).await.unwrap().unwrap();
    let whole = current(&goods.ports, &whole).await.unwrap().unwrap();
    let models = read_models(goods.ports.documents.as_ref()).await.unwrap().unwrap().value;
    let kept = models.model(whole.version()).expect("what answers is kept");
    assert_eq!((kept.first.publication().unwrap(), kept.whole.publication().unwrap()), (first, whole));
    kept.version.clone()
}

impl Server {
    /// What is answered to a person with this scope.
    async fn hold(&self, scope: &str, if_match: Option<&str>, body: &Value) -> (u16, Value) {
        let url = self.url.replace("/recommendations", "/manage/recommendations");
        let call = self.client.put(url).bearer_auth(scope).header("content-type", "application/json");
        let call = if_match.into_iter().fold(call, |call, it| call.header("if-match", it));
        self.answer(call.body(body.to_string())).await
    }

    /// As it is told to whoever reads it now.
    async fn etag(&self) -> String {
        let url = self.url.replace("/recommendations", "/manage/recommendations");
        let answer = self.client.get(url).bearer_auth("read_reports").send().await.unwrap();
        answer.headers()["etag"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_older_model_answers_again_until_it_is_released() {
    let goods = Goods::new().await;
    let versions = published(&goods, 3).await;
    let server = goods.open().await;
    server.until_model(&versions[2]).await;
    let (_, shown) = server.last_run("read_reports").await;
    let kept: Vec<&Value> = shown["kept"].as_array().unwrap().iter().map(|it| &it["version"]).collect();
    assert_eq!(kept, [&versions[2], &versions[1], &versions[0]]);
    assert_eq!(
        (&shown["current"], &shown["hold"], &shown["kept"][2]["clicks"]),
        (&json!(versions[2]), &json!(null), &json!(25))
    );

    let wanted = json!({ "hold": versions[0] });
    let (status, held) = server.hold("write_settings", Some(&server.etag().await), &wanted).await;
    assert_eq!((status, &held["current"], &held["hold"]["version"]), (200, &json!(versions[0]), &json!(versions[0])));
    assert_eq!(held["hold"]["by"], "ada");
    assert_eq!(answering(&goods).await, versions[0]);
    server.until_model(&versions[0]).await;
    let taken_back = goods.folder.path().join(format!("model-{}", versions[2]));
    server.until("?surface=trending", |_| !taken_back.exists()).await;
    goods.open().await.until_model(&versions[0]).await;

    // Said again, it is the same; and runs go on.
    goods.clock.advance(60);
    assert_eq!(server.hold("write_settings", Some("*"), &wanted).await, (200, held));
    let made = run(&goods, &goods.ports).await;
    assert_eq!((made.outcome, made.published.unwrap().version), (Some(RefreshOutcome::Held), versions[2].clone()));
    assert!(made.judged.is_some());
    assert_eq!(answering(&goods).await, versions[0]);

    let (status, released) = server.hold("write_settings", Some("*"), &json!({ "hold": null })).await;
    assert_eq!((status, &released["hold"], &released["current"]), (200, &json!(null), &json!(versions[0])));
    let made = run(&goods, &goods.ports).await;
    assert_eq!(made.outcome, Some(RefreshOutcome::Published));
    assert_eq!(answering(&goods).await, made.published.unwrap().version);
}

#[tokio::test]
async fn a_hold_ends_by_itself_after_a_week() {
    let goods = Goods::new().await;
    let versions = published(&goods, 2).await;
    hold(&goods.shop(goods.ports.clone()), Some(&versions[0]), None, "ada").await.unwrap();
    goods.clock.advance(7 * DAY - 1);
    assert_eq!(run(&goods, &goods.ports).await.outcome, Some(RefreshOutcome::Held));
    goods.clock.advance(1);
    assert_eq!(run(&goods, &goods.ports).await.outcome, Some(RefreshOutcome::Published));
    assert_ne!(answering(&goods).await, versions[0]);
}

#[tokio::test]
async fn what_is_not_kept_or_was_not_seen_is_refused() {
    let goods = Goods::new().await;
    let versions = published(&goods, 2).await;
    let server = goods.open().await;
    let old = server.etag().await;
    let wanted = json!({ "hold": versions[0] });
    assert_eq!(server.hold("read_reports", Some("*"), &wanted).await.0, 403);
    let refused = |(status, problem): (u16, Value)| (status, problem["code"].as_str().unwrap_or_default().to_owned());
    let unseen = refused(server.hold("write_settings", None, &wanted).await);
    assert_eq!(unseen, (428, "precondition_required".to_owned()));
    let unknown = refused(server.hold("write_settings", Some("*"), &json!({ "hold": "01" })).await);
    assert_eq!(unknown, (422, "validation_failed".to_owned()));
    assert_eq!(server.hold("write_settings", Some("*"), &json!({})).await.0, 400, "nothing is released unsaid");
    assert_eq!(server.hold("write_settings", Some(&old), &wanted).await.0, 200);
    let changed = refused(server.hold("write_settings", Some(&old), &json!({ "hold": null })).await);
    assert_eq!(changed, (412, "etag_mismatch".to_owned()));
    assert_eq!(answering(&goods).await, versions[0]);

    // One that was kept, and whose file is gone.
    goods.ports.objects.delete(&name(&format!("{MODEL}/versions/{}", versions[1]))).await.unwrap();
    let gone = refused(server.hold("write_settings", Some("*"), &json!({ "hold": versions[1] })).await);
    assert_eq!(gone, (422, "validation_failed".to_owned()));
    assert_eq!(answering(&goods).await, versions[0]);
}

#[tokio::test]
async fn of_two_people_at_once_one_wins_and_the_other_is_told() {
    let goods = Goods::new().await;
    let versions = published(&goods, 3).await;
    let (one, other) = (goods.open().await, goods.open().await);
    for _ in 0..5 {
        let etag = one.etag().await;
        let wanted = [json!({ "hold": versions[0] }), json!({ "hold": versions[1] })];
        let (a, b) = tokio::join!(
            one.hold("write_settings", Some(&etag), &wanted[0]),
            other.hold("write_settings", Some(&etag), &wanted[1])
        );
        let mut statuses = [a.0, b.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{a:?} {b:?}");
        let winner = if a.0 == 200 { &versions[0] } else { &versions[1] };
        assert_eq!(&answering(&goods).await, winner);
        assert_eq!(one.hold("write_settings", Some("*"), &json!({ "hold": null })).await.0, 200);
    }
}

/// Objects of a process beside which, before its call of this number, a person holds a model.
struct Beside {
    inner: Arc<dyn Objects>,
    left: AtomicI64,
    goods: Ports,
    version: String,
}

impl Beside {
    async fn call(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            let shop = offpeak::shared::operations::Shop::new(self.goods.clone());
            hold(&shop, Some(&self.version), None, "ada").await.unwrap();
        }
    }
}

#[async_trait]
impl Objects for Beside {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        self.call().await;
        self.inner.upload(name).await
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        self.call().await;
        self.inner.read(name, range).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.call().await;
        self.inner.list(folder, page, max).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.call().await;
        self.inner.delete(name).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.call().await;
        self.inner.pointer(name).await
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        self.call().await;
        self.inner.point(name, text, seen).await
    }
}

#[tokio::test]
async fn whenever_in_a_run_a_model_is_held_it_is_the_one_that_answers() {
    let mut outcomes = Vec::new();
    // The older one, and the one that answers already, whose pointers need not move.
    for held in [0, 1] {
        for calls in 0.. {
            let goods = Goods::new().await;
            let versions = published(&goods, 2).await;
            let beside = Arc::new(Beside {
                inner: Arc::clone(&goods.ports.objects),
                left: AtomicI64::new(calls),
                goods: goods.ports.clone(),
                version: versions[held].clone(),
            });
            let objects = Arc::clone(&beside) as Arc<dyn Objects>;
            let made = run(&goods, &Ports { objects, ..goods.ports.clone() }).await;
            if beside.left.load(Ordering::SeqCst) >= 0 {
                assert!(calls > 15, "a run has more calls than {calls}");
                break;
            }
            assert_eq!(answering(&goods).await, versions[held], "held before call {calls}: {:?}", made.outcome);
            outcomes.push(made.outcome.unwrap());
        }
    }
    for outcome in [RefreshOutcome::Held, RefreshOutcome::Overtaken, RefreshOutcome::Published] {
        assert!(outcomes.contains(&outcome), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_hold_that_was_stored_and_not_followed_is_followed_by_the_next_run() {
    let goods = Goods::new().await;
    let versions = published(&goods, 2).await;
    let documents = goods.ports.documents.as_ref();
    let seen = read_models(documents).await.unwrap().unwrap();
    let since = goods.ports.clock.now();
    let held = Hold { version: versions[0].clone(), since, until: since + time::Duration::DAY, by: "ada".to_owned() };
    let models = offpeak::shared::documents::models::Models { hold: Some(held), ..seen.value };
    write_models(documents, &models, Some(&seen.etag)).await.unwrap();
    assert_eq!(answering(&goods).await, versions[1]);
    assert_eq!(run(&goods, &goods.ports).await.outcome, Some(RefreshOutcome::Held));
    assert_eq!(answering(&goods).await, versions[0]);
}

#[tokio::test]
async fn the_models_of_a_day_are_kept() {
    let goods = Goods::new().await;
    let versions = published(&goods, 27).await;
    let models = read_models(goods.ports.documents.as_ref()).await.unwrap().unwrap().value;
    let kept: Vec<&String> = models.kept.iter().map(|it| &it.version).collect();
    assert_eq!(kept, versions[2..].iter().collect::<Vec<_>>());
    for model in &models.kept {
        for file in [&model.first, &model.whole] {
            assert!(goods.ports.objects.read(&file.publication().unwrap().object, None).await.is_ok());
        }
    }
    assert!(fs::read_dir(goods.folder.path()).unwrap().next().is_none(), "nobody asked");
}
