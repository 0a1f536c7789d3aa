//! The rooms of promotions and price lists over a socket, as `curl` would use them.
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use offpeak::{
    functions::ROOMS,
    shared::{
        app::App,
        host::{
            limits::Limits,
            server::{bind, serve},
            table::Table,
        },
        ports::identity::{Caller, Identity, IdentityError},
    },
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::till::{Till, percent_off, till, with};

/// A token is the list of its scopes.
struct Staff;

#[async_trait]
impl Identity for Staff {
    async fn caller(&self, token: &str) -> Result<Caller, IdentityError> {
        let scopes = token.split('+').map(str::to_owned).collect();
        Ok(Caller { subject: "ada".to_owned(), roles: Vec::new(), scopes })
    }
}

const READ: &str = "read_promotions";
const WRITE: &str = "read_promotions+write_promotions";

struct Server {
    url: String,
    client: Client,
    till: Till,
    _serving: JoinSet<()>,
}

struct Answer {
    status: u16,
    etag: String,
    retry_after: Option<String>,
    body: Value,
}

impl Server {
    async fn start() -> Server {
        let till = till(20, "10.00").await;
        let app = Arc::new(App::new(till.other_process(), Arc::new(Staff)));
        let listener = bind(0, Duration::ZERO).await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let table = Arc::new(Table::new(ROOMS, "api").unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            serve(listener, table, app, Limits::default()).await;
        });
        Server { url, client: Client::new(), till, _serving: serving }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let mut call = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        if let Some(body) = body {
            call = call.header("content-type", "application/json").body(body.to_string());
        }
        let answer = call.send().await.unwrap();
        let text = |name: &str| answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        let (status, etag, retry_after) = (answer.status().as_u16(), text("etag"), text("retry-after"));
        let body = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        Answer { status, etag: etag.unwrap_or_default(), retry_after, body }
    }

    async fn staff(
        &self,
        method: Method,
        path: &str,
        scopes: &str,
        also: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let token = format!("Bearer {scopes}");
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(also);
        self.call(method, &format!("/manage{path}"), &headers, body).await
    }

    /// Creates or replaces.
    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.staff(Method::PUT, path, WRITE, &[("if-match", "*")], Some(body)).await
    }
}

#[tokio::test]
async fn staff_write_promotions_and_see_what_they_wrote() {
    let server = Server::start().await;
    let form = percent_off(10, "TEN");
    let path = "/promotions/summer";
    assert_eq!(server.staff(Method::GET, path, READ, &[], None).await.status, 404);
    assert_eq!(server.staff(Method::PUT, path, READ, &[("if-match", "*")], Some(&form)).await.status, 403);
    assert_eq!(server.call(Method::GET, "/manage/promotions/summer", &[], None).await.status, 401);
    assert_eq!(server.staff(Method::PUT, path, WRITE, &[], Some(&form)).await.status, 428);
    let made = server.put(path, &form).await;
    assert_eq!(
        (made.status, made.body["id"].as_str(), made.body["updatedBy"].as_str()),
        (200, Some("summer"), Some("ada"))
    );
    let seen = server.staff(Method::GET, path, READ, &[], None).await;
    assert_eq!((seen.status, &seen.etag, &seen.body), (200, &made.etag, &made.body));
    let changed =
        server.staff(Method::PUT, path, WRITE, &[("if-match", &seen.etag)], Some(&percent_off(20, "TEN"))).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let stale = server.staff(Method::PUT, path, WRITE, &[("if-match", &seen.etag)], Some(&form)).await;
    assert_eq!((stale.status, stale.body["code"].as_str()), (412, Some("etag_mismatch")));
    for n in 0..3 {
        assert_eq!(server.put(&format!("/promotions/p{n}"), &percent_off(1, &format!("C{n}"))).await.status, 200);
    }
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.staff(Method::GET, &format!("/promotions?limit=2{after}"), READ, &[], None).await;
        assert_eq!(page.status, 200, "{}", page.body);
        ids.extend(page.body["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match page.body["nextAfter"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids, ["p0", "p1", "p2", "summer"]);
    assert_eq!(server.staff(Method::GET, "/promotions?after=zz", READ, &[], None).await.status, 422);
    assert_eq!(server.staff(Method::GET, "/promotions?limit=0", READ, &[], None).await.status, 400);
}

#[tokio::test]
async fn a_promotion_that_makes_no_sense_is_refused_by_the_member_at_fault() {
    let server = Server::start().await;
    let fixed = |amount: &str, currency: &str| json!({ "effect": { "order_fixed": { "amount": { "amount": amount, "currency": currency } } } });
    let invalid = [
        (json!({ "title": "" }), "title"),
        (json!({ "effect": { "order_percent": { "millionths": 1_000_001 } } }), "effect.order_percent.millionths"),
        (json!({ "effect": { "order_percent": { "millionths": 0 } } }), "effect"),
        (fixed("0", "GBP"), "effect"),
        (fixed("-5", "GBP"), "effect"),
        (fixed("5", "EUR"), "effect"),
        (fixed("5", "XXX"), "effect.order_fixed.amount.currency"),
        (json!({ "trigger": { "coded": { "codes": ["Ａ"] } } }), "trigger.coded.codes"),
        (
            json!({ "rules": ["first_order", { "minimum_units": { "units": 1, "goods": { "skus": ["a b"] } } }] }),
            "rules[1].minimum_units.goods.skus",
        ),
        (json!({ "uses": { "total": 0 } }), "uses"),
        (json!({ "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z" }), "until"),
        (json!({ "effect": { "gift": { "sku": "A", "units": 1000 } } }), "effect.gift.units"),
    ];
    for (members, field) in invalid {
        let answer = server.put("/promotions/bad", &with(percent_off(10, "TEN"), &members)).await;
        let at = answer.body["errors"][0]["field"].as_str();
        assert_eq!((answer.status, at), (422, Some(field)), "{members}: {}", answer.body);
    }
    for (members, code) in [
        (json!({ "colour": "red" }), "unknown_field"),
        (json!({ "effect": { "order_percent": { "millionths": 1, "colour": 1 } } }), "unknown_field"),
        (json!({ "effect": { "order_percent": { "millionths": 0.5 } } }), "invalid_body"),
        (json!({ "effect": { "order_percent": { "millionths": -1 } } }), "invalid_body"),
        (json!({ "effect": { "order_percent": { "millionths": 1e18 } } }), "invalid_body"),
        (json!({ "effect": "steal" }), "invalid_body"),
        (json!({ "combinesWith": ["everything"] }), "invalid_body"),
        (fixed("9223372036854775808", "GBP"), "invalid_body"),
        (fixed("1.5", "GBP"), "invalid_body"),
    ] {
        let answer = server.put("/promotions/bad", &with(percent_off(10, "TEN"), &members)).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some(code)), "{members}: {}", answer.body);
    }
    assert_eq!(server.put("/promotions/BAD", &percent_off(10, "TEN")).await.status, 422);
    assert_eq!(server.staff(Method::GET, "/promotions/bad", READ, &[], None).await.status, 404, "nothing was stored");
}

#[tokio::test]
async fn a_dry_run_explains_and_changes_nothing() {
    let server = Server::start().await;
    let (a, b) = (server.till.sku('A').to_string(), server.till.sku('B').to_string());
    server.put("/promotions/ten", &percent_off(10, "TEN")).await;
    let minimum = json!({ "trigger": "automatic", "rules": [{ "minimum_spend": { "amount": { "amount": "9900", "currency": "GBP" } } }] });
    server.put("/promotions/rich", &with(percent_off(50, "X"), &minimum)).await;
    let basket =
        json!({ "lines": [{ "sku": a, "quantity": 2 }, { "sku": b, "quantity": 1 }], "codes": ["ten", "nope"] });
    let tried = server.staff(Method::POST, "/promotions/ten/try", READ, &[], Some(&basket)).await;
    assert_eq!((tried.status, &tried.body["applied"]), (200, &json!(true)), "{}", tried.body);
    let discount = &tried.body["discounts"][0];
    let shares: Vec<&str> =
        discount["lines"].as_array().unwrap().iter().map(|it| it["amount"].as_str().unwrap()).collect();
    assert_eq!((discount["amount"]["amount"].as_str(), shares), (Some("300"), vec!["200", "100"]));
    let reasons: Vec<&str> =
        tried.body["skippedPromotions"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"below_minimum") && reasons.contains(&"unknown_code"), "{reasons:?}");
    // One that is not stored, at another time.
    let mut unstored = basket.clone();
    unstored["promotion"] = with(percent_off(20, "NOPE"), &json!({ "from": "2030-01-01T00:00:00Z" }));
    let early = server.staff(Method::POST, "/promotions/new/try", READ, &[], Some(&unstored)).await;
    assert_eq!((early.status, &early.body["applied"]), (200, &json!(false)));
    unstored["at"] = json!("2030-06-01T00:00:00Z");
    let in_time = server.staff(Method::POST, "/promotions/new/try", READ, &[], Some(&unstored)).await;
    assert_eq!((in_time.status, &in_time.body["applied"]), (200, &json!(true)), "{}", in_time.body);
    assert_eq!(server.staff(Method::POST, "/promotions/new/try", READ, &[], Some(&basket)).await.status, 404);
    assert_eq!(server.staff(Method::GET, "/promotions/new", READ, &[], None).await.status, 404);
    let bad = json!({ "lines": [{ "sku": a, "quantity": 0 }] });
    let bad = server.staff(Method::POST, "/promotions/ten/try", READ, &[], Some(&bad)).await;
    assert_eq!((bad.status, bad.body["errors"][0]["field"].as_str()), (422, Some("lines[0].quantity")));
}

#[tokio::test]
async fn codes_are_issued_and_put_on_carts() {
    let server = Server::start().await;
    server.put("/promotions/card", &with(percent_off(10, "X"), &json!({ "trigger": { "coded": {} } }))).await;
    let wanted = json!({ "batch": "spring", "count": 3, "prefix": "sp-" });
    let made = server.staff(Method::POST, "/promotions/card/codes", WRITE, &[], Some(&wanted)).await;
    assert_eq!((made.status, &made.body["made"]), (201, &json!(3)), "{}", made.body);
    let again = server.staff(Method::POST, "/promotions/card/codes", WRITE, &[], Some(&wanted)).await;
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(server.staff(Method::POST, "/promotions/card/codes", READ, &[], Some(&wanted)).await.status, 403);

    let cart = server.call(Method::POST, "/carts", &[], Some(&json!({}))).await.body;
    let token = cart["token"].as_str().unwrap();
    let head = [("x-cart-token", token)];
    let path = format!("/carts/{}", cart["id"].as_str().unwrap());
    let line = format!("{path}/lines/{}", server.till.sku('A'));
    server.call(Method::PUT, &line, &head, Some(&json!({ "quantity": 3 }))).await;
    let coupon = |code: &str| format!("{path}/coupons/{code}");
    let code = made.body["codes"][1].as_str().unwrap();
    let on = server.call(Method::PUT, &coupon(&code.to_lowercase()), &head, None).await;
    assert_eq!((on.status, &on.body["codes"]), (200, &json!([code])), "{}", on.body);
    assert_eq!(on.body["discounts"][0]["amount"]["amount"], "300");
    assert_eq!(
        (&on.body["lines"][0]["discount"]["amount"], &on.body["totals"]["total"]["amount"]),
        (&json!("300"), &json!("2700"))
    );
    let shown = server.call(Method::GET, &path, &head, None).await;
    let bad = server.call(Method::PUT, &coupon("guess"), &head, None).await;
    assert_eq!(
        (bad.status, bad.body["code"].as_str(), bad.body["reason"].as_str()),
        (422, Some("coupon_refused"), Some("unknown_code"))
    );
    assert_eq!(server.call(Method::GET, &path, &head, None).await.etag, shown.etag);
    assert_eq!(server.call(Method::PUT, &coupon("%D0%90"), &head, None).await.status, 422, "a Cyrillic A");
    assert_eq!(server.call(Method::PUT, &coupon("guess"), &[], None).await.status, 401);
    assert_eq!(server.call(Method::PUT, &coupon("guess"), &[("x-cart-token", "no")], None).await.status, 404);
    for n in 1..20 {
        assert_eq!(server.call(Method::PUT, &coupon(&format!("guess{n}")), &head, None).await.status, 422);
    }
    let stopped = server.call(Method::PUT, &coupon("guess"), &head, None).await;
    assert_eq!((stopped.status, stopped.body["code"].as_str()), (429, Some("too_many_attempts")));
    assert!(stopped.retry_after.is_some_and(|it| it.parse::<u32>().is_ok()));
    let off = server.call(Method::DELETE, &coupon(code), &head, None).await;
    assert_eq!((off.status, &off.body["codes"], &off.body["discounts"]), (200, &json!([]), &json!([])));
}

#[tokio::test]
async fn a_price_list_sets_the_price_and_says_so() {
    let server = Server::start().await;
    let sku = server.till.sku('A').to_string();
    let list = json!({
        "title": "Bulk", "currency": "GBP",
        "prices": [{ "sku": sku, "tiers": [{ "fromUnits": 5, "price": "900" }, { "fromUnits": 10, "price": "800" }] }],
    });
    let path = "/price-lists/bulk";
    assert_eq!(server.staff(Method::PUT, path, WRITE, &[], Some(&list)).await.status, 428);
    let made = server.put(path, &list).await;
    assert_eq!((made.status, made.body["id"].as_str()), (200, Some("bulk")), "{}", made.body);
    assert_eq!(server.staff(Method::GET, path, READ, &[], None).await.body, made.body);
    for (units, price) in [(4, "1000"), (5, "900"), (10, "800")] {
        let basket = server.till.cart(&[('A', units)]).await;
        let shown =
            server.call(Method::GET, &format!("/carts/{}", basket.id), &[("x-cart-token", &basket.token)], None).await;
        let line = &shown.body["lines"][0];
        assert_eq!((line["unitPrice"]["amount"].as_str(), shown.status), (Some(price), 200), "{}", shown.body);
        let source = if units < 5 { json!("catalogue") } else { json!("list") };
        assert_eq!(line["priceFrom"]["type"], source, "{line}");
    }
    let twice = json!([{ "sku": sku, "tiers": [{ "fromUnits": 1, "price": "1" }] }, { "sku": sku, "tiers": [] }]);
    for (members, field) in [
        (json!({ "prices": twice }), "prices[1].sku"),
        (json!({ "currency": "ABC" }), "currency"),
        (json!({ "prices": [{ "sku": sku, "tiers": [] }] }), "prices"),
        (json!({ "prices": [{ "sku": sku, "tiers": [{ "fromUnits": 1, "price": "-1" }] }] }), "prices"),
    ] {
        let answer = server.put(path, &with(list.clone(), &members)).await;
        let at = answer.body["errors"][0]["field"].as_str();
        assert_eq!((answer.status, at), (422, Some(field)), "{members}: {}", answer.body);
    }
}
