//! `GET /api/v1/products` and `/api/v1/products/{slug}`, over a socket.
use std::sync::Arc;

use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        operations::Shop,
    },
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stand::{Nowhere, Stand};

const LIST: &str = "sku,product,title,variantTitle,price,category,onHand,description\n\
    tee-s,tee,Linen tee,Small,24.00,Clothes,3,Cool.\n\
    tee-m,tee,,Medium,22.00,,0,\n\
    jug,,Enamel jug,,18.50,Kitchen,9,\n\
    cup,,enamel cup,,6.00,Kitchen,9,\n\
    pan,,Iron pan,,41.00,Kitchen,9,\n\
    hat,,Straw hat,,18.50,Clothes,9,\n";

/// The rooms on a socket; ends with the test.
struct Server {
    url: String,
    client: Client,
    stand: Stand,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start() -> Server {
        let stand = Stand::new();
        stand.load(LIST).await;
        let app = Arc::new(App::new(Shop::new(stand.ports.clone()), Arc::new(Nowhere)));
        let listener = bind(0, std::time::Duration::ZERO).await.unwrap();
        let url = format!("http://{}/api/v1/products", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Server { url, client: Client::new(), stand, _serving: serving }
    }

    async fn get(&self, rest: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{rest}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn slugs(&self, rest: &str) -> Vec<String> {
        let (status, body) = self.get(rest).await;
        assert_eq!(status, 200, "{rest}: {body}");
        body["items"].as_array().unwrap().iter().map(|it| it["slug"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn lists_are_sorted_and_filtered() {
    let server = Server::start().await;
    let by_title = ["enamel-cup", "enamel-jug", "iron-pan", "linen-tee", "straw-hat"];
    assert_eq!(server.slugs("").await, by_title);
    assert_eq!(server.slugs("?category=&q=&sort=&limit=&after=").await, by_title);
    assert_eq!(server.slugs("?sort=-title").await, by_title.iter().rev().copied().collect::<Vec<_>>());
    let by_price = server.slugs("?sort=price").await;
    assert_eq!((by_price[0].as_str(), by_price[4].as_str()), ("enamel-cup", "iron-pan"));
    assert_eq!(server.slugs("?sort=-price").await[1], "linen-tee", "by the lowest price of its variants");
    assert_eq!(server.slugs("?category=kitchen&sort=-price").await, ["iron-pan", "enamel-jug", "enamel-cup"]);
    assert_eq!(server.slugs("?category=Kitchen&limit=1").await, ["enamel-cup"], "by its title too");
    assert_eq!(server.slugs("?q=ENAMEL").await, ["enamel-cup", "enamel-jug"]);
    assert_eq!(server.slugs("?q=jug%20enam").await, ["enamel-jug"]);
    assert_eq!(server.slugs("?q=clothes").await, ["linen-tee", "straw-hat"]);
    assert_eq!(server.slugs("?q=%25").await, Vec::<String>::new(), "no wildcard");
    for none in ["?category=cellar", "?category=Not%20A%20Slug", "?category=%2F", "?q=nothing"] {
        assert_eq!(server.get(none).await, (200, json!({ "items": [], "nextAfter": null })), "{none}");
    }
}

#[tokio::test]
async fn pages_join_without_gap_or_repeat() {
    let server = Server::start().await;
    for sort in ["title", "-title", "price", "-price"] {
        let whole = server.slugs(&format!("?sort={sort}")).await;
        for limit in 1..=6 {
            let (mut joined, mut after) = (Vec::new(), String::new());
            loop {
                let (status, page) = server.get(&format!("?sort={sort}&limit={limit}&after={after}")).await;
                assert_eq!(status, 200, "{page}");
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit);
                joined.extend(items.iter().map(|it| it["slug"].as_str().unwrap().to_owned()));
                match page["nextAfter"].as_str() {
                    Some(next) => after = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(joined, whole, "{sort}, {limit} at a time");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_400() {
    let server = Server::start().await;
    let (_, page) = server.get("?limit=2").await;
    let after = page["nextAfter"].as_str().unwrap();
    let long = "x".repeat(101);
    for bad in [
        "?limit=0",
        "?limit=101",
        "?limit=-1",
        "?limit=2.5",
        "?limit=many",
        "?sort=name",
        "?page=2",
        "?sort=title&sort=price",
        "?after=nonsense",
        "?q=a+b+c+d+e+f+g+h+i",
        &format!("?q={long}"),
        &format!("?after={}", "A".repeat(5000)),
        &format!("?sort=price&after={after}"),
        &format!("?category=kitchen&after={after}"),
    ] {
        let (status, problem) = server.get(bad).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_parameter")), "{bad}: {problem}");
    }
}

#[tokio::test]
async fn a_product_has_its_whole_shape() {
    let server = Server::start().await;
    let want = json!({
        "id": "prd_7X23TY34XQB8DN1PVVH0R8KV6Z",
        "slug": "linen-tee",
        "title": "Linen tee",
        "description": "Cool.",
        "category": "clothes",
        "categoryTitle": "Clothes",
        "variants": [
            {
                "sku": "tee-s", "title": "Small", "price": { "amount": "2400", "currency": "GBP" },
                "availability": "low_stock"
            },
            {
                "sku": "tee-m", "title": "Medium", "price": { "amount": "2200", "currency": "GBP" },
                "availability": "out_of_stock"
            },
        ],
    });
    assert_eq!(server.get("/linen-tee").await, (200, want.clone()));
    let (_, list) = server.get("?q=linen").await;
    assert_eq!(list["items"], json!([want]), "a list shows the same");
    for absent in ["/no-such-thing", "/Not%20A%20Slug", "/tee-s"] {
        let (status, problem) = server.get(absent).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{absent}");
    }
}

#[tokio::test]
async fn a_caller_who_has_it_is_told_so() {
    let server = Server::start().await;
    let url = format!("{}/linen-tee", server.url);
    let first = server.client.get(&url).send().await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let reads = server.stand.store.reads();
    for (header, status) in [
        (etag.clone(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"other\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (etag.trim_matches('"').to_owned(), 200),
    ] {
        let answer = server.client.get(&url).header("if-none-match", &header).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{header}");
        assert_eq!(answer.headers()["etag"].to_str().unwrap(), etag);
        assert_eq!(answer.bytes().await.unwrap().is_empty(), status == 304);
    }
    assert_eq!(server.stand.store.reads(), reads, "a warm product costs no store operation");
}
