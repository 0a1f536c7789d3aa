//! What the process keeps in mind: bounded in age, read once for many callers, and only what exists.
use std::time::Duration;

use offpeak::shared::{
    documents::products,
    operations::{
        offers::Catalogue,
        stock::{self, Expected},
    },
};
use offpeak_domain::{
    catalogue::{
        Product, Status,
        id::{ProductId, SourceKey},
    },
    sku::Sku,
};

use super::stand::Stand;

const LIST: &str = "sku,product,title,variantTitle,price,category\n\
    tee-s,tee,Linen tee,Small,24.00,Clothes\n\
    tee-m,tee,,Medium,25.00,\n\
    jug,,Enamel jug,,18.50,Kitchen\n";

fn skus(codes: &[&str]) -> Vec<Sku> {
    codes.iter().map(|it| Sku::parse(it).unwrap()).collect()
}

#[tokio::test]
async fn an_offer_says_all_that_a_line_needs() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let catalogue = Catalogue::new(stand.ports.clone());
    let offers = catalogue.offers(&skus(&["jug", "nothing", "tee-m"])).await.unwrap();
    assert_eq!(offers.len(), 3);
    assert!(offers[1].is_none());
    let tee = offers[2].as_ref().unwrap();
    assert_eq!(
        (tee.title.as_str(), tee.variant_title.as_str(), tee.slug.as_str()),
        ("Linen tee", "Medium", "linen-tee")
    );
    assert_eq!((tee.price.to_string().as_str(), tee.tax_class.as_str()), ("25.00 GBP", "standard"));
    assert_eq!(tee.product_id, ProductId::derived(&SourceKey::parse("tee").unwrap()).to_string());
    assert_eq!(catalogue.offers_latest(&skus(&["jug", "nothing", "tee-m"])).await.unwrap(), offers);
}

#[tokio::test]
async fn a_warm_process_asks_the_store_nothing() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let catalogue = Catalogue::new(stand.ports.clone());
    let wanted = skus(&["jug", "tee-s"]);
    catalogue.offers(&wanted).await.unwrap();
    catalogue.product("enamel-jug").await.unwrap();
    let before = stand.store.reads();
    for _ in 0..100 {
        catalogue.clone().offers(&wanted).await.unwrap();
        catalogue.product("enamel-jug").await.unwrap();
    }
    assert_eq!(stand.store.reads(), before);
    catalogue.offers_latest(&wanted).await.unwrap();
    assert_eq!(stand.store.reads(), before + 2, "the product of each SKU; whose it is does not change");
}

#[tokio::test]
async fn many_who_miss_at_once_cost_one_read() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let catalogue = Catalogue::new(stand.ports.clone());
    let before = stand.store.reads();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let catalogue = catalogue.clone();
        callers.spawn(async move { catalogue.product("linen-tee").await.unwrap().unwrap().json.clone() });
    }
    let pages = callers.join_all().await;
    assert!(pages.iter().all(|it| *it == pages[0]));
    assert_eq!(stand.store.reads(), before + 4, "a lookup, a product and two stock levels");
}

#[tokio::test]
async fn what_is_kept_grows_old() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let lasting = Catalogue::keeping(stand.ports.clone(), Duration::from_secs(3600));
    let fleeting = Catalogue::keeping(stand.ports.clone(), Duration::ZERO);
    let jug = skus(&["jug"]);
    for catalogue in [&lasting, &fleeting] {
        catalogue.offers(&jug).await.unwrap();
        catalogue.product("enamel-jug").await.unwrap();
        catalogue.availability(&jug).await.unwrap();
    }
    stand.load(&LIST.replace("18.50", "17.00")).await;
    stock::set_on_hand(&stand.ports, &jug[0], 0, Expected::Any, "test").await.unwrap();

    let price = async |catalogue: &Catalogue| catalogue.offers(&jug).await.unwrap()[0].clone().unwrap().price.minor();
    assert_eq!((price(&lasting).await, price(&fleeting).await), (1850, 1700));
    let latest = lasting.offers_latest(&jug).await.unwrap()[0].clone().unwrap();
    assert_eq!(latest.price.minor(), 1700);
    let stock = async |catalogue: &Catalogue| catalogue.availability(&jug).await.unwrap()[0].name();
    assert_eq!((stock(&lasting).await, stock(&fleeting).await), ("in_stock", "out_of_stock"));
    let page = async |catalogue: &Catalogue| catalogue.product("enamel-jug").await.unwrap().unwrap();
    assert_ne!(page(&lasting).await.etag, page(&fleeting).await.etag);
    assert!(page(&fleeting).await.json.windows(12).any(|it| it == b"out_of_stock"));
}

#[tokio::test]
async fn what_is_not_published_is_not_for_sale() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let documents = stand.ports.documents.as_ref();
    let seen = products::load(documents, ProductId::derived(&SourceKey::parse("jug").unwrap())).await.unwrap().unwrap();
    let mut facts = seen.product.facts().clone();
    facts.status = Status::Archived;
    let archived = Product::new(facts).unwrap();
    products::replace(documents, &seen, &archived, stand.ports.clock.now()).await.unwrap();

    let catalogue = Catalogue::new(stand.ports.clone());
    assert_eq!(catalogue.offers(&skus(&["jug"])).await.unwrap(), [None]);
    assert!(catalogue.product("enamel-jug").await.unwrap().is_none());
    // An import neither publishes it again nor shows it.
    let report = stand.load(LIST).await;
    assert_eq!((report.updated, report.unchanged), (1, 2), "its cards were taken away");
    assert_eq!(stand.load(LIST).await.unchanged, 3);
}

#[tokio::test]
async fn a_lost_store_is_an_error_for_everyone_and_kept_by_no_one() {
    let stand = Stand::new();
    stand.load(LIST).await;
    let catalogue = Catalogue::new(stand.ports.clone());
    for _ in 0..3 {
        assert_eq!(catalogue.offers(&skus(&["made-up"])).await.unwrap(), [None]);
        assert!(catalogue.product("made-up").await.unwrap().is_none());
        assert!(catalogue.product("NOT A SLUG").await.unwrap().is_none());
    }
    stand.load(&format!("{LIST}made-up,,Made up,,1.00,\n")).await;
    assert!(catalogue.offers(&skus(&["made-up"])).await.unwrap()[0].is_some(), "an absence is not kept");
    assert!(catalogue.product("made-up").await.unwrap().is_some());
}
