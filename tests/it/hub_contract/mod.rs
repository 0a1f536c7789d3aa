//! What the hub port promises, on the wire and against the dev host's hubs.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::{
        broker_access::{Access, TokenSource},
        event_hubs::EventHubs,
        http_client::HttpClient,
        memory::hub::MemoryHub,
        system::SystemClock,
    },
    ports::{
        chain,
        hub::{EVENTS_MAX, Hub, HubError, KEY_MAX_CHARS, SEND_MAX_BYTES},
        reach::Reach as _,
    },
};
use serde_json::{Value, json};

use crate::bus_contract::{
    DevHost,
    broker::{Answer, Broker},
};

/// So long that a busy machine is not taken for a slow broker.
const PATIENCE: Duration = Duration::from_secs(20);

fn hub(endpoint: &str, access: Access, patience: Duration) -> EventHubs {
    let endpoint = endpoint.parse().unwrap();
    EventHubs::new(HttpClient::default(), endpoint, access, Arc::new(SystemClock), patience).unwrap()
}

fn signed(endpoint: &str) -> EventHubs {
    hub(endpoint, Access::Policy { name: "send".into(), key: "secret".into() }, PATIENCE)
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|it| (*it).to_owned()).collect()
}

struct Token;

#[async_trait]
impl TokenSource for Token {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok("t0ken".to_owned())
    }
}

#[tokio::test]
async fn one_event_is_one_post_under_its_key() {
    let broker = Broker::start(Answer::Status(201)).await;
    signed(&broker.endpoint()).send("clicks", "s-1", &texts(&["{\"a\":\"ä\"}"])).await.unwrap();
    let heard = broker.heard().remove(0);
    assert_eq!(heard.line, "POST /clicks/messages HTTP/1.1");
    assert_eq!(heard.body, "{\"a\":\"ä\"}".as_bytes());
    assert_eq!(heard.header("brokerproperties"), Some(r#"{"PartitionKey":"s-1"}"#));
    let authorisation = heard.header("authorization").unwrap();
    assert!(authorisation.starts_with("SharedAccessSignature sr=http%3A%2F%2F127"), "{authorisation}");
    assert!(authorisation.ends_with("&skn=send") && !authorisation.contains("secret"), "{authorisation}");
}

#[tokio::test]
async fn many_events_are_one_batch_and_an_identity_bears_a_token() {
    let broker = Broker::start(Answer::Status(201)).await;
    let hub = hub(&broker.endpoint(), Access::Identity(Arc::new(Token)), PATIENCE);
    hub.send("clicks", "s-1", &texts(&["{}", "[1]"])).await.unwrap();
    let heard = broker.heard().remove(0);
    assert_eq!(heard.header("content-type"), Some("application/vnd.microsoft.servicebus.json"));
    let key = json!({"PartitionKey": "s-1"});
    let entries = json!([{"Body": "{}", "BrokerProperties": key}, {"Body": "[1]", "BrokerProperties": key}]);
    assert_eq!(serde_json::from_slice::<Value>(&heard.body).unwrap(), entries);
    assert_eq!(heard.headers("authorization"), ["Bearer t0ken"]);
}

#[tokio::test]
async fn what_is_not_answered_is_sent_once_more() {
    for first in [Answer::Close, Answer::Garbage, Answer::Status(500), Answer::Status(408), Answer::Status(200)] {
        let broker = Broker::answering(&[first, Answer::Status(201)]).await;
        signed(&broker.endpoint()).send("clicks", "s", &texts(&["{}"])).await.unwrap();
        assert_eq!(broker.heard().len(), 2, "{first:?}");
    }
    let broker = Broker::start(Answer::Status(500)).await;
    let error = signed(&broker.endpoint()).send("clicks", "s", &texts(&["{}"])).await.unwrap_err();
    assert!(matches!(error, HubError::Unavailable { .. }), "{error}");
    assert_eq!(broker.heard().len(), 2, "and no more than once");
}

#[tokio::test]
async fn a_refusal_says_what_to_look_at_and_is_not_repeated() {
    for (status, word) in [(401, "OFFPEAK_HUB_KEY"), (403, "role"), (404, "OFFPEAK_HUB_ENDPOINT"), (413, "tier")] {
        let broker = Broker::start(Answer::Status(status)).await;
        match signed(&broker.endpoint()).send("clicks", "s", &texts(&["{}"])).await.unwrap_err() {
            HubError::Refused(reason) => assert!(reason.contains(word) && !reason.contains("secret"), "{reason}"),
            other => panic!("{status}: {other}"),
        }
        assert_eq!(broker.heard().len(), 1);
    }
}

/// A check sends to a hub that is not there: a broker that lets the app in says just that.
#[tokio::test]
async fn a_check_tells_who_is_not_let_in_from_what_is_not_there() {
    for status in [404, 410] {
        let broker = Broker::start(Answer::Status(status)).await;
        signed(&broker.endpoint()).reach().await.unwrap();
        assert_eq!(broker.heard()[0].line, "POST /offpeak-check/messages HTTP/1.1");
    }
    for (answer, words) in [
        (Answer::Status(201), "offpeak-check is there"),
        (Answer::Status(401), "Azure Event Hubs Data Sender"),
        (Answer::Status(403), "Azure Event Hubs Data Sender"),
        (Answer::Busy, "too much to do"),
        (Answer::Status(200), "OFFPEAK_HUB_ENDPOINT"),
        (Answer::Garbage, "OFFPEAK_HUB_ENDPOINT"),
    ] {
        let broker = Broker::start(answer).await;
        let error = signed(&broker.endpoint()).reach().await.unwrap_err();
        assert!(chain(error.as_ref()).contains(words), "{answer:?}: {}", chain(error.as_ref()));
    }
}

#[tokio::test]
async fn a_broker_with_too_much_to_do_is_left_alone_for_as_long_as_it_says() {
    let broker = Broker::answering(&[Answer::Busy, Answer::Status(201)]).await;
    let hub = signed(&broker.endpoint());
    for _ in 0..3 {
        match hub.send("clicks", "s", &texts(&["{}"])).await.unwrap_err() {
            HubError::Unavailable { wait, .. } => assert!(wait <= Duration::from_secs(30), "{wait:?}"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(broker.heard().len(), 1);
}

#[tokio::test]
async fn a_silent_or_absent_broker_does_not_hold_the_caller() {
    let silent = Broker::start(Answer::Silence).await;
    let endless = Broker::start(Answer::EndlessHeaders).await;
    for endpoint in [silent.endpoint(), endless.endpoint(), "http://127.0.0.1:9".into()] {
        let since = Instant::now();
        let access = Access::Policy { name: "send".into(), key: "secret".into() };
        let error = hub(&endpoint, access, Duration::from_millis(300)).send("clicks", "s", &texts(&["{}"])).await;
        assert!(matches!(error, Err(HubError::Unavailable { .. })), "{error:?}");
        assert!(since.elapsed() < PATIENCE / 2, "{endpoint}: {:?}", since.elapsed());
    }
}

/// Every adapter refuses the same before anything is sent.
#[tokio::test]
async fn what_is_beyond_the_limits_is_refused_before_it_is_sent() {
    let broker = Broker::start(Answer::Status(201)).await;
    let adapters: [&dyn Hub; 2] = [&signed(&broker.endpoint()), &MemoryHub::default()];
    for adapter in adapters {
        let (long, many) = ("k".repeat(KEY_MAX_CHARS + 1), vec!["{}".to_owned(); EVENTS_MAX + 1]);
        for (hub, key, events) in [
            ("", "s", &texts(&["{}"])),
            ("a/b", "s", &texts(&["{}"])),
            ("clicks", "", &texts(&["{}"])),
            ("clicks", "ä", &texts(&["{}"])),
            ("clicks", long.as_str(), &texts(&["{}"])),
            ("clicks", "s", &texts(&[])),
            ("clicks", "s", &many),
            ("clicks", "s", &texts(&["x".repeat(SEND_MAX_BYTES + 1).as_str()])),
        ] {
            let error = adapter.send(hub, key, events).await.unwrap_err();
            assert!(matches!(error, HubError::Refused(_)), "{error}");
        }
    }
    assert!(broker.heard().is_empty());
}

#[tokio::test]
async fn the_dev_host_takes_what_event_hubs_would() {
    let host = DevHost::start();
    let hub = signed(&host.endpoint);
    hub.send("clicks", "s-1", &texts(&["{}"])).await.unwrap();
    hub.send("clicks", "s-1", &texts(&["{}", "{}"])).await.unwrap();
    assert_eq!(host.events("clicks").await, json!(3));
    let unknown = hub.send("nowhere", "s-1", &texts(&["{}"])).await.unwrap_err();
    assert!(matches!(unknown, HubError::Refused(_)), "{unknown}");
    drop(host);
    let gone = hub.send("clicks", "s-1", &texts(&["{}"])).await.unwrap_err();
    assert!(matches!(gone, HubError::Unavailable { .. }), "{gone}");
}
