//! What the payments port promises of every provider: the sandbox in a real dev host, and Stripe's adapter against a
//! running `localstripe`. What localstripe does not have is asked of the sandbox, and of answers as Stripe documents
//! them ([`stripe`]).
mod sandbox;
pub(crate) mod stripe;
pub(crate) mod stub;

use offpeak::shared::ports::payments::{
    Authorise, Movement, Payment, PaymentError, PaymentName, PaymentState, Payments, RefundState,
};
use offpeak_domain::{
    ids::CartId,
    money::{Currency, Money},
    payment::{FactKind, Ledger, PaymentFact},
};
use ulid::Ulid;

/// How a provider is asked for each outcome.
pub(crate) struct Way {
    pub(crate) method: &'static str,
    pub(crate) token: Option<String>,
}

struct Ways {
    approve: Way,
    decline: Way,
    challenge: Way,
    /// Whether one payment may be captured in several parts.
    in_parts: bool,
    /// Whether a repeated refund is the same refund.
    replays_refunds: bool,
}

/// The buyer at the bank's page.
type Bank<'a> = &'a dyn Fn(&Payment, bool) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::parse("EUR").unwrap())
}

fn request(number: u64, way: &Way, amount: Money) -> Authorise {
    let checkout = CartId::new(Ulid::from_parts(1_800_000_000_000 + number, u128::from(number))).checkout();
    Authorise {
        reference: checkout.attempt(1),
        checkout_id: checkout.to_string(),
        amount,
        method: way.method.to_owned(),
        token: way.token.clone(),
        provider_id: None,
        return_url: None,
    }
}

/// As a completion does it: named first, then asked for.
async fn authorised(payments: &dyn Payments, request: Authorise) -> (Authorise, Payment) {
    let provider_id = payments.prepare(&request).await.unwrap();
    let request = Authorise { provider_id, ..request };
    let payment = payments.authorise(&request).await.unwrap();
    (request, payment)
}

fn part(key: &str, minor: i64) -> Movement {
    Movement { key: key.to_owned(), amount: eur(minor) }
}

fn is_refused<T: std::fmt::Debug>(done: Result<T, PaymentError>) {
    assert!(matches!(done, Err(PaymentError::Refused(_))), "{done:?}");
}

/// Authorised, captured, refunded, voided.
fn amounts(payment: &Payment) -> [i64; 4] {
    [payment.authorised, payment.captured, payment.refunded, payment.voided].map(Money::minor)
}

async fn found(payments: &dyn Payments, name: &PaymentName) -> Payment {
    let payment = payments.find(name).await.unwrap().unwrap();
    let ledger = Ledger::fold(payment.facts.iter().cloned());
    assert_eq!(ledger.anomalies(payment.authorised.currency()), []);
    payment
}

/// Asks everything of one adapter.
async fn payments_contract(payments: &dyn Payments, ways: &Ways, bank: Bank<'_>) {
    assert!(payments.accepts(ways.approve.method) && !payments.accepts("cash"));
    money_is_taken_and_given_back(payments, ways).await;
    money_is_given_up(payments, ways).await;
    a_bank_says_no(payments, ways).await;
    a_buyer_is_asked(payments, ways, bank).await;
    let nobody = PaymentName { reference: request(90, &ways.approve, eur(1)).reference, provider_id: None };
    assert_eq!(payments.find(&nobody).await.unwrap(), None);
    assert_eq!(payments.void(&nobody, "void").await.unwrap(), None);
    is_refused(payments.capture(&nobody, &part("capture", 1)).await);
    is_refused(payments.refund(&nobody, &part("refund", 1)).await);
}

async fn money_is_taken_and_given_back(payments: &dyn Payments, ways: &Ways) {
    let (request, payment) = authorised(payments, request(1, &ways.approve, eur(1_999))).await;
    let name = request.name();
    assert_eq!((&payment.status, amounts(&payment)), (&PaymentState::Authorised, [1_999, 0, 0, 0]));
    let again = payments.authorise(&request).await.unwrap();
    assert_eq!((again.facts, again.provider_id), (payment.facts, payment.provider_id));

    is_refused(payments.refund(&name, &part("early", 1)).await);
    is_refused(payments.capture(&name, &part("much", 2_000)).await);
    for _ in 0..2 {
        let captured = payments.capture(&name, &part("capture", 1_999)).await.unwrap();
        assert_eq!(amounts(&captured), [1_999, 1_999, 0, 0]);
    }
    is_refused(payments.capture(&name, &part("more", 1)).await);

    for _ in 0..if ways.replays_refunds { 2 } else { 1 } {
        let refunded = payments.refund(&name, &part("first", 500)).await.unwrap();
        assert_eq!((amounts(&refunded.payment), refunded.state), ([1_999, 1_999, 500, 0], RefundState::Succeeded));
    }
    is_refused(payments.refund(&name, &part("most", 1_500)).await);
    let rest = payments.refund(&name, &part("second", 1_499)).await.unwrap();
    assert_eq!(amounts(&rest.payment), [1_999, 1_999, 1_999, 0]);
    is_refused(payments.refund(&name, &part("third", 1)).await);
    let payment = found(payments, &name).await;
    assert_eq!(payment, rest.payment);
    let id = |fact: &PaymentFact| (fact.kind == FactKind::Refunded).then(|| fact.id.clone());
    let mut refunds: Vec<_> = payment.facts.iter().filter_map(id).collect();
    refunds.sort();
    assert_eq!(refunds, ["refund:first", "refund:second"], "a fact is named after its key");
    // Nothing is left to void.
    assert_eq!(amounts(&payments.void(&name, "void").await.unwrap().unwrap()), [1_999, 1_999, 1_999, 0]);

    let yen = Money::new(80, Currency::parse("JPY").unwrap());
    let (_, payment) = authorised(payments, self::request(2, &ways.approve, yen)).await;
    assert_eq!(payment.authorised, yen, "80 yen are 80");
    if ways.in_parts {
        let (request, _) = authorised(payments, self::request(3, &ways.approve, eur(1_000))).await;
        let name = request.name();
        payments.capture(&name, &part("a", 300)).await.unwrap();
        is_refused(payments.capture(&name, &part("a", 301)).await);
        assert_eq!(amounts(&payments.capture(&name, &part("b", 300)).await.unwrap()), [1_000, 600, 0, 0]);
        is_refused(payments.capture(&name, &part("c", 401)).await);
        assert_eq!(amounts(&payments.void(&name, "void").await.unwrap().unwrap()), [1_000, 600, 0, 400]);
        is_refused(payments.capture(&name, &part("d", 1)).await);
        found(payments, &name).await;
    }
}

async fn money_is_given_up(payments: &dyn Payments, ways: &Ways) {
    let (request, _) = authorised(payments, request(10, &ways.approve, eur(700))).await;
    let name = request.name();
    for _ in 0..2 {
        let voided = payments.void(&name, "void").await.unwrap().unwrap();
        assert_eq!((&voided.status, amounts(&voided)), (&PaymentState::Voided, [700, 0, 0, 700]));
    }
    is_refused(payments.capture(&name, &part("capture", 700)).await);
    // The request was still on its way, and arrives after all.
    let late = payments.authorise(&request).await.unwrap();
    assert_eq!((late.status, late.captured.minor()), (PaymentState::Voided, 0));
    assert_eq!(found(payments, &name).await.status, PaymentState::Voided);
}

async fn a_bank_says_no(payments: &dyn Payments, ways: &Ways) {
    let (request, payment) = authorised(payments, request(20, &ways.decline, eur(700))).await;
    let PaymentState::Declined { reason } = payment.status else { panic!("{:?}", payment.status) };
    assert!(!reason.is_empty());
    let payment = found(payments, &request.name()).await;
    assert!(matches!(payment.status, PaymentState::Declined { .. }), "{payment:?}");
    assert_eq!(
        (amounts(&payment), payment.facts.iter().filter(|it| it.kind == FactKind::AuthoriseFailed).count()),
        ([0; 4], 1)
    );
    is_refused(payments.capture(&request.name(), &part("capture", 700)).await);
    let voided = payments.void(&request.name(), "void").await.unwrap().unwrap();
    assert_eq!(amounts(&voided), [0; 4]);
}

async fn a_buyer_is_asked(payments: &dyn Payments, ways: &Ways, bank: Bank<'_>) {
    for (number, yes) in [(30, true), (31, false)] {
        let (request, asked) = authorised(payments, request(number, &ways.challenge, eur(700))).await;
        let PaymentState::ActionRequired { url } = &asked.status else { panic!("{:?}", asked.status) };
        assert!(!url.is_empty());
        assert_eq!(found(payments, &request.name()).await.status, asked.status);
        assert!(payments.capture(&request.name(), &part("capture", 700)).await.is_err());
        bank(&asked, yes).await;
        let answered = found(payments, &request.name()).await;
        assert_eq!(matches!(answered.status, PaymentState::Authorised), yes, "{answered:?}");
        assert_eq!(matches!(answered.status, PaymentState::Declined { .. }), !yes, "{answered:?}");
    }
    let (request, _) = authorised(payments, request(32, &ways.challenge, eur(700))).await;
    let voided = payments.void(&request.name(), "void").await.unwrap().unwrap();
    assert_eq!((voided.status, voided.authorised.minor()), (PaymentState::Voided, 0));
}
