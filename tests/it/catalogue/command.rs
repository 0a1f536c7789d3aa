//! `handler import`, as a command over a store in memory; and the seed it carries.
use std::{collections::BTreeMap, ffi::OsString, fs};

use offpeak::shared::{
    documents::{catalogue_mark, settings},
    import_cli,
    operations::{
        list_products::{ListProducts, list_products},
        offers::Catalogue,
    },
};
use offpeak_domain::address::{Country, Destination};
use serde_json::{Value, json};

use super::stand::Stand;

const PRICELIST: &str = include_str!("../fixtures/pricelist.csv");

impl Stand {
    /// Exit code and output.
    async fn command(&self, args: &[&str]) -> (u8, String) {
        let mut out = Vec::new();
        let code = import_cli::run(&self.ports, args.iter().map(OsString::from), &mut out).await;
        (code, String::from_utf8(out).unwrap())
    }
}

#[tokio::test]
async fn a_file_is_loaded_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    fs::write(&file, PRICELIST).unwrap();
    let file = file.to_str().unwrap();
    let stand = Stand::new();

    let (code, told) = stand.command(&["--currency", "GBP", "--on-hand", "100000", file]).await;
    assert_eq!(code, 0);
    assert!(told.starts_with("line 6: 40003: price 3.325 is not a whole number of minor units of GBP\n"), "{told}");
    assert!(told.contains("\nline 9: HANDLING FEE: a SKU is "), "{told}");
    assert!(told.ends_with("\nread 12 rows: loaded 7 (7 created, 0 updated, 0 unchanged), refused 5\n"), "{told}");

    let (code, told) = stand.command(&[file, "--json", "--dry-run"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["unchanged"], &told["refused"], &told["dryRun"]), (0, &json!(7), &json!(5), &json!(true)));
    assert_eq!(
        told["refusals"][1],
        json!({
            "line": 9, "sku": "HANDLING FEE", "reason": "a SKU is 1 to 64 of the characters A-Z a-z 0-9 . _ -"
        })
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list");
    fs::write(&file, "{\"sku\":\"a\",\"title\":\"A\",\"price\":1}\n").unwrap();
    let file = file.to_str().unwrap();
    let stand = Stand::new();
    assert_eq!(stand.command(&[]).await.0, 2);
    assert_eq!(stand.command(&["no/such/file.csv", "--currency", "GBP"]).await.0, 1);
    assert_eq!(stand.command(&[file]).await.0, 1, "no currency");
    assert!(stand.all().await.is_empty());
    assert_eq!(stand.command(&[file, "--assume-currency", "EUR"]).await.0, 0);
    assert_eq!(stand.command(&[file, "--assume-currency", "GBP"]).await.0, 0, "the store has one");
    assert_eq!(stand.command(&[file, "--currency", "GBP"]).await.0, 1, "and it is another");
    assert_eq!(stand.command(&["--help"]).await.0, 0);
}

#[tokio::test]
async fn the_seed_is_a_shop_to_browse() {
    let stand = Stand::new();
    let (code, told) = stand.command(&["--seed"]).await;
    assert_eq!((code, told.lines().count()), (0, 1), "no row is refused: {told}");
    let before = stand.all().await;
    let (_, again) = stand.command(&["--seed"]).await;
    assert!(again.contains("0 created, 0 updated"), "{again}");
    assert_eq!(stand.all().await, before);
    assert!(catalogue_mark::is_set(stand.ports.documents.as_ref()).await.unwrap());

    let catalogue = Catalogue::new(stand.ports.clone());
    let mut asked = ListProducts { limit: Some("100".to_owned()), ..ListProducts::default() };
    let mut products = Vec::new();
    loop {
        let page = list_products(&stand.ports, &catalogue, &asked).await.unwrap();
        products.extend(page.items);
        match page.next {
            Some(next) => asked.after = Some(next),
            None => break,
        }
    }
    let mut categories: BTreeMap<&str, u32> = BTreeMap::new();
    for product in &products {
        *categories.entry(&product.category).or_default() += 1;
        assert!((40..=400).contains(&product.description.len()), "{}: {}", product.slug, product.description);
        assert!(product.variants.iter().all(|it| it.availability != "out_of_stock"), "{}", product.slug);
    }
    assert!(products.len() >= 120, "{}", products.len());
    assert_eq!(categories.len(), 8);
    assert!(categories.values().all(|it| *it >= 10), "{categories:?}");
    assert!(products.iter().filter(|it| it.variants.len() > 1).count() >= 25);
    assert!(products.iter().flat_map(|it| &it.variants).filter(|it| it.availability == "low_stock").count() >= 5);

    let store = settings::read_settings(stand.ports.documents.as_ref()).await.unwrap().unwrap().value;
    for country in ["GB", "FR", "NZ"] {
        let options = store.shipping_options(&Destination::country(Country::parse(country).unwrap()));
        assert!(options.iter().any(|it| it.method == "standard"), "{country}");
    }
}
