//! `cargo xtask run` as a command: what it starts it ends, what dies it starts again, what it is given
//! it keeps.
use std::{
    net::{Ipv4Addr, TcpListener},
    process::Output,
};

use serde_json::json;

use super::{Goods, Options, Shop, processes, run, signal, wait_for};

fn empty() -> Options {
    Options { goods: Goods::None, ..Options::default() }
}

fn ended(mut command: std::process::Command) -> Output {
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_shop_that_is_asked_to_end_leaves_nothing_behind() {
    for by in ["INT", "TERM"] {
        let shop = Shop::start(&empty());
        shop.client.get("/api/health/live").await.gave(200);
        assert!(!shop.handlers().is_empty());
        let port = shop.port();
        assert!(shop.stop(by).success(), "{by}");
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }
}

#[tokio::test]
async fn a_command_that_is_killed_takes_everything_with_it() {
    let shop = Shop::start(&Options { flex: Some(2), ..empty() });
    let command = i32::try_from(shop.command.id()).unwrap();
    assert!(shop.handlers().len() >= 2, "{:?}", shop.handlers());
    signal(command, "KILL");
    wait_for("the end of all", || processes::of(shop.data.path()).is_empty().then_some(()));
}

#[tokio::test]
async fn a_second_run_finds_what_the_first_one_knew() {
    let shop = Shop::start(&Options::default());
    let cart = shop.client.post("/api/v1/carts", &json!({})).await.gave(201);
    let products = shop.client.get("/api/v1/products").await.gave(200);
    let data = shop.data();
    assert!(shop.stop("INT").success());

    let shop = Shop::open(data, &Options::default());
    let path = format!("/api/v1/carts/{}", cart.at("/id"));
    let again = shop.client.call(http::Method::GET, &path).header("x-cart-token", cart.at("/token")).send().await;
    assert_eq!(again.gave(200).at("/id"), cart.at("/id"));
    assert_eq!(shop.client.get("/api/v1/products").await.gave(200).body, products.body);
}

#[tokio::test]
async fn goods_from_a_file_are_for_sale() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("goods.csv");
    std::fs::write(&file, "StockCode,Description,price\n85123A,LANTERN OF TIN,2.55\n").unwrap();
    let shop = Shop::start(&Options { goods: Goods::File(file), ..Options::default() });
    let products = shop.client.get("/api/v1/products").await.gave(200);
    assert_eq!(products.at("/items/0/variants/0/sku"), "85123A");
    assert_eq!(products.at("/items/0/variants/0/price/amount"), "255");
    assert_eq!(products.body["items"].as_array().map(Vec::len), Some(1), "{}", products.text);

    let cart = shop.client.post("/api/v1/carts", &json!({})).await.gave(201);
    let line = format!("/api/v1/carts/{}/lines/85123A", cart.at("/id"));
    // Without its token a cart is nobody's business.
    shop.client.put(&line, &json!({"quantity": 1})).await.refused(401, "unauthenticated");
    let call = shop.client.call(http::Method::PUT, &line).header("x-cart-token", cart.at("/token"));
    call.json(&json!({"quantity": 2})).send().await.gave(200);
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_started() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = tempfile::tempdir().unwrap();
    let arguments = vec!["--port".to_owned(), port.clone()];
    let output = ended(run(data.path(), &Options { arguments, ..empty() }));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains(&port) && text(&output).contains("--port"), "{}", text(&output));
}

#[test]
fn a_folder_in_use_is_refused() {
    let shop = Shop::start(&empty());
    let output = ended(run(shop.data.path(), &empty()));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("another run"), "{}", text(&output));
}

#[tokio::test]
async fn a_dev_host_that_is_killed_comes_back_on_the_same_port() {
    let shop = Shop::start(&empty());
    for _ in 0..2 {
        let (killed, orphans) = (shop.kill_devhost(), shop.handlers());
        let back = wait_for("another dev host", || {
            shop.processes("devhost").first().map(|it| it.pid).filter(|it| *it != killed)
        });
        assert_ne!(back, killed);
        serves_again(&shop).await;
        assert!(!shop.handlers().iter().any(|it| orphans.contains(it)), "a handler outlived its host");
    }
    let ready = shop.log().iter().filter(|it| it.starts_with("ready ")).count();
    assert_eq!(ready, 1, "{:#?}", shop.log());
}

#[tokio::test]
async fn a_host_that_gives_up_after_the_third_crash_is_started_again() {
    let shop = Shop::start(&empty());
    let host = shop.devhost();
    for _ in 0..3 {
        let killed = shop.kill_handlers();
        wait_for("another handler", || shop.handlers().first().copied().filter(|it| !killed.contains(it)));
    }
    wait_for("another dev host", || shop.processes("devhost").first().map(|it| it.pid).filter(|it| *it != host));
    serves_again(&shop).await;
}

/// Callers see refused connections or 503 meanwhile, never a wrong answer.
async fn serves_again(shop: &Shop) {
    let until = std::time::Instant::now() + super::PATIENCE;
    loop {
        let answer = shop.client.call(http::Method::GET, "/api/health/live").attempt().await;
        match answer {
            Ok(answer) if answer.status == 200 => return,
            Ok(answer) => assert!(matches!(answer.status, 500 | 502 | 503), "{answer:?}"),
            Err(_) => {}
        }
        assert!(std::time::Instant::now() < until, "it never served again");
        tokio::time::sleep(super::LOOK).await;
    }
}
