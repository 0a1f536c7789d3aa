//! The tour in README, run as it stands: only the port is another.
use std::process::Command;

use super::{Options, Shop};

const README: &str = include_str!("../../../README.md");

/// What a reader sees at each step, in this order.
const SEEN: &[&str] = &[
    "\"items\":[{\"id\":\"prd_",
    "\"quantity\":2",
    "\"shippingOptions\":[{\"method\":\"standard\"",
    "\"lifecycle\":\"placed\",\"paymentStatus\":\"captured\"",
    "idempotent-replayed: true",
    "\"lifecycle\":\"placed\"",
    "\"fulfilmentStatus\":\"unfulfilled\"",
    "\"reference\":\"pay_",
    "\"to\":\"ada@example.com\"",
    "\"onHand\":40",
    "\"allocated\":2",
];

fn script() -> &'static str {
    let block = README.split("```sh\n").nth(1).expect("README has a tour");
    block.split("```").next().expect("the tour ends")
}

#[tokio::test]
async fn every_line_of_the_tour_works_as_written() {
    let shop = Shop::start(&Options::default());
    let script = script().replace("http://127.0.0.1:7071", &shop.url);
    let script = format!("set -eu\n{script}");
    let output = tokio::task::spawn_blocking(move || Command::new("bash").arg("-c").arg(script).output());
    let output = output.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("\"code\":\""), "a step was refused:\n{text}");
    let mut rest = text.as_str();
    for seen in SEEN {
        let at = rest.find(seen).unwrap_or_else(|| panic!("no {seen} in what follows:\n{rest}"));
        rest = &rest[at + seen.len()..];
    }
    shop.stop("INT");
}
