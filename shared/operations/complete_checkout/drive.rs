//! From wherever the checkout stands to its next rest: placed, waiting for the buyer, or open again.
use offpeak_domain::{
    checkout::{ACTION_FOR, Attempt, CheckoutState, Refusal, Step},
    ids::CheckoutId,
    payment::PaymentFact,
};
use time::OffsetDateTime;

use super::{
    CompleteError,
    effects::{self, Holds},
    finalise,
    outbox::{self, Outgoing},
};
use crate::shared::{
    documents::{
        Seen,
        carts::StoredCart,
        purchases::{self, Event, Order, PAYMENTS_ID, StoredCheckout},
    },
    operations::Shop,
    ports::{
        documents::{ETag, StoreError, Write},
        payments::{Payment, PaymentName, PaymentState},
    },
};

/// Steps of one drive; a saga that needs more goes round in circles.
const STEPS_MAX: u32 = 12;

/// Tries of a batch that loses against webhooks only.
const FACTS_TRIES: u32 = 4;

/// One run of a completion: the checkout as this run last wrote it.
pub(super) struct Run {
    pub(super) seen: Seen<StoredCheckout>,
    /// Written with the last change and not yet published.
    pub(super) unpublished: Vec<Event>,
    /// The provider's latest word on the attempt.
    pub(super) said: Option<(PaymentName, Vec<PaymentFact>)>,
    /// Nobody ran this attempt before: the provider cannot know its payment yet.
    pub(super) fresh: bool,
    /// The cart as it was priced, read before the attempt began; then as this run locked it.
    pub(super) cart: Option<Seen<StoredCart>>,
    /// The order as this run last wrote it.
    pub(super) order: Option<Seen<Order>>,
    /// What this run holds.
    pub(super) holds: Holds,
}

pub(super) enum Driven {
    Placed {
        order: Box<Order>,
        /// Nothing is left to do for it.
        settled: bool,
    },
    ActionRequired {
        url: String,
        until: OffsetDateTime,
    },
    Refused(Refusal),
}

impl Run {
    /// Takes over from a run that is silent, with a higher fence.
    pub(super) async fn take_over(shop: &Shop, seen: Seen<StoredCheckout>) -> Result<Run, CompleteError> {
        let mut run = Run {
            seen,
            unpublished: Vec::new(),
            said: None,
            fresh: false,
            cart: None,
            order: None,
            holds: Holds::default(),
        };
        let checkout = &mut run.seen.value.checkout;
        if let CheckoutState::Completing(attempt) = &mut checkout.state {
            checkout.fence += 1;
            attempt.fence = checkout.fence;
        }
        run.save(shop, Vec::new(), Outgoing::default()).await?;
        Ok(run)
    }

    /// Puts it on record that no order comes of this attempt.
    pub(super) async fn undo(&mut self, shop: &Shop, refusal: Refusal) -> Result<(), CompleteError> {
        self.step(shop, Step::Undoing { refusal }, Vec::new()).await.map(drop)
    }

    /// The order as it is stored. Only an attempt writes one, so the first run of the first finds none.
    pub(super) async fn order(&self, shop: &Shop) -> Result<Option<Seen<Order>>, StoreError> {
        match &self.order {
            Some(written) => Ok(Some(written.clone())),
            None if self.fresh && self.seen.value.checkout.attempts == 1 => Ok(None),
            None => purchases::read_order(shop.ports.documents.as_ref(), self.id()).await,
        }
    }

    pub(super) fn id(&self) -> CheckoutId {
        self.seen.value.checkout.id
    }

    fn attempt(&self) -> Option<&Attempt> {
        match &self.seen.value.checkout.state {
            CheckoutState::Completing(attempt) => Some(attempt),
            CheckoutState::Open | CheckoutState::Placed { .. } => None,
        }
    }

    /// Goes on to a step that needs no record: whoever takes over comes to it from the one before.
    fn go_on(&mut self, step: Step) {
        if let CheckoutState::Completing(attempt) = &mut self.seen.value.checkout.state {
            attempt.step = step;
        }
    }

    pub(super) async fn step(&mut self, shop: &Shop, step: Step, also: Vec<Write>) -> Result<Vec<ETag>, CompleteError> {
        self.go_on(step);
        self.save(shop, also, Outgoing::default()).await
    }

    /// Writes the checkout as it now stands, with what belongs to the same change. Renews the lease; fails
    /// with `Changed` if another run has taken over. Answers the etags of `also`, first.
    pub(super) async fn save(
        &mut self,
        shop: &Shop,
        also: Vec<Write>,
        outgoing: Outgoing,
    ) -> Result<Vec<ETag>, CompleteError> {
        let now = shop.ports.clock.now();
        if let CheckoutState::Completing(attempt) = &mut self.seen.value.checkout.state {
            match attempt.step {
                Step::ActionRequired { .. } => attempt.lease_until = None,
                _ => attempt.renew(now),
            }
        }
        let id = self.id();
        let documents = shop.ports.documents.as_ref();
        for left in (0..FACTS_TRIES).rev() {
            let mut writes = vec![purchases::put_checkout(&self.seen.value, Some(&self.seen.etag), now)?];
            writes.extend(also.iter().cloned());
            writes.extend(self.facts(shop).await?);
            writes.extend(outgoing.rows(id, now)?);
            match purchases::write(documents, id, writes).await {
                Ok(etags) => {
                    self.unpublished.extend(outgoing.written(id, &etags));
                    let mut etags = etags.into_iter();
                    self.seen.etag = etags.next().unwrap_or(ETag(String::new()));
                    return Ok(etags.collect());
                }
                // A webhook was faster; that alone takes nothing from this run.
                Err(StoreError::Changed { id } | StoreError::Exists { id }) if id == PAYMENTS_ID && left > 0 => {}
                Err(err) => return Err(err.into()),
            }
        }
        Err(StoreError::Changed { id: PAYMENTS_ID.to_owned() }.into())
    }

    /// What the provider has said of the attempt, for the batch that ends it.
    async fn facts(&self, shop: &Shop) -> Result<Option<Write>, StoreError> {
        match &self.said {
            Some((name, facts)) if self.attempt().is_none() => {
                let noted = purchases::note_facts(shop.ports.documents.as_ref(), self.id(), name, facts).await?;
                Ok(noted.1)
            }
            _ => Ok(None),
        }
    }
}

/// Goes on until the checkout rests.
///
/// # Errors
/// [`CompleteError`]; the checkout keeps its state and another run goes on after the lease.
pub(super) async fn drive(shop: &Shop, mut run: Run) -> Result<Driven, CompleteError> {
    for _ in 0..STEPS_MAX {
        let Some(attempt) = run.attempt().cloned() else { break };
        match &attempt.step {
            Step::Holding => hold(shop, &mut run, &attempt).await?,
            Step::Paying => pay(shop, &mut run, &attempt).await?,
            Step::ActionRequired { url } => {
                if let Some(driven) = ask_again(shop, &mut run, &attempt, url).await? {
                    return Ok(driven);
                }
            }
            Step::Finalising => {
                if let Some(placed) = finalise::finalise(shop, &mut run, &attempt).await? {
                    return Ok(placed);
                }
            }
            Step::Undoing { refusal } => {
                if finalise::undo(shop, &mut run, &attempt, refusal).await? {
                    return Ok(Driven::Refused(refusal.clone()));
                }
            }
        }
        if let Some(Step::ActionRequired { url }) = run.attempt().map(|it| it.step.clone())
            && !matches!(attempt.step, Step::ActionRequired { .. })
        {
            let until = run.attempt().map_or(attempt.hold_until, |it| it.hold_until);
            outbox::publish_inline(shop, std::mem::take(&mut run.unpublished)).await;
            return Ok(Driven::ActionRequired { url, until });
        }
    }
    Err(StoreError::Refused("a completion went round in circles".to_owned()).into())
}

/// Locks the cart and holds every line; then writes the hidden order, before any money is asked for.
async fn hold(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<(), CompleteError> {
    let id = run.id();
    if shop.ports.clock.now() >= attempt.hold_until {
        return run.undo(shop, Refusal::Abandoned).await;
    }
    let arming = outbox::publish_inline(shop, std::mem::take(&mut run.unpublished));
    let (cart, holds, owned) = (&mut run.cart, &mut run.holds, &run.seen);
    let holding = async {
        *cart = effects::lock_cart(shop, owned, attempt, cart.take()).await?;
        if cart.is_none() {
            return Ok(Some(Refusal::CartChanged));
        }
        if let Some(short) = effects::hold_stock(shop, id, attempt, holds).await? {
            return Ok(Some(short));
        }
        effects::claim_uses(shop, &owned.value, attempt).await
    };
    let (refusal, _) = tokio::join!(holding, arming);
    if let Some(refusal) = refusal? {
        return run.undo(shop, refusal).await;
    }
    let now = shop.ports.clock.now();
    let before = run.order(shop).await?;
    let order = effects::pending_order(&run.seen.value, attempt, now);
    let write = purchases::put_order(&order, before.as_ref().map(|it| &it.etag))?;
    let etags = run.step(shop, Step::Paying, vec![write]).await?;
    run.order = etags.into_iter().next().map(|etag| Seen { value: order, etag });
    Ok(())
}

/// Authorises once under the attempt's name. Whoever is not the first run asks the provider first.
async fn pay(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<(), CompleteError> {
    if attempt.total().is_zero() {
        run.go_on(Step::Finalising);
        return Ok(());
    }
    let attempt = match name_payment(shop, run, attempt).await? {
        Named::Ready(attempt) => attempt,
        Named::Refused(payment) => return take_answer(shop, run, attempt, *payment).await,
    };
    let attempt = &attempt;
    let payment = if run.fresh {
        effects::authorise(shop, run.id(), attempt).await?
    } else {
        match shop.ports.payments.find(&effects::name(run.id(), attempt)).await? {
            Some(payment) => payment,
            None if shop.ports.clock.now() >= attempt.hold_until => return run.undo(shop, Refusal::Abandoned).await,
            None => effects::authorise(shop, run.id(), attempt).await?,
        }
    };
    take_answer(shop, run, attempt, payment).await
}

/// An attempt whose payment has its name, or none of it.
enum Named {
    Ready(Box<Attempt>),
    Refused(Box<Payment>),
}

/// The provider's own name for the payment is stored before any money is asked for, so that whoever comes
/// after a crash finds the payment by it.
async fn name_payment(shop: &Shop, run: &mut Run, attempt: &Attempt) -> Result<Named, CompleteError> {
    if attempt.provider_id.is_some() {
        return Ok(Named::Ready(Box::new(attempt.clone())));
    }
    let name = match effects::prepare(shop, run.id(), attempt).await? {
        effects::Prepared::AsReference => return Ok(Named::Ready(Box::new(attempt.clone()))),
        effects::Prepared::Refused(payment) => return Ok(Named::Refused(Box::new(payment))),
        effects::Prepared::Named(name) => name,
    };
    let named = Attempt { provider_id: Some(name.clone()), ..attempt.clone() };
    if let CheckoutState::Completing(attempt) = &mut run.seen.value.checkout.state {
        attempt.provider_id = Some(name);
    }
    run.save(shop, Vec::new(), Outgoing::default()).await?;
    Ok(Named::Ready(Box::new(named)))
}

async fn take_answer(shop: &Shop, run: &mut Run, attempt: &Attempt, payment: Payment) -> Result<(), CompleteError> {
    match payment.status {
        // The provider remembers it. Whoever waited for the buyer has no lease and takes one.
        PaymentState::Authorised if payment.authorised == attempt.total() => match attempt.step {
            Step::ActionRequired { .. } => run.step(shop, Step::Finalising, Vec::new()).await.map(drop),
            _ => {
                run.go_on(Step::Finalising);
                Ok(())
            }
        },
        PaymentState::Authorised => {
            let (total, authorised) = (attempt.total(), payment.authorised);
            tracing::error!(payment.id = payment.reference, "{authorised} is authorised where {total} was asked for.");
            run.undo(shop, Refusal::Declined { reason: "amount_mismatch".to_owned() }).await
        }
        PaymentState::Declined { reason } => run.undo(shop, Refusal::Declined { reason }).await,
        PaymentState::Voided => run.undo(shop, Refusal::Declined { reason: "voided".to_owned() }).await,
        PaymentState::ActionRequired { url } => wait_for_buyer(shop, run, attempt, url).await,
    }
}

/// Extends the holds, and arms a look at the end of the buyer's time.
async fn wait_for_buyer(shop: &Shop, run: &mut Run, attempt: &Attempt, url: String) -> Result<(), CompleteError> {
    let id = run.id();
    let until = shop.ports.clock.now() + ACTION_FOR;
    let longer = Attempt { hold_until: until, ..attempt.clone() };
    if let Some(refusal) = effects::hold_stock(shop, id, &longer, &mut run.holds).await? {
        return run.undo(shop, refusal).await;
    }
    if let CheckoutState::Completing(attempt) = &mut run.seen.value.checkout.state {
        attempt.hold_until = until;
        attempt.step = Step::ActionRequired { url };
    }
    let mut outgoing = Outgoing::default();
    let name = format!("{}-action", attempt.number);
    outgoing.add(effects::resume_message(id, &name, until));
    run.save(shop, Vec::new(), outgoing).await.map(drop)
}

/// The buyer came back, or the time is over: only the provider knows.
async fn ask_again(shop: &Shop, run: &mut Run, attempt: &Attempt, url: &str) -> Result<Option<Driven>, CompleteError> {
    let payment = shop.ports.payments.find(&effects::name(run.id(), attempt)).await?;
    match payment {
        Some(Payment { status: PaymentState::ActionRequired { .. }, .. }) => {
            if shop.ports.clock.now() >= attempt.hold_until {
                run.undo(shop, Refusal::Abandoned).await?;
                return Ok(None);
            }
            Ok(Some(Driven::ActionRequired { url: url.to_owned(), until: attempt.hold_until }))
        }
        Some(payment) => take_answer(shop, run, attempt, payment).await.map(|()| None),
        None => run.undo(shop, Refusal::Declined { reason: "unknown_payment".to_owned() }).await.map(|()| None),
    }
}
