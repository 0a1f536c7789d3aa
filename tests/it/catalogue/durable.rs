//! The same catalogue on the store that keeps it: many products at once, listed in their order.
use std::{fmt::Write as _, sync::Arc};

use offpeak::shared::{
    adapters::sqlite::SqliteDocuments,
    operations::{
        list_products::{ListProducts, list_products},
        offers::Catalogue,
    },
    ports::clock::Clock,
};

use super::stand::Stand;
use crate::documents_contract::HandClock;

const PRODUCTS: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_loaded_kept_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let clock = HandClock::new() as Arc<dyn Clock>;
    let open = || Arc::new(SqliteDocuments::open(&file, Arc::clone(&clock)).unwrap());
    let mut list = String::from("sku,title,price,category\n");
    for number in 0..PRODUCTS {
        // Titles in another order than the file, five categories, prices that repeat.
        let (title, pence) = (number * 37 % PRODUCTS, number % 7 + 1);
        writeln!(list, "s{number},Thing {title:04},{pence}.50,Shelf {}", number % 5).unwrap();
    }
    let stand = Stand::on(open(), Arc::clone(&clock));
    assert_eq!(stand.load(&list).await.created, PRODUCTS as u64);
    let before = stand.all().await;
    drop(stand);

    let again = Stand::on(open(), Arc::clone(&clock));
    assert_eq!(again.all().await, before);
    assert_eq!(again.load(&list).await.unchanged, PRODUCTS as u64);
    let catalogue = Catalogue::new(again.ports.clone());
    let list = async |category: &str, sort: &str| {
        let mut asked = ListProducts {
            category: Some(category.to_owned()),
            sort: Some(sort.to_owned()),
            limit: Some("77".to_owned()),
            ..ListProducts::default()
        };
        let mut items = Vec::new();
        loop {
            let page = list_products(&again.ports, &catalogue, &asked).await.unwrap();
            items.extend(page.items.into_iter().map(|it| (it.title, it.variants[0].price.amount.clone())));
            match page.next {
                Some(next) => asked.after = Some(next),
                None => return items,
            }
        }
    };
    let by_title = list("", "title").await;
    assert_eq!(by_title.len(), PRODUCTS);
    assert!(by_title.is_sorted() && by_title[399].0 == "Thing 0399");
    let dearest = list("shelf-2", "-price").await;
    assert_eq!(dearest.len(), PRODUCTS / 5);
    assert!(dearest.iter().rev().map(|it| &it.1).is_sorted());
}
