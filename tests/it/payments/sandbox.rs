//! The sandbox provider, in a dev host of its own.
use offpeak::shared::{
    adapters::{http_client::HttpClient, sandbox_payments::SandboxPayments},
    ports::payments::{PaymentName, PaymentState, Payments as _, RefundState},
};

use super::{Way, Ways, amounts, authorised, eur, part, payments_contract, request};
use crate::bus_contract::DevHost;

const fn way(method: &'static str) -> Way {
    Way { method, token: None }
}

fn sandbox(host: &DevHost) -> SandboxPayments {
    SandboxPayments::new(HttpClient::default(), &host.endpoint.parse().unwrap(), "secret").unwrap()
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract() {
    let host = DevHost::start();
    let ways = Ways {
        approve: way("sandbox_approve"),
        decline: way("sandbox_decline"),
        challenge: way("sandbox_challenge"),
        in_parts: true,
        replays_refunds: true,
    };
    let client = reqwest::Client::new();
    payments_contract(&sandbox(&host), &ways, &|payment, yes| {
        let PaymentState::ActionRequired { url } = payment.status.clone() else { panic!("{payment:?}") };
        let client = client.clone();
        Box::pin(async move {
            let body = if yes { "answer=approve" } else { "answer=decline" };
            client.post(url).body(body).send().await.unwrap();
        })
    })
    .await;
}

#[tokio::test]
async fn a_refund_that_the_bank_refuses_can_be_tried_again() {
    let host = DevHost::start();
    let payments = sandbox(&host);
    let (request, _) = authorised(&payments, request(1, &way("sandbox_refund_fails"), eur(1_000))).await;
    payments.capture(&request.name(), &part("capture", 1_000)).await.unwrap();
    for _ in 0..2 {
        let refused = payments.refund(&request.name(), &part("first", 400)).await.unwrap();
        assert!(matches!(refused.state, RefundState::Failed { .. }), "{refused:?}");
        assert_eq!(amounts(&refused.payment), [1_000, 1_000, 0, 0]);
    }
    let refunded = payments.refund(&request.name(), &part("second", 400)).await.unwrap();
    assert_eq!((amounts(&refunded.payment), refunded.state), ([1_000, 1_000, 400, 0], RefundState::Succeeded));
}

/// What was given up before anyone asked for it.
#[tokio::test]
async fn a_payment_that_comes_after_it_was_given_up_comes_to_nothing() {
    let host = DevHost::start();
    let payments = sandbox(&host);
    let request = request(1, &way("sandbox_approve"), eur(1_000));
    let name = PaymentName { reference: request.reference.clone(), provider_id: None };
    assert_eq!(payments.void(&name, "void").await.unwrap(), None);
    let (_, late) = authorised(&payments, request).await;
    assert_eq!((late.status, late.authorised.minor()), (PaymentState::Voided, 0));
}
