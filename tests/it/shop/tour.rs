//! The tours in README and docs/TOUR.md, run as they stand: only the port is another.
use std::process::Command;

use super::{Options, Shop};
use crate::cosmos::emulator::Emulator;

const README: &str = include_str!("../../../README.md");
const TOUR: &str = include_str!("../../../docs/TOUR.md");

/// What a reader of README sees at each step, in this order.
const SEEN: &[&str] = &[
    "\"items\":[{\"id\":\"prd_",
    "\"surface\":\"next\"",
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

/// The same for the longer tour.
const SEEN_IN_A_DAY: &[&str] = &[
    "\"onHand\":100",
    "\"TEN\"",
    "\"id\":\"ten\"",
    "\"id\":\"gift\"",
    "GIFT-",
    "\"id\":\"bulk\"",
    "\"unitPrice\":{\"amount\":\"700\"",
    "\"capture\":\"at_fulfilment\"",
    "\"action\":{\"type\":\"redirect\"",
    "\"paymentStatus\":\"authorised\"",
    "\"fulfilmentStatus\":\"partial\"",
    "\"fulfilmentStatus\":\"returned\"",
    "\"number\":\"",
    "\"strategy\":\"sum\"",
    "\"strategy\":\"sum\"",
    "\"onHand\":60",
    "missing field",
    "\"ok\":true",
];

fn script(document: &'static str) -> &'static str {
    let block = document.split("```sh\n").nth(1).expect("there is a tour");
    block.split("```").next().expect("the tour ends")
}

/// Runs every line; none may be refused, and each step shows what it should.
async fn tour(options: &Options, document: &'static str, steps: &[&str]) {
    let shop = Shop::start(options);
    let script = script(document).replace("http://127.0.0.1:7071", &shop.url);
    let script = format!("set -eu\n{script}");
    let output = tokio::task::spawn_blocking(move || Command::new("bash").arg("-c").arg(script).output());
    let output = output.await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("\"type\":\"/problems/"), "a step was refused:\n{text}");
    let mut rest = text.as_str();
    for seen in steps {
        let at = rest.find(seen).unwrap_or_else(|| panic!("no {seen} in what follows:\n{rest}"));
        rest = &rest[at + seen.len()..];
    }
    shop.stop("INT");
}

#[tokio::test]
async fn every_line_of_the_tour_works_as_written() {
    tour(&Options::default(), README, SEEN).await;
}

#[tokio::test]
async fn every_line_of_a_day_in_the_shop_works_as_written() {
    tour(&Options::default(), TOUR, SEEN_IN_A_DAY).await;
}

#[tokio::test]
async fn every_line_of_both_tours_works_on_cosmos() {
    let emulator = Emulator::start(&["North Europe"]);
    tour(&Options { settings: emulator.settings(), ..Options::default() }, README, SEEN).await;
    let emulator = Emulator::start(&["North Europe"]);
    tour(&Options { settings: emulator.settings(), ..Options::default() }, TOUR, SEEN_IN_A_DAY).await;
}
