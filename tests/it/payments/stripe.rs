//! Stripe's adapter: against a running `localstripe`, and against answers as Stripe's reference shows them for what
//! localstripe does not do (replay by key, amounts of a partial capture, refunds under way, events of refunds).
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use offpeak::shared::{
    adapters::{http_client::HttpClient, stripe::Stripe},
    ports::payments::{
        CLIENT_SECRET_ACTION, Notice, PaymentError, PaymentName, PaymentState, Payments as _, RefundState, WebhookError,
    },
};
use offpeak_domain::payment::FactKind;
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;

use super::{
    Way, Ways, amounts, authorised, eur, part, payments_contract, request,
    stub::{Sent, Stub},
};
use crate::given;

pub(crate) const KEY: &str = "sk_test_12345";
pub(crate) const SECRET: &str = "whsec_test";

fn adapter(url: &str) -> Stripe {
    let secrets = vec!["whsec_newer".to_owned(), SECRET.to_owned()];
    Stripe::new(HttpClient::default(), &url.parse().unwrap(), KEY, secrets).unwrap()
}

/// `localstripe` on loopback, ended with the test.
pub(crate) struct LocalStripe {
    child: Child,
    pub(crate) url: String,
}

impl LocalStripe {
    pub(crate) fn start() -> LocalStripe {
        let mut command = Command::new(given::path(given::PYTHON));
        command.args(["-c", include_str!("localstripe.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let port = BufReader::new(child.stdout.take().unwrap()).lines().next().expect("localstripe has started");
        LocalStripe { child, url: format!("http://127.0.0.1:{}/", port.unwrap()) }
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let body = serde_urlencoded::to_string(form).unwrap();
        let request = reqwest::Client::new().post(format!("{}{path}", self.url)).bearer_auth(KEY).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null)
    }

    /// What a browser makes of a card's number.
    pub(crate) async fn card(&self, number: &str) -> Way {
        let form = [("card[exp_month]", "12"), ("card[exp_year]", "2030"), ("card[cvc]", "123")];
        let form = [&[("type", "card"), ("card[number]", number)], &form[..]].concat();
        let made = self.post("v1/payment_methods", &form).await;
        Way { method: "card", token: made["id"].as_str().map(str::to_owned) }
    }

    async fn ways(&self) -> Ways {
        Ways {
            approve: self.card("4242424242424242").await,
            decline: self.card("4000000000000341").await,
            challenge: self.card("4000002500003155").await,
            in_parts: false,
            replays_refunds: false,
        }
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait().map(drop)).unwrap();
    }
}

#[tokio::test]
async fn stripe_keeps_the_contract() {
    let server = LocalStripe::start();
    let ways = server.ways().await;
    payments_contract(&adapter(&server.url), &ways, &|payment, yes| {
        let PaymentState::ActionRequired { url } = payment.status.clone() else { panic!("{payment:?}") };
        let server = &server;
        Box::pin(async move {
            let secret = url.strip_prefix(CLIENT_SECRET_ACTION).expect("a secret for the buyer's page");
            let (id, _) = secret.split_once("_secret_").unwrap();
            let form = [("client_secret", secret), ("success", if yes { "true" } else { "false" })];
            server.post(&format!("v1/payment_intents/{id}/_authenticate"), &form).await;
        })
    })
    .await;
}

#[tokio::test]
async fn a_signed_webhook_of_stripes_tells_what_the_answer_told() {
    let server = LocalStripe::start();
    let stripe = adapter(&server.url);
    let shop = Stub::start(|_| Some((200, json!({})))).await;
    server.post("_config/webhooks/w1", &[("url", &shop.url), ("secret", SECRET)]).await;
    let (request, _) = authorised(&stripe, request(1, &server.card("4242424242424242").await, eur(1_999))).await;
    let captured = stripe.capture(&request.name(), &part("capture", 1_999)).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while shop.sent().is_empty() && std::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = shop.sent().into_iter().next().expect("localstripe told it");
    let (headers, now) = signed_at(told.header("stripe-signature"));
    let notice = stripe.webhook(&headers, &told.body, now).await.unwrap();
    assert_eq!((notice.reference, notice.provider_id), (Some(request.reference), request.provider_id));
    assert_eq!(notice.facts, captured.facts);
    let forged = [&told.body[..], b" "].concat();
    assert!(matches!(stripe.webhook(&headers, &forged, now).await, Err(WebhookError::Forged)));
    let late = now + time::Duration::seconds(301);
    assert!(matches!(stripe.webhook(&headers, &told.body, late).await, Err(WebhookError::TooOld { .. })));
    assert!(matches!(stripe.webhook(&HeaderMap::new(), &told.body, now).await, Err(WebhookError::Unsigned)));
}

/// The header as it came, and the moment it names.
fn signed_at(signature: &str) -> (HeaderMap, OffsetDateTime) {
    let moment = signature.split(',').find_map(|it| it.strip_prefix("t=")).unwrap().parse().unwrap();
    let headers = HeaderMap::from_iter([("stripe-signature".parse().unwrap(), signature.parse().unwrap())]);
    (headers, OffsetDateTime::from_unix_timestamp(moment).unwrap())
}

/// What the adapter makes of an event that Stripe has signed.
async fn told(stripe: &Stripe, kind: &str, object: Value) -> Result<Notice, WebhookError> {
    let body = json!({ "id": "evt_1", "object": "event", "type": kind, "data": { "object": object } }).to_string();
    let mut tag = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    tag.update(format!("1800000000.{body}").as_bytes());
    let (headers, now) = signed_at(&format!("t=1800000000,v1={:x}", tag.finalize().into_bytes()));
    stripe.webhook(&headers, body.as_bytes(), now).await
}

const REFERENCE: &str = "pay_01JZ0000000000000000000000_1";

/// As in docs.stripe.com/api/payment_intents/object, less what the adapter does not read.
fn intent(status: &str, more: &[(&str, Value)]) -> Value {
    let mut intent = json!({
        "id": "pi_1", "object": "payment_intent", "amount": 1_000, "amount_capturable": 0, "amount_received": 0,
        "currency": "eur", "status": status, "capture_method": "manual", "created": 1_800_000_000,
        "client_secret": "pi_1_secret_2", "next_action": null, "last_payment_error": null, "latest_charge": "ch_1",
        "metadata": { "reference": REFERENCE, "checkoutId": "chk_01JZ0000000000000000000000" },
    });
    for (name, value) in more {
        intent[*name] = value.clone();
    }
    intent
}

fn refund(id: &str, status: &str, key: Option<&str>) -> Value {
    let metadata = key.map_or(json!({}), |key| json!({ "key": key, "reference": REFERENCE }));
    json!({
        "id": id, "object": "refund", "amount": 300, "currency": "eur", "status": status, "metadata": metadata,
        "created": 1_800_000_001, "payment_intent": "pi_1", "charge": "ch_1",
    })
}

fn name() -> PaymentName {
    PaymentName { reference: REFERENCE.to_owned(), provider_id: Some("pi_1".to_owned()) }
}

fn fault(kind: &str, code: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "No." } })
}

#[tokio::test]
async fn what_changes_something_carries_a_key_and_what_was_priced() {
    let stub = Stub::start(|sent: &Sent| {
        let unconfirmed = intent("requires_confirmation", &[("latest_charge", Value::Null)]);
        let action = json!({ "type": "redirect_to_url", "redirect_to_url": { "url": "https://bank.example/ask" } });
        Some(match sent.line.as_str() {
            "POST /v1/payment_intents" => (200, unconfirmed),
            "POST /v1/payment_intents/pi_1/confirm" => (200, intent("requires_action", &[("next_action", action)])),
            _ => (500, json!({})),
        })
    })
    .await;
    let way = Way { method: "card", token: Some("pm_1".to_owned()) };
    let mut wanted = request(1, &way, eur(1_000));
    wanted.reference = REFERENCE.to_owned();
    wanted.return_url = Some("https://shop.example/back?a=1&b=2".to_owned());
    let (_, asked) = authorised(&adapter(&stub.url), wanted.clone()).await;
    assert_eq!(asked.status, PaymentState::ActionRequired { url: "https://bank.example/ask".to_owned() });
    let [made, confirmed] = &stub.sent()[..] else { panic!("{:?}", stub.sent()) };
    assert_eq!(
        (made.header("idempotency-key"), confirmed.header("idempotency-key")),
        (REFERENCE, &*format!("{REFERENCE}:confirm"))
    );
    assert_eq!(made.header("authorization"), format!("Bearer {KEY}"));
    assert_eq!(made.header("stripe-version"), "2024-06-20");
    let form = format!(
        "amount=1000&currency=eur&capture_method=manual&payment_method_types%5B%5D=card&payment_method=pm_1\
         &metadata%5Breference%5D={REFERENCE}&metadata%5BcheckoutId%5D={}",
        wanted.checkout_id
    );
    assert_eq!(made.text(), form);
    assert!(
        confirmed.text().contains("return_url=https%3A%2F%2Fshop.example%2Fback%3Fa%3D1%26b%3D2"),
        "{}",
        confirmed.text()
    );
    // What would leave the address, and what cannot be paid in Stripe's steps, never reaches it.
    for (token, amount) in [(None, eur(1)), (Some("pm_1/../x"), eur(1)), (Some("pm_1"), dinars(1_234))] {
        let way = Way { method: "card", token: token.map(str::to_owned) };
        let refused = adapter(&stub.url).prepare(&request(2, &way, amount)).await;
        assert!(matches!(refused, Err(PaymentError::Refused(_))), "{refused:?}");
    }
    assert_eq!(stub.sent().len(), 2);
}

fn dinars(minor: i64) -> offpeak_domain::money::Money {
    offpeak_domain::money::Money::new(minor, offpeak_domain::money::Currency::parse("BHD").unwrap())
}

/// What is left of a partial capture is given back by Stripe, and shows so.
#[tokio::test]
async fn a_part_is_captured_and_refunds_may_be_under_way() {
    let stub = Stub::start(|sent: &Sent| {
        let taken = intent("succeeded", &[("amount_received", json!(600))]);
        Some(match sent.line.split('?').next().unwrap() {
            "POST /v1/payment_intents/pi_1/capture" | "GET /v1/payment_intents/pi_1" => (200, taken),
            "GET /v1/refunds" => {
                let all = [
                    refund("re_1", "pending", Some("r1")),
                    refund("re_2", "failed", Some("r2")),
                    refund("re_3", "succeeded", None),
                ];
                (200, json!({ "object": "list", "data": all }))
            }
            "POST /v1/refunds" if sent.text().contains("r2") => (200, refund("re_2", "failed", Some("r2"))),
            "POST /v1/refunds" => (200, refund("re_1", "pending", Some("r1"))),
            _ => (500, json!({})),
        })
    })
    .await;
    let stripe = adapter(&stub.url);
    assert_eq!(amounts(&stripe.capture(&name(), &part("c", 600)).await.unwrap()), [1_000, 600, 0, 400]);
    let found = stripe.find(&name()).await.unwrap().unwrap();
    assert_eq!(amounts(&found), [1_000, 600, 600, 400], "one is under way, one was made elsewhere, one failed");
    let pending = stripe.refund(&name(), &part("r1", 300)).await.unwrap();
    assert_eq!((pending.state, pending.payment), (RefundState::Pending, found));
    let failed = stripe.refund(&name(), &part("r2", 300)).await.unwrap();
    assert!(matches!(failed.state, RefundState::Failed { .. }));
    let keys: Vec<_> = stub
        .sent()
        .iter()
        .filter(|it| it.line == "POST /v1/refunds")
        .map(|it| it.header("idempotency-key").to_owned())
        .collect();
    assert_eq!(keys, ["r1", "r2"]);
}

#[tokio::test]
async fn faults_are_told_apart() {
    for (status, body, refused) in [
        (400, fault("idempotency_error", "idempotency_key_in_use"), true),
        (401, fault("invalid_request_error", "api_key"), false),
        (409, fault("idempotency_error", "idempotency_key_in_use"), false),
        (429, fault("invalid_request_error", "rate_limit"), false),
        (500, fault("api_error", ""), false),
        (503, json!("no JSON object"), false),
        (200, json!({}), false),
    ] {
        let label = format!("{status} {body}");
        let stub = Stub::start(move |_| Some((status, body.clone()))).await;
        let way = Way { method: "card", token: Some("pm_1".to_owned()) };
        let mut wanted = request(1, &way, eur(1_000));
        wanted.provider_id = Some("pi_1".to_owned());
        let err = adapter(&stub.url).authorise(&wanted).await.unwrap_err();
        assert_eq!(matches!(err, PaymentError::Refused(_)), refused, "{label}: {err}");
        assert!(!format!("{err:?}").contains(KEY), "{err:?}");
    }
    let silent = Stub::start(|_| None).await;
    assert!(matches!(adapter(&silent.url).find(&name()).await, Err(PaymentError::Unavailable(_))));
    let none = Stub::start(|_| Some((404, fault("invalid_request_error", "resource_missing")))).await;
    assert_eq!(adapter(&none.url).find(&name()).await.unwrap(), None);
    let no =
        json!({ "error": { "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds" } });
    let stub = Stub::start(move |_| Some((402, no.clone()))).await;
    let mut wanted = request(1, &Way { method: "card", token: None }, eur(1_000));
    wanted.provider_id = Some("pi_1".to_owned());
    let declined = adapter(&stub.url).authorise(&wanted).await.unwrap();
    assert_eq!(declined.status, PaymentState::Declined { reason: "insufficient_funds".to_owned() });
}

#[tokio::test]
async fn events_tell_facts_by_the_ids_that_answers_have() {
    let stub = Stub::start(|sent: &Sent| {
        let known = sent.line.starts_with("GET /v1/payment_intents/pi_1");
        Some(if known {
            (200, intent("succeeded", &[]))
        } else {
            (404, fault("invalid_request_error", "resource_missing"))
        })
    })
    .await;
    let stripe = adapter(&stub.url);
    let kinds =
        |notice: &Notice| notice.facts.iter().map(|it| (it.kind, it.id.clone(), it.amount.minor())).collect::<Vec<_>>();
    for (kind, object, wanted) in events() {
        let notice = told(&stripe, kind, object).await.unwrap();
        assert_eq!(
            (notice.reference.as_deref(), notice.provider_id.as_deref()),
            (Some(REFERENCE), Some("pi_1")),
            "{kind}"
        );
        assert_eq!(kinds(&notice), wanted, "{kind}");
    }
    assert!(matches!(told(&stripe, "refund.created", json!({})).await, Err(WebhookError::Unreadable(_))));
}

/// What Stripe's adapter reads of an event: kind, id and amount of each fact.
type Read = Vec<(FactKind, String, i64)>;

fn events() -> Vec<(&'static str, Value, Read)> {
    let fact = |kind, id: &str, minor| (kind, id.to_owned(), minor);
    let authorised = fact(FactKind::Authorised, "authorised", 1_000);
    let error = json!({ "type": "card_error", "code": "card_declined" });
    let dispute = |status: &str| json!({ "id": "dp_1", "object": "dispute", "amount": 600, "currency": "eur", "status": status, "created": 1_800_000_002, "payment_intent": "pi_1" });
    vec![
        ("payment_intent.amount_capturable_updated", intent("requires_capture", &[]), vec![authorised.clone()]),
        (
            "payment_intent.succeeded",
            intent("succeeded", &[("amount_received", json!(1_000))]),
            vec![authorised.clone(), fact(FactKind::Captured, "captured", 1_000)],
        ),
        (
            "payment_intent.payment_failed",
            intent("requires_payment_method", &[("last_payment_error", error)]),
            vec![fact(FactKind::AuthoriseFailed, "declined", 0)],
        ),
        // Whether anything was held is asked by whoever looks.
        ("payment_intent.canceled", intent("canceled", &[]), vec![]),
        (
            "payment_intent.canceled",
            intent("canceled", &[("latest_charge", Value::Null)]),
            vec![fact(FactKind::Voided, "voided", 0)],
        ),
        (
            "charge.refunded",
            json!({ "id": "ch_1", "payment_intent": "pi_1", "metadata": { "reference": REFERENCE } }),
            vec![],
        ),
        ("refund.created", refund("re_1", "pending", Some("r1")), vec![fact(FactKind::Refunded, "refund:r1", 300)]),
        (
            "refund.failed",
            refund("re_1", "failed", Some("r1")),
            vec![fact(FactKind::Refunded, "refund:r1", 300), fact(FactKind::RefundFailed, "refund:r1:failed", 300)],
        ),
        (
            "charge.refund.updated",
            refund("re_9", "succeeded", None),
            vec![fact(FactKind::Refunded, "refund:re_9", 300)],
        ),
        (
            "charge.dispute.created",
            dispute("needs_response"),
            vec![fact(FactKind::DisputeOpened, "dispute:dp_1:opened", 600)],
        ),
        ("charge.dispute.created", dispute("warning_needs_response"), vec![]),
        (
            "charge.dispute.closed",
            dispute("won"),
            vec![
                fact(FactKind::DisputeOpened, "dispute:dp_1:opened", 600),
                fact(FactKind::DisputeWon, "dispute:dp_1:won", 600),
            ],
        ),
    ]
}

#[tokio::test]
async fn events_of_others_are_nobodys_business_here() {
    let stub = Stub::start(|_| Some((404, fault("invalid_request_error", "resource_missing")))).await;
    let stripe = adapter(&stub.url);
    let foreign = [
        ("payment_intent.succeeded", intent("succeeded", &[("metadata", json!({}))])),
        (
            "charge.dispute.created",
            json!({ "id": "dp_2", "amount": 1, "currency": "eur", "status": "lost", "created": 1, "payment_intent": "pi_2" }),
        ),
        ("customer.created", json!({ "id": "cus_1" })),
    ];
    for (kind, object) in foreign {
        assert_eq!(told(&stripe, kind, object).await.unwrap().reference, None, "{kind}");
    }
}
