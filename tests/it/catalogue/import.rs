//! A price list may be loaded again, at once, or after a crash anywhere: the shop is the same.
use std::collections::BTreeSet;

use offpeak::shared::{
    documents::settings::{STORE, put_settings, read_settings},
    operations::{
        import_catalogue::{ImportError, ImportOptions, ImportReport, import_catalogue, rows::Format},
        offers::Catalogue,
        stock::{self, Expected},
    },
    ports::documents::{Container, StoreError},
};
use offpeak_domain::{
    money::Currency,
    sku::Sku,
    stock::{Location, StockLocation},
};

use super::stand::{Stand, pounds};

const PRICELIST: &str = include_str!("../fixtures/pricelist.csv");

const WITH_VARIANTS: &str = "\
sku,product,title,variantTitle,price,category,onHand
tee-s,tee,Linen tee,Small,24.00,Clothes,4
tee-m,tee,,Medium,24.00,,0
jug,,Enamel jug,,18.50,Kitchen,
";

fn counts(report: &ImportReport) -> [u64; 5] {
    [report.read, report.created, report.updated, report.unchanged, report.refused]
}

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let stand = Stand::new();
    let first = stand.load(PRICELIST).await;
    assert_eq!(counts(&first), [12, 7, 0, 0, 5]);
    let refused: Vec<_> = first.refusals.iter().map(|it| format!("{}: {}", it.line, it.reason)).collect();
    assert_eq!(
        refused,
        [
            "6: price 3.325 is not a whole number of minor units of GBP",
            "9: a SKU is 1 to 64 of the characters A-Z a-z 0-9 . _ -",
            "10: price is zero; give a price above zero",
            "12: the SKU stands in line 2 already",
            "13: title is missing",
        ]
    );
    assert_eq!(first.ignored, ["orders", "units"]);

    let before = stand.all().await;
    let second = stand.load(PRICELIST).await;
    assert_eq!(counts(&second), [12, 0, 0, 7, 5]);
    assert_eq!(stand.all().await, before, "not even a version changed");

    let catalogue = Catalogue::new(stand.ports.clone());
    let codes = ["40004", "40002b", "40002B", "40003"].map(sku);
    let offers = catalogue.offers(&codes).await.unwrap();
    let seen: Vec<_> = offers.iter().map(|it| it.as_ref().map(|it| (it.price.minor(), it.slug.as_str()))).collect();
    assert_eq!(
        seen,
        [Some((499, "tea-tin-round")), Some((125, "green-egg-cup-40002b")), Some((125, "green-egg-cup")), None]
    );
}

#[tokio::test]
async fn stock_is_opened_and_never_corrected() {
    let stand = Stand::new();
    stand.load(WITH_VARIANTS).await;
    let codes = ["tee-s", "tee-m", "jug"].map(sku);
    assert_eq!(stock::available(&stand.ports, &codes).await.unwrap(), [4, 0, 7]);

    stock::set_on_hand(&stand.ports, &codes[0], 1, Expected::Any, "test").await.unwrap();
    let again = stand.load(WITH_VARIANTS).await;
    assert_eq!(counts(&again), [3, 0, 0, 3, 0]);
    assert_eq!(stock::available(&stand.ports, &codes).await.unwrap(), [1, 0, 7]);
}

#[tokio::test]
async fn a_crash_at_any_write_is_completed_by_the_next_run() {
    for list in [PRICELIST, WITH_VARIANTS] {
        let whole = Stand::new();
        whole.store.allow_writes(10_000);
        whole.load(list).await;
        let writes = 10_000 - whole.store.writes_left();
        let want = whole.everything().await;
        assert!(writes > 15, "{writes}");
        for allowed in 0..writes {
            let stand = Stand::new();
            stand.store.allow_writes(allowed);
            let died = stand.import(list, &pounds()).await;
            assert!(matches!(died, Err(ImportError::Store(_) | ImportError::Stock(_))), "after {allowed} writes");
            stand.store.allow_writes(i64::MAX);
            stand.load(list).await;
            assert_eq!(stand.everything().await, want, "after {allowed} writes");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_late_now_and_then_ends_no_import() {
    let (whole, slow) = (Stand::new(), Stand::new());
    whole.load(PRICELIST).await;
    slow.store.be_late_every(13);
    assert_eq!(slow.load(PRICELIST).await.loaded(), 7);
    assert_eq!(slow.everything().await, whole.everything().await);
}

#[tokio::test]
async fn a_crash_in_a_move_to_another_category_leaves_no_stray_card() {
    let moved = WITH_VARIANTS.replace("Kitchen", "Garden").replace("18.50", "19.50");
    let whole = Stand::new();
    whole.load(WITH_VARIANTS).await;
    whole.load(&moved).await;
    let want = whole.everything().await;
    let cards: Vec<_> = want.keys().filter(|it| it.0 == Container::Listings).map(|it| it.1.as_str()).collect();
    assert_eq!(cards, ["web", "web", "web:clothes", "web:garden"]);
    for allowed in 0.. {
        let stand = Stand::new();
        stand.load(WITH_VARIANTS).await;
        stand.store.allow_writes(allowed);
        let done = stand.import(&moved, &pounds()).await;
        stand.store.allow_writes(i64::MAX);
        let report = stand.load(&moved).await;
        assert_eq!(stand.everything().await, want, "after {allowed} writes");
        if let Ok(first) = done {
            assert_eq!((counts(&first), counts(&report)), ([3, 0, 1, 2, 0], [3, 0, 0, 3, 0]));
            assert!(allowed >= 3, "a card taken away, a product and two cards written: {allowed}");
            return;
        }
    }
}

#[tokio::test]
async fn a_dry_run_tells_and_stores_nothing() {
    let stand = Stand::new();
    let dry = ImportOptions { dry_run: true, ..pounds() };
    let told = stand.import(PRICELIST, &dry).await.unwrap();
    assert!(stand.all().await.is_empty());
    let done = stand.load(PRICELIST).await;
    assert_eq!((counts(&told), &told.refusals), (counts(&done), &done.refusals));

    let dearer = PRICELIST.replace("12.95", "13.50");
    let before = stand.all().await;
    assert_eq!(counts(&stand.import(&dearer, &dry).await.unwrap()), [12, 0, 1, 6, 5]);
    assert_eq!(stand.all().await, before);
    assert_eq!(counts(&stand.load(&dearer).await), [12, 0, 1, 6, 5]);
}

/// A store with several places is loaded place by place; what was counted there is left alone.
#[tokio::test]
async fn stock_is_opened_where_the_file_says_and_once_only() {
    let stand = Stand::new();
    stand.load("sku,title,price\njug,Jug,1\n").await;
    let documents = stand.ports.documents.as_ref();
    let mut seen = read_settings(documents).await.unwrap().unwrap();
    let far = StockLocation { name: Location::parse("far").unwrap(), ..seen.value.stock.locations[0].clone() };
    seen.value.stock.locations.push(far.clone());
    let write = put_settings(&seen.value, Some(&seen.etag)).unwrap();
    documents.write(Container::Stores, STORE, vec![write]).await.unwrap();

    let there = ImportOptions { location: Some(far.name.clone()), on_hand: Some(4), ..pounds() };
    let list = "sku,title,price,location\njug,Jug,1,\nmug,Mug,1,\ncup,Cup,1,main\n";
    let dry = ImportOptions { dry_run: true, ..there.clone() };
    assert_eq!(counts(&stand.import(list, &dry).await.unwrap()), [3, 2, 1, 0, 0]);
    assert_eq!(counts(&stand.import(list, &there).await.unwrap()), [3, 2, 1, 0, 0]);
    let more = ImportOptions { on_hand: Some(9), ..there };
    assert_eq!(counts(&stand.import(list, &more).await.unwrap()), [3, 0, 0, 3, 0]);
    assert_eq!(counts(&stand.import("sku,title,price\nmug,Mug,1\n", &pounds()).await.unwrap()), [1, 0, 0, 1, 0]);
    for (sku_name, main, elsewhere) in [("jug", Some(7), Some(4)), ("mug", None, Some(4)), ("cup", Some(4), None)] {
        let levels = stock::level(&stand.ports, &sku(sku_name)).await.unwrap().unwrap().value.by_location;
        let on_hand = |place: &Location| levels.get(place).map(|it| it.on_hand);
        assert_eq!((on_hand(&Location::main()), on_hand(&far.name)), (main, elsewhere), "{sku_name}");
    }
    let moon = ImportOptions { location: Some(Location::parse("moon").unwrap()), ..pounds() };
    let refused = stand.import(list, &moon).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store has no location moon: add it to its settings or correct the name");
}

#[tokio::test]
async fn prices_are_in_the_stores_currency_or_refused() {
    let stand = Stand::new();
    let none = ImportOptions::default();
    assert!(matches!(stand.import(PRICELIST, &none).await, Err(ImportError::NoCurrency)));
    assert!(stand.all().await.is_empty());
    stand.load(PRICELIST).await;
    let euros = ImportOptions { currency: Some(Currency::parse("EUR").unwrap()), ..none.clone() };
    let refused = stand.import(PRICELIST, &euros).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store sells in GBP, so prices in EUR cannot be loaded");
    assert_eq!(counts(&stand.import(PRICELIST, &none).await.unwrap()), [12, 0, 0, 7, 5]);
}

#[tokio::test]
async fn a_sku_stays_with_its_product() {
    let stand = Stand::new();
    stand.load(WITH_VARIANTS).await;
    let report = stand.load("sku,product,title,price\njug,set,Jug set,20\nset-2,set,,30\n").await;
    assert_eq!(counts(&report), [2, 1, 0, 0, 1]);
    assert!(report.refusals[0].reason.to_string().starts_with("the SKU belongs to product prd_"));
    let offers = Catalogue::new(stand.ports.clone()).offers(&[sku("jug"), sku("set-2")]).await.unwrap();
    let titles: Vec<_> = offers.into_iter().map(|it| it.unwrap().title).collect();
    assert_eq!(titles, ["Enamel jug", "Jug set"]);
}

#[tokio::test]
async fn both_formats_make_the_same_shop() {
    let lines = [
        r#"{"sku":"tee-s","product":"tee","title":"Linen tee","variantTitle":"Small","price":24.00,"category":"Clothes","onHand":4}"#,
        r#"{"sku":"tee-m","product":"tee","variantTitle":"Medium","price":"24","onHand":0}"#,
        r#"{"StockCode":"jug","desc":"Enamel jug","price":18.499999999999996447,"category":"Kitchen","colour":"white"}"#,
    ];
    let (one, other) = (Stand::new(), Stand::new());
    one.load(WITH_VARIANTS).await;
    let text = lines.join("\n");
    let report = import_catalogue(&other.ports, text.as_bytes(), Format::Ndjson, &pounds()).await.unwrap();
    assert_eq!(counts(&report), [3, 3, 0, 0, 0]);
    assert_eq!(report.ignored, ["colour"]);
    assert_eq!(one.everything().await, other.everything().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_at_the_same_time_make_one_shop() {
    let stand = Stand::new();
    let options = pounds();
    let (first, second) = tokio::join!(stand.import(PRICELIST, &options), stand.import(PRICELIST, &options));
    assert_eq!((first.unwrap().loaded(), second.unwrap().loaded()), (7, 7));
    let products: BTreeSet<_> = stand.everything().await.into_keys().filter(|it| it.0 == Container::Catalog).collect();
    assert_eq!(products.len(), 7);
    assert_eq!(counts(&stand.load(PRICELIST).await), [12, 0, 0, 7, 5]);
}

#[tokio::test]
async fn a_damaged_product_is_an_error_and_not_a_new_product() {
    let stand = Stand::new();
    stand.load(WITH_VARIANTS).await;
    let all = stand.all().await;
    let (key, product) = all.iter().find(|(key, _)| key.0 == Container::Catalog).unwrap();
    let mut body = product.body.clone();
    body["schema"] = "product/99".into();
    let write = offpeak::shared::ports::documents::Write::Replace {
        id: key.2.clone(),
        body,
        etag: product.etag.clone(),
        ttl: None,
    };
    stand.ports.documents.write(key.0, &key.1, vec![write]).await.unwrap();
    let stopped = stand.import(WITH_VARIANTS, &pounds()).await;
    assert!(matches!(stopped, Err(ImportError::Store(StoreError::Unreadable { .. }))));
}
