//! The local pages as a client sees them, without a socket.
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;

const ENTITIES: &str = r#"{
  "queues": [{"name": "mail", "duplicateDetectionWindow": "PT10M"}, {"name": "stock", "requiresSession": true}],
  "topics": [{"name": "orders", "subscriptions": [{"name": "billing"}]}],
  "hubs": [{"name": "clicks", "partitions": 2}]
}"#;

struct Site {
    _folder: tempfile::TempDir,
    local: Local,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entities = folder.path().join("entities.json");
        std::fs::write(&entities, ENTITIES).unwrap();
        let local =
            Local::open(folder.path(), &entities, "http://127.0.0.1:7071", Arc::new(SystemClock)).await.unwrap();
        Self { _folder: folder, local }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Served<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.local.handle(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Status and JSON; `null` where the body is empty or not JSON.
    async fn json(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, Value) {
        match self.ask(method, path, headers, body).await {
            Served::Reply(reply) => {
                let status = reply.status().as_u16();
                let bytes = reply.into_body().collect().await.unwrap().to_bytes();
                (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
            }
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> u16 {
        self.json("POST", path, headers, body).await.0
    }

    async fn pay(&self, reference: &str, method: &str, minor: &str) -> Served<Full<Bytes>> {
        let body = json!({"reference": reference, "checkoutId": "chk_1", "method": method,
            "amount": {"amount": minor, "currency": "EUR"}});
        self.ask("POST", "/dev/provider/payments", &[("idempotency-key", reference)], body.to_string()).await
    }
}

async fn said(served: Served<Full<Bytes>>) -> (u16, Value) {
    match served {
        Served::Reply(reply) => {
            let status = reply.status().as_u16();
            let bytes = reply.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&bytes).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_local_comes_back() {
    let site = Site::new().await;
    for path in
        ["/", "/api/v1/products", "/api/messages", "/admin/functions", "/mail", "/mail/messages/1", "/%ff/messages"]
    {
        let served = site.ask("POST", path, &[], "body").await;
        assert!(matches!(&served, Served::NotLocal(request) if request.uri().path() == path), "{path}: {served:?}");
    }
}

#[tokio::test]
async fn sends_are_judged_as_a_namespace_would() {
    let site = Site::new().await;
    let large = vec![b'x'; 256 * 1024 + 1];
    for (path, header, body, status) in [
        ("/mail/messages", "{}", b"hello".to_vec(), 201),
        ("/orders/messages?timeout=60", r#"{"MessageId":"o-1"}"#, b"hello".to_vec(), 201),
        ("/nope/messages", "{}", b"hello".to_vec(), 404),
        ("/mail/messages", "{", b"hello".to_vec(), 400),
        ("/mail/messages", r#"{"Colour":1}"#, b"hello".to_vec(), 400),
        ("/mail/messages", r#"{"TimeToLive":0}"#, b"hello".to_vec(), 400),
        ("/stock/messages", "{}", b"hello".to_vec(), 400),
        ("/stock/messages", r#"{"SessionId":"s"}"#, b"hello".to_vec(), 201),
        ("/mail/messages", "{}", large, 413),
    ] {
        let label = format!("{path} {header}");
        assert_eq!(site.send(path, &[("brokerproperties", header)], body).await, status, "{label}");
    }
    assert_eq!(site.json("GET", "/mail/messages", &[], "").await.0, 405);
    assert_eq!(site.send("/mail/messages", &[], "without properties").await, 201);
}

#[tokio::test]
async fn queues_show_what_was_sent_and_duplicates_do_not_count() {
    let site = Site::new().await;
    let later = r#"{"ScheduledEnqueueTimeUtc":"Sun, 22 Nov 2099 14:00:00 GMT"}"#;
    for header in [r#"{"MessageId":"m-1"}"#, r#"{"MessageId":"m-1"}"#, later] {
        assert_eq!(site.send("/mail/messages", &[("brokerproperties", header)], "x").await, 201);
    }
    site.send("/orders/messages", &[], "x").await;
    let (status, shown) = site.json("GET", "/dev/queues", &[], "").await;
    let row = |name: &str, kind: &str, active: i64, scheduled: i64| json!({"name": name, "kind": kind, "active": active, "deadLetters": 0, "scheduled": scheduled});
    assert_eq!(status, 200);
    assert_eq!(
        shown["items"],
        json!([
            row("mail", "queue", 1, 1),
            row("stock", "queue", 0, 0),
            row("orders", "topic", 0, 0),
            row("orders/billing", "subscription", 1, 0),
            row("clicks", "hub", 0, 0)
        ])
    );
    let (status, letters) = site.json("GET", "/dev/queues/orders/billing/dead-letters", &[], "").await;
    assert_eq!((status, &letters["items"]), (200, &json!([])));
    assert_eq!(site.json("GET", "/dev/queues/nope/dead-letters", &[], "").await.0, 404);
    assert_eq!(site.json("POST", "/dev/queues/mail/dead-letters/7/replay", &[], "").await.0, 404);
    assert_eq!(site.json("POST", "/dev/queues/mail/dead-letters/x/replay", &[], "").await.0, 400);
    assert_eq!(site.json("GET", "/dev/queues/mail/dead-letters/7/replay", &[], "").await.0, 405);
}

#[tokio::test]
async fn a_batch_of_messages_is_kept_whole_or_refused_whole() {
    let site = Site::new().await;
    let kind = [("content-type", "application/vnd.microsoft.servicebus.json")];
    let two = r#"[{"Body":"a","BrokerProperties":{"MessageId":"m-1"},"UserProperties":{"n":1}},{"Body":"b"}]"#;
    assert_eq!(site.send("/mail/messages", &kind, two).await, 201);
    let homeless = r#"[{"Body":"a","BrokerProperties":{"SessionId":"s"}},{"Body":"b"}]"#;
    assert_eq!(site.send("/stock/messages", &kind, homeless).await, 400);
    assert_eq!(site.send("/mail/messages", &kind, "[]").await, 400);
    let (_, shown) = site.json("GET", "/dev/queues", &[], "").await;
    assert_eq!((&shown["items"][0]["active"], &shown["items"][1]["active"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn events_are_sent_alone_or_in_batches() {
    let site = Site::new().await;
    let kind = [("content-type", "application/vnd.microsoft.servicebus.json")];
    let two = r#"[{"Body":"a","BrokerProperties":{"PartitionKey":"u1"},"UserProperties":{"n":1}},{"Body":"b"}]"#;
    assert_eq!(site.send("/clicks/messages", &kind, two).await, 201);
    assert_eq!(site.send("/clicks/messages", &[], "c").await, 201);
    for bad in ["{}", "[]", r#"[{"body":"a"}]"#, r#"[{"Body":"a","UserProperties":{"n":[1]}}]"#] {
        assert_eq!(site.send("/clicks/messages", &kind, bad).await, 400, "{bad}");
    }
    assert_eq!(site.send("/clicks/messages", &[], vec![b'x'; 1024 * 1024 + 1]).await, 413);
    let (_, shown) = site.json("GET", "/dev/queues", &[], "").await;
    assert_eq!(shown["items"][4]["active"], 3);
}

#[tokio::test]
async fn payments_follow_their_method() {
    let site = Site::new().await;
    let (status, paid) = said(site.pay("pay_1", "sandbox_approve", "1999").await).await;
    let mut expected = json!({"reference": "pay_1", "checkoutId": "chk_1", "currency": "EUR", "method": "sandbox_approve",
        "status": "authorised", "authorised": "1999", "captured": "0", "refunded": "0", "voided": "0"});
    let (_, listed) = site.json("GET", "/dev/payments", &[], "").await;
    assert_eq!(listed["items"], json!([expected]));
    let fact = &paid["facts"][0];
    assert_eq!(
        (&fact["id"], &fact["kind"], &fact["amount"]["amount"]),
        (&json!("authorised"), &json!("authorised"), &json!("1999"))
    );
    expected["facts"] = paid["facts"].clone();
    assert_eq!((status, &paid), (200, &expected));
    assert_eq!(said(site.pay("pay_1", "sandbox_approve", "1999").await).await, (200, expected));
    assert_eq!(said(site.pay("pay_1", "sandbox_approve", "2000").await).await.0, 422);
    let (status, declined) = said(site.pay("pay_2", "sandbox_decline", "5").await).await;
    assert_eq!((status, &declined["status"], declined["reason"].is_string()), (200, &json!("declined"), true));
    for (method, minor) in
        [("sandbox_cash", "5"), ("sandbox_approve", "0"), ("sandbox_approve", "-5"), ("sandbox_approve", "5.0")]
    {
        let (status, fault) = said(site.pay("pay_3", method, minor).await).await;
        assert_eq!((status, fault["error"].is_string()), (422, true), "{method} {minor}");
    }
    let part = |minor: &str| json!({"amount": {"amount": minor, "currency": "EUR"}}).to_string();
    let capture = "/dev/provider/payments/pay_1/capture";
    assert_eq!(site.json("POST", capture, &[], part("1999")).await.0, 400, "without a key");
    for _ in 0..2 {
        let (status, captured) = site.json("POST", capture, &[("idempotency-key", "k")], part("1500")).await;
        assert_eq!((status, &captured["captured"]), (200, &json!("1500")));
    }
    assert_eq!(site.json("POST", capture, &[("idempotency-key", "k")], part("1")).await.0, 422);
    assert_eq!(site.json("POST", capture, &[("idempotency-key", "l")], part("500")).await.0, 409);
    let refund = "/dev/provider/payments/pay_1/refund";
    let (status, refunded) = site.json("POST", refund, &[("idempotency-key", "r")], part("500")).await;
    assert_eq!(
        (status, &refunded["refunded"], &refunded["refund"]),
        (200, &json!("500"), &json!({"state": "succeeded"}))
    );
    assert_eq!(site.json("POST", refund, &[("idempotency-key", "s")], part("1001")).await.0, 409);
    let (status, voided) = site.json("POST", "/dev/provider/payments/pay_1/void", &[], "").await;
    assert_eq!((status, &voided["voided"], &voided["status"]), (200, &json!("499"), &json!("authorised")));
    let (status, disputed) =
        site.json("POST", "/dev/provider/payments/pay_1/bank", &[], r#"{"act":"dispute_opened"}"#).await;
    assert_eq!((status, &disputed["facts"][4]["kind"]), (200, &json!("dispute_opened")));
    assert_eq!(site.json("POST", "/dev/provider/payments/pay_8/void", &[], "").await, (204, Value::Null));
    assert_eq!(said(site.pay("pay_8", "sandbox_approve", "5").await).await.1["status"], "voided");
    assert_eq!(site.json("GET", "/dev/provider/payments/pay_9", &[], "").await.0, 404);
    let (_, all) = site.json("GET", "/dev/payments", &[], "").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_timeout_makes_the_payment_and_loses_the_answer() {
    let site = Site::new().await;
    assert!(matches!(site.pay("pay_1", "sandbox_timeout", "1999").await, Served::HangUp));
    let (status, found) = site.json("GET", "/dev/provider/payments/pay_1", &[], "").await;
    assert_eq!((status, &found["status"], &found["authorised"]), (200, &json!("authorised"), &json!("1999")));
    assert_eq!(said(site.pay("pay_1", "sandbox_timeout", "1999").await).await, (200, found));
}

#[tokio::test]
async fn a_challenge_asks_the_buyer_and_takes_one_answer() {
    let site = Site::new().await;
    let (_, asked) = said(site.pay("pay/1", "sandbox_challenge", "1999").await).await;
    let url = asked["url"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:7071").unwrap();
    let Served::Reply(page) = site.ask("GET", path, &[], "").await else { panic!("no page") };
    let html = page.into_body().collect().await.unwrap().to_bytes();
    let html = std::str::from_utf8(&html).unwrap();
    for part in ["19.99", "EUR", "chk_1", "Approve", "Decline", "Go back to the shop", "go back to the shop"] {
        let shown = html.contains(part);
        assert_eq!(shown, part != "Go back to the shop", "{part}");
    }
    assert!(!html.contains("<script"));
    let Served::Reply(odd) = site.ask("POST", path, &[], "answer=perhaps").await else { panic!("no page") };
    assert_eq!(odd.status().as_u16(), 400);
    let Served::Reply(done) = site.ask("POST", path, &[], "answer=approve").await else { panic!("no page") };
    assert_eq!(done.status().as_u16(), 200);
    let (_, found) = site.json("GET", "/dev/provider/payments/pay%2F1", &[], "").await;
    assert_eq!((&found["status"], &found["authorised"]), (&json!("authorised"), &json!("1999")));
}

#[tokio::test]
async fn pages_answer_their_methods_only() {
    let site = Site::new().await;
    for (method, path, status) in [
        ("GET", "/dev", 200),
        ("GET", "/dev/", 200),
        ("POST", "/dev", 405),
        ("GET", "/dev/nothing", 404),
        ("GET", "/dev/mail", 200),
        ("DELETE", "/dev/mail", 405),
        ("GET", "/dev/token", 405),
        ("POST", "/dev/identity/jwks", 405),
        ("GET", "/dev/identity/.well-known/openid-configuration", 200),
        ("GET", "/dev/provider/payments", 405),
        ("GET", "/dev/provider/payments/x/capture", 405),
    ] {
        assert_eq!(site.json(method, path, &[], "").await.0, status, "{method} {path}");
    }
    let (status, token) = site.json("POST", "/dev/token", &[], r#"{"sub":"ada","roles":["owner"]}"#).await;
    assert_eq!((status, &token["token_type"], &token["expires_in"]), (200, &json!("Bearer"), &json!(3600)));
    assert_eq!(site.json("POST", "/dev/token", &[], vec![b' '; 20_000]).await.0, 413);
}
