//! `GET /dev/queues`, the dead letters, and the index of the dev host's pages.
//!
//! What must stay true: a page only shows; the one thing that changes something, a replay, is a POST.
use http::StatusCode;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{Reply, broker_fault, fault, json_reply, page};
use crate::brokers::message::DeadLetter;
use crate::brokers::{Brokers, DEAD_LETTERS_MAX, moment};

/// Everything with its depth: `{items:[{name,kind,active,deadLetters,scheduled}]}`.
pub async fn queues(brokers: &Brokers) -> Reply {
    match brokers.fill().await {
        Ok(fills) => {
            let items: Vec<Value> = fills
                .into_iter()
                .map(|fill| {
                    json!({"name": fill.name, "kind": fill.kind, "active": fill.depth.active,
                           "deadLetters": fill.depth.dead_letters, "scheduled": fill.depth.scheduled})
                })
                .collect();
            json_reply(StatusCode::OK, &json!({ "items": items }))
        }
        Err(error) => broker_fault(&error),
    }
}

/// One page of dead letters, oldest first: `{items:[…], nextAfter}`; `after` is a sequence number.
pub async fn dead_letters(brokers: &Brokers, entity: &str, query: Option<&str>) -> Reply {
    let after = match query.filter(|query| !query.is_empty()) {
        None => Some(0),
        Some(query) => query.strip_prefix("after=").and_then(|number| number.parse().ok()),
    };
    let Some(after) = after else {
        return fault(StatusCode::BAD_REQUEST, "the only parameter is `after`, a sequence number");
    };
    match brokers.dead_letters(entity, after, DEAD_LETTERS_MAX).await {
        Ok(letters) => {
            let full = letters.len() == DEAD_LETTERS_MAX;
            let next = letters.last().filter(|_| full).map(|letter| letter.sequence.to_string());
            let items: Vec<Value> = letters.iter().map(letter).collect();
            json_reply(StatusCode::OK, &json!({ "items": items, "nextAfter": next }))
        }
        Err(error) => broker_fault(&error),
    }
}

fn letter(letter: &DeadLetter) -> Value {
    let enqueued = moment(letter.enqueued_ms).format(&Rfc3339).unwrap_or_default();
    json!({
        "sequenceNumber": letter.sequence,
        "messageId": letter.message_id,
        "sessionId": letter.session,
        "subject": letter.facts.subject,
        "contentType": letter.facts.content_type,
        "properties": letter.facts.properties,
        "reason": letter.reason,
        "deliveryCount": letter.delivery_count,
        "enqueuedTime": enqueued,
        "body": super::hub_send::shown(&letter.body),
    })
}

/// Puts one dead letter back as a new message.
pub async fn replay(brokers: &Brokers, entity: &str, sequence: &str) -> Reply {
    let Ok(number) = sequence.parse::<i64>() else {
        return fault(StatusCode::BAD_REQUEST, format_args!("`{sequence}` is not a sequence number"));
    };
    match brokers.replay(entity, number).await {
        Ok(true) => json_reply(StatusCode::OK, &json!({ "replayed": 1 })),
        Ok(false) => fault(StatusCode::NOT_FOUND, format_args!("`{entity}` has no dead letter {number}")),
        Err(error) => broker_fault(&error),
    }
}

/// What there is to see, as one small page of HTML.
#[must_use]
pub fn index() -> Reply {
    const INDEX: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Offpeak dev host</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}dt{margin-top:1rem}code{background:#eee;color:#111;padding:0 .2em}</style>
</head>
<body>
<h1>Offpeak dev host</h1>
<p>These pages exist on this machine only; on Azure other services stand in their place.</p>
<dl>
<dt><a href="/dev/mail">/dev/mail</a></dt><dd>Mails delivered on this machine.</dd>
<dt><a href="/dev/payments">/dev/payments</a></dt><dd>The sandbox payment provider's ledger.</dd>
<dt><code>GET</code>, <code>POST /dev/provider/webhooks</code></dt><dd>How that provider tells the shop what happened: <code>{"copies":1,"delayMs":1000,"reversed":false,"paused":false}</code>.</dd>
<dt><code>POST /dev/provider/payments/{reference}/bank</code></dt><dd>What a buyer's bank does by itself: <code>{"act":"expire"}</code>, <code>dispute_opened</code>, <code>dispute_won</code>, <code>dispute_lost</code>.</dd>
<dt><a href="/dev/queues">/dev/queues</a></dt><dd>Depth, dead letters and scheduled messages of every queue, topic, subscription and hub.</dd>
<dt><code>GET /dev/queues/{name}/dead-letters</code></dt><dd>Messages that failed for the last time; <code>POST …/{sequenceNumber}/replay</code> sends one again.</dd>
<dt><code>POST /{queueOrTopic}/messages</code>, <code>POST /{hub}/messages</code></dt><dd>Send, as to a Service Bus or Event Hubs namespace.</dd>
<dt><code>POST /dev/token</code></dt><dd>A token for tests: <code>{"sub":"…","roles":["owner"],"scopes":["write_stock"]}</code>.</dd>
<dt><a href="/dev/identity/.well-known/openid-configuration">/dev/identity/.well-known/openid-configuration</a></dt><dd>The issuer of those tokens and its keys.</dd>
<dt><a href="/admin/functions">/admin/functions</a>, <a href="/admin/host/status">/admin/host/status</a></dt><dd>The functions and how the host is.</dd>
</dl>
</body>
</html>
"#;
    page(StatusCode::OK, "text/html; charset=utf-8", INDEX)
}
