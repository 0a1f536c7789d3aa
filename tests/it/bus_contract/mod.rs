//! What the bus port promises, on the wire: the adapter speaks to a broker on loopback that notes every byte
//! and answers as the test says.
pub(crate) mod broker;
mod devhost;

pub(crate) use devhost::DevHost;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::{
        broker_access::{Access, TokenSource},
        http_client::HttpClient,
        service_bus::ServiceBus,
    },
    ports::{
        bus::{Bus, BusError, MESSAGE_MAX_BYTES, Message},
        chain,
        reach::Reach as _,
    },
};
use serde_json::{Value, json};
use time::macros::datetime;

use self::broker::{Answer, Broker, Heard};

/// So long that a busy machine is not taken for a slow broker.
const PATIENCE: Duration = Duration::from_secs(20);

fn bus(endpoint: &str, access: Access) -> ServiceBus {
    patient_bus(endpoint, access, PATIENCE)
}

fn patient_bus(endpoint: &str, access: Access, patience: Duration) -> ServiceBus {
    ServiceBus::new(HttpClient::default(), endpoint, access, patience).unwrap()
}

fn policy() -> Access {
    Access::Policy { name: "send".into(), key: "secret".into() }
}

fn message() -> Message {
    Message {
        destination: "mail".into(),
        id: "evt_1".into(),
        session: None,
        subject: "order.placed".into(),
        scheduled: None,
        body: r#"{"text":"naïve \u0000 🛒"}"#.into(),
    }
}

/// Sends one message to a broker that takes it, and answers what the broker heard.
async fn heard(message: &Message, access: Access) -> Heard {
    let broker = Broker::start(Answer::Status(201)).await;
    bus(&broker.endpoint(), access).send(message).await.unwrap();
    let mut heard = broker.heard();
    assert_eq!(heard.len(), 1);
    heard.remove(0)
}

fn properties(heard: &Heard) -> Value {
    serde_json::from_str(heard.header("brokerproperties").unwrap()).unwrap()
}

#[tokio::test]
async fn a_message_is_one_post_with_its_properties() {
    let sent = message();
    let heard = heard(&sent, policy()).await;
    assert_eq!(heard.line, "POST /mail/messages HTTP/1.1");
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.body, sent.body.as_bytes(), "the body goes out byte for byte");
    assert_eq!(properties(&heard), json!({"MessageId": "evt_1", "Label": "order.placed"}));
}

#[tokio::test]
async fn session_and_time_go_along() {
    let moment = datetime!(2026-11-22 14:31:07.25 UTC);
    let sent = Message { session: Some("crt_é".into()), scheduled: Some(moment), ..message() };
    let heard = heard(&sent, policy()).await;
    assert!(heard.header("brokerproperties").unwrap().is_ascii());
    let want = json!({
        "MessageId": "evt_1", "SessionId": "crt_é", "Label": "order.placed",
        "ScheduledEnqueueTimeUtc": "Sun, 22 Nov 2026 14:31:08 GMT",
    });
    assert_eq!(properties(&heard), want);
}

#[tokio::test]
async fn a_policy_signs_and_an_identity_bears_a_token() {
    let signed = heard(&message(), policy()).await;
    let authorisation = signed.header("authorization").unwrap();
    assert!(authorisation.starts_with("SharedAccessSignature sr=https%3A%2F%2F127"), "{authorisation}");
    assert!(authorisation.contains("&skn=send") && !authorisation.contains("secret"), "{authorisation}");
    let borne = heard(&message(), Access::Identity(Arc::new(Fixed(Some("t0ken"))))).await;
    assert_eq!(borne.headers("authorization"), ["Bearer t0ken"]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let broker = Broker::start(Answer::Status(201)).await;
    let bus = bus(&broker.endpoint(), Access::Identity(Arc::new(Fixed(None))));
    assert!(matches!(bus.send(&message()).await, Err(BusError::Unavailable(_))));
    assert!(broker.heard().is_empty());
}

struct Fixed(Option<&'static str>);

#[async_trait]
impl TokenSource for Fixed {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        self.0.map(str::to_owned).ok_or_else(|| "no identity here".into())
    }
}

#[tokio::test]
async fn what_the_broker_answers_is_a_refusal_or_a_delay() {
    for status in [400, 401, 403, 404, 410, 413] {
        let error = outcome(Answer::Status(status)).await.unwrap_err();
        assert!(matches!(error, BusError::Refused(_)), "{status}: {error}");
    }
    for status in [200, 204, 302, 408, 429, 500, 502, 503, 599] {
        let error = outcome(Answer::Status(status)).await.unwrap_err();
        assert!(matches!(error, BusError::Unavailable(_)), "{status}: {error}");
    }
    for answer in [Answer::Close, Answer::Garbage] {
        let error = outcome(answer).await.unwrap_err();
        assert!(matches!(error, BusError::Unavailable(_)), "{answer:?}: {error}");
    }
}

/// A check sends to a queue that is not there: a broker that lets the app in says just that.
#[tokio::test]
async fn a_check_tells_who_is_not_let_in_from_what_is_not_there() {
    for status in [404, 410] {
        let broker = Broker::start(Answer::Status(status)).await;
        bus(&broker.endpoint(), policy()).reach().await.unwrap();
        assert_eq!(broker.heard()[0].line, "POST /offpeak-check/messages HTTP/1.1");
    }
    for (answer, words) in [
        (Answer::Status(201), "offpeak-check is there"),
        (Answer::Status(401), "Azure Service Bus Data Sender"),
        (Answer::Status(403), "OFFPEAK_BUS_KEY"),
        (Answer::Status(503), "busy"),
        (Answer::Status(400), "OFFPEAK_BUS_ENDPOINT"),
        (Answer::Status(200), "OFFPEAK_BUS_ENDPOINT"),
        (Answer::Garbage, "OFFPEAK_BUS_ENDPOINT"),
    ] {
        let broker = Broker::start(answer).await;
        let error = bus(&broker.endpoint(), policy()).reach().await.unwrap_err();
        assert!(chain(error.as_ref()).contains(words), "{answer:?}: {}", chain(error.as_ref()));
    }
    let nobody = bus("http://127.0.0.1:9", Access::Identity(Arc::new(Fixed(None))));
    assert!(chain(nobody.reach().await.unwrap_err().as_ref()).contains("no identity here"));
}

async fn outcome(answer: Answer) -> Result<(), BusError> {
    let broker = Broker::start(answer).await;
    let outcome = bus(&broker.endpoint(), policy()).send(&message()).await;
    assert_eq!(broker.heard().len(), 1, "one send is one request, whatever the answer");
    outcome
}

#[tokio::test]
async fn a_silent_or_absent_broker_does_not_hold_the_caller() {
    let silent = Broker::start(Answer::Silence).await;
    let endless = Broker::start(Answer::EndlessHeaders).await;
    for endpoint in [silent.endpoint(), endless.endpoint(), "http://127.0.0.1:9".into()] {
        let since = Instant::now();
        let hasty = patient_bus(&endpoint, policy(), Duration::from_millis(300));
        let error = hasty.send(&message()).await.unwrap_err();
        assert!(matches!(error, BusError::Unavailable(_)), "{error}");
        assert!(since.elapsed() < PATIENCE / 2, "{endpoint}: {:?}", since.elapsed());
    }
}

#[tokio::test]
async fn what_can_never_be_sent_is_not_tried() {
    let broker = Broker::start(Answer::Status(201)).await;
    let bus = bus(&broker.endpoint(), policy());
    let too_large = Message { body: "x".repeat(MESSAGE_MAX_BYTES), ..message() };
    let mut bad = vec![too_large];
    for destination in ["", "a/b", "../mail", "mail?x=1", "mäil"] {
        bad.push(Message { destination: destination.into(), ..message() });
    }
    for message in bad {
        let error = bus.send(&message).await.unwrap_err();
        assert!(matches!(error, BusError::Refused(_)), "{error}");
    }
    assert!(broker.heard().is_empty());
    let large = Message { body: "x".repeat(MESSAGE_MAX_BYTES - 1_024), ..message() };
    bus.send(&large).await.unwrap();
    assert_eq!(broker.heard()[0].body, large.body.as_bytes());
}
