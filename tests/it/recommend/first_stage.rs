//! What answers in the first seconds of a process with nothing on its disk, where objects are far away. Virtual time: a
//! timer alone decides what comes first.
use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use offpeak::shared::{
    operations::{
        Shop,
        recommendations::{FIRST, MODEL, Recommend, recommend},
    },
    ports::{
        Ports,
        documents::ETag,
        objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
    },
};
use offpeak_domain::recommend::{Kind, Stage};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Goods, builder, skus};

const CAMPERS: (&[&str], Kind) = (&["TENT", "MAT", "STOVE"], Kind::View);
const STOVES: (&[&str], Kind) = (&["TENT", "STOVE"], Kind::View);
const CALL: Duration = Duration::from_millis(20);
/// As long as a hundred megabytes are on their way.
const LARGE: Duration = Duration::from_secs(2);

/// Objects behind a long line.
struct Far {
    inner: Arc<dyn Objects>,
    /// What is large begins with this.
    large: &'static str,
    calls: Mutex<Vec<String>>,
}

impl Far {
    async fn call(&self, name: &ObjectName) {
        self.calls.lock().unwrap().push(name.to_string());
        sleep(CALL).await;
    }
}

#[async_trait]
impl Objects for Far {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        self.inner.upload(name).await
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        self.call(name).await;
        if name.as_str().starts_with(self.large) {
            sleep(LARGE).await;
        }
        self.inner.read(name, range).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.call(folder).await;
        self.inner.list(folder, page, max).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.inner.delete(name).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.call(name).await;
        self.inner.pointer(name).await
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        self.inner.point(name, text, seen).await
    }
}

/// A process that begins, and what is behind the line.
fn begun(goods: &Goods, large: &'static str) -> (Shop, Arc<Far>) {
    let far = Arc::new(Far { inner: Arc::clone(&goods.ports.objects), large, calls: Mutex::default() });
    (goods.shop(Ports { objects: Arc::clone(&far) as Arc<dyn Objects>, ..goods.ports.clone() }), far)
}

/// Which model says what comes after a tent.
async fn after_a_tent(shop: &Shop) -> (Value, Vec<String>) {
    let text = |it: &str| Some(it.to_owned());
    let ask = Recommend { surface: text("next"), seen: text("TENT"), limit: text("1"), ..Recommend::default() };
    let list: Value = serde_json::from_slice(&recommend(shop, &ask).await.unwrap()).unwrap();
    (list["modelVersion"].clone(), skus(&list))
}

#[tokio::test(start_paused = true)]
async fn the_first_request_gets_the_small_model_while_the_whole_one_is_on_its_way() {
    let goods = Goods::new().await;
    let first = goods.publish(FIRST, builder(&[CAMPERS, CAMPERS]).finish(Stage::First)).await;
    let whole = goods.publish_model(builder(&[STOVES, STOVES])).await;
    let (shop, far) = begun(&goods, MODEL);
    let start = Instant::now();
    assert_eq!(after_a_tent(&shop).await, (json!(first), vec!["MAT".to_owned()]));
    assert!(start.elapsed() < CALL * 3, "a pointer and a file: {:?}", start.elapsed());
    let before = [format!("{FIRST}/current"), format!("{FIRST}/versions/{first}")];
    assert_eq!(far.calls.lock().unwrap()[..2], before, "nothing comes before them");
    sleep(LARGE / 2).await;
    assert_eq!(far.calls.lock().unwrap().last(), Some(&format!("{MODEL}/versions/{whole}")));
    assert_eq!(after_a_tent(&shop).await.0, json!(first), "half of the whole one is here");
    sleep(LARGE).await;
    assert_eq!(after_a_tent(&shop).await, (json!(whole), vec!["STOVE".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_first_request_waits_for_no_model_that_is_long_in_coming() {
    let goods = Goods::new().await;
    let first = goods.publish(FIRST, builder(&[CAMPERS, CAMPERS]).finish(Stage::First)).await;
    let (shop, _) = begun(&goods, FIRST);
    let start = Instant::now();
    let (version, list) = after_a_tent(&shop).await;
    assert_eq!((version, list.len()), (Value::Null, 1), "of the listing");
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    sleep(LARGE + CALL * 2).await;
    assert_eq!(after_a_tent(&shop).await.0, json!(first));
}
