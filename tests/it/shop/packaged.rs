//! The package, unpacked into an empty folder as a deployment does, sells goods on the dev host.
use super::{Options, Shop, buyer::Buyer};
use crate::package::{packed, unpacked};

#[tokio::test]
async fn an_unpacked_package_sells_goods() {
    let place = tempfile::tempdir().unwrap();
    let (app, output) = (place.path().join("app"), place.path().join("package"));
    let unpacking = {
        let app = app.clone();
        move || unpacked(&packed(&output), &app)
    };
    tokio::task::spawn_blocking(unpacking).await.unwrap();
    let shop = Shop::start(&Options { stage: Some(app), ..Options::default() });
    for probe in ["live", "ready"] {
        shop.client.get(&format!("/api/health/{probe}")).await.gave(200);
    }
    let products = shop.client.get("/api/v1/products?limit=1").await.gave(200);
    let buyer = Buyer::at_checkout(&shop.client, &[(products.at("/items/0/variants/0/sku"), 2)]).await;
    let total = buyer.total().await;
    buyer.complete("package-1", &total, "sandbox_approve").await.gave(200);
    assert_eq!(buyer.show(&buyer.order_path()).await.gave(200).at("/lifecycle"), "placed");
    shop.stop("INT");
}
