//! What a shopper is shown next: the session as it is this moment, put to the model that this process has, and what the
//! model says made into products that can be bought.
//!
//! What must stay true: a request waits for one round trip to the cache and for cards, never for a model. Without a
//! model, a cache or a known session there is a list all the same.
mod ask;
mod disk;
mod fetch;
mod keeper;
pub mod models;
pub mod refresh;
mod serving;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join;
use offpeak_domain::recommend::{Consent, LIMIT_MAX as PICKS_MAX, Reason, Recommended, Surface};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use self::{
    ask::Asked,
    keeper::{Held, keep},
    serving::{Question, Serving, Why},
};
use super::{
    Shop,
    cards::{Card, Cards, Dealt, Mark},
    clicks::{session_key, sessions},
};
use crate::shared::ports::{Ports, chain, documents::StoreError};

pub use ask::{LIMIT_MAX, Recommend, RecommendError};
pub use keeper::Cadence;

/// Publications of the whole model, and of the small one for the moment before it is there.
pub const MODEL: &str = "recommend/model";
pub const FIRST: &str = "recommend/first";

/// Days of clicks that a model is made of, unless it is said.
const DAYS: u16 = 30;
/// An invocation has 100 s, and a step may need most of them.
const AT_ONCE: Duration = Duration::from_secs(15);
/// A page does not wait longer for what stands beside its product.
const DEADLINE: Duration = Duration::from_millis(400);
/// Of that: a model from this machine is there within milliseconds, one that is fetched seldom in a second.
const READY_PATIENCE: Duration = Duration::from_millis(200);

/// What a list of a dozen takes as JSON.
const ANSWER_BYTES: usize = 8 * 1024;

/// What recommends in this process: nothing until the first question, which begins to look for a model.
pub struct Recommender {
    /// Days of clicks that a model is made of.
    pub days: u16,
    /// After so long the next step of making one is left to a message.
    pub at_once: Duration,
    /// What a request has for everything that it waits for.
    pub deadline: Duration,
    /// How long the first requests of a process wait for a model that may be on this machine, or be fetched soon.
    pub ready_patience: Duration,
    held: Option<Arc<Held>>,
    wanted: mpsc::Sender<()>,
    /// For the keeper, which takes it with the first question.
    unheard: Mutex<Option<mpsc::Receiver<()>>>,
    ready_by: Mutex<Option<Instant>>,
}

impl Recommender {
    /// Keeps models in this folder.
    pub fn in_folder(folder: PathBuf, cadence: Cadence) -> Recommender {
        Recommender::new(Some(Arc::new(Held::new(folder, cadence))))
    }

    /// Has no model and never looks for one.
    pub fn without_models() -> Recommender {
        Recommender::new(None)
    }

    fn new(held: Option<Arc<Held>>) -> Recommender {
        // One wish is as good as many.
        let (wanted, unheard) = mpsc::channel(1);
        Recommender {
            days: DAYS,
            at_once: AT_ONCE,
            deadline: DEADLINE,
            ready_patience: READY_PATIENCE,
            held,
            wanted,
            unheard: Mutex::new(Some(unheard)),
            ready_by: Mutex::new(None),
        }
    }

    /// What answers now. Wakes the keeper if there may be something new.
    async fn serving(&self, ports: &Ports) -> Option<Arc<Serving>> {
        let held = self.held.as_ref()?;
        self.begin(held, ports);
        if held.is_due() {
            // A full channel says it already.
            self.wanted.try_send(()).ok();
        }
        let ready_by = *self.ready_by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready_by) = ready_by
            && !*held.is_ready.borrow()
        {
            timeout_at(ready_by, held.is_ready.subscribe().wait_for(|it| *it)).await.ok();
        }
        Some(held.serving())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the keeper only brings what was stored long ago; it may end anywhere"
    )]
    fn begin(&self, held: &Arc<Held>, ports: &Ports) {
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(unheard) = unheard {
            let ready_by = Instant::now() + self.ready_patience;
            *self.ready_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready_by);
            tokio::spawn(keep(Arc::clone(held), ports.clone(), unheard));
        }
    }
}

/// A list of products, each with the reason for which it is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recommendations<'r> {
    surface: &'static str,
    /// `None` while this process has no model.
    model_version: Option<&'r str>,
    #[serde(serialize_with = "show")]
    items: &'r [Item<'r>],
}

#[derive(Debug, Serialize)]
struct RecommendedCard<'r> {
    sku: &'r str,
    reason: Why<'r>,
    product: &'r RawValue,
}

/// A place of a list.
#[derive(Debug)]
struct Item<'r> {
    /// `None`: the first of the card's that can be had.
    sku: Option<&'r str>,
    reason: Why<'r>,
    card: Arc<Card>,
}

fn show<S: Serializer>(items: &[Item<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(|it| RecommendedCard {
        sku: it.sku.unwrap_or(&it.card.sku),
        reason: it.reason,
        product: &it.card.json,
    }))
}

/// The list as JSON: `surface`, `modelVersion`, and `items` of `sku`, `reason` and `product`. What is in it for anyone who
/// asks is put together once in a while.
///
/// # Errors
/// [`RecommendError`].
pub async fn recommend(shop: &Shop, ask: &Recommend) -> Result<Bytes, RecommendError> {
    let asked = Asked::parse(ask)?;
    let until = Instant::now() + shop.recommender.deadline;
    let (session, serving) = join(session(&shop.ports, &asked), shop.recommender.serving(&shop.ports)).await;
    let Some(serving) = serving else { return list(shop, None, &asked, &session, until).await.map(|it| it.0) };
    let anyones = asked.anyones();
    if let Some(answer) = anyones.as_ref().and_then(|it| serving.answer(it)) {
        return Ok(answer);
    }
    let (answer, is_whole) = list(shop, Some(&serving), &asked, &session, until).await?;
    if let Some(anyones) = anyones.filter(|_| is_whole && Instant::now() < until) {
        serving.keep(anyones, answer.clone());
    }
    Ok(answer)
}

/// Items that the model is asked for at first: most of them can be had.
fn picks_for(limit: usize) -> usize {
    limit + limit.div_ceil(2)
}

/// The list as JSON, and whether nothing is missing that the store did not give.
async fn list(
    shop: &Shop,
    serving: Option<&Serving>,
    asked: &Asked,
    session: &[String],
    until: Instant,
) -> Result<(Bytes, bool), RecommendError> {
    let mut list = List::new(&shop.cards, asked, session);
    // Where too few of them can be had, the model is asked for as many as it gives.
    for limit in [picks_for(asked.limit), PICKS_MAX] {
        let picks = serving.map(|it| it.picks(&question(asked, session, limit))).unwrap_or_default();
        list.show(shop, &picks, until).await?;
        if list.is_full() || picks.len() < limit {
            break;
        }
    }
    if asked.surface == Surface::Resume {
        // What the model has never met was seen all the same.
        let seen = session.iter().rev().filter(|_| asked.consent == Consent::Given);
        let picks: Vec<_> = seen.map(|id| Recommended { id, score: 0.0, reason: Reason::Seen }).collect();
        list.show(shop, &picks, until).await?;
    } else {
        list.fill(shop, asked, until).await?;
    }
    let model_version = serving.and_then(|it| it.opened.version.as_ref()).map(|it| it.name.as_str());
    // Cards lie far apart. Asked for together, with nothing between that depends on them, they come together.
    let touched = list.items.iter().filter_map(|it| it.card.json.get().bytes().next());
    std::hint::black_box(touched.fold(0, u8::wrapping_add));
    let answer = Recommendations { surface: asked.surface.name(), model_version, items: &list.items };
    let mut json = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut json, &answer).map_err(|err| StoreError::Refused(err.to_string()))?;
    Ok((json.into(), list.is_whole))
}

/// What the session has seen, newest last: what the cache knows, what the caller says, and what it looks at.
async fn session(ports: &Ports, asked: &Asked) -> Vec<String> {
    let mut session = match &asked.session {
        Some(session) if asked.needs_session() => sessions::recall(ports, session).await,
        _ => Vec::new(),
    };
    append(&mut session, &asked.seen);
    if let Some(sku) = &asked.sku
        && session.last() != Some(sku)
    {
        session.push(sku.clone());
    }
    session
}

/// Adds what is newer, of two accounts of the same session.
fn append(known: &mut Vec<String>, said: &[String]) {
    if known.windows(said.len().max(1)).any(|it| it == said) {
        return;
    }
    let shared = (0..=said.len().min(known.len())).rev().find(|it| known.ends_with(&said[..*it])).unwrap_or(0);
    known.extend_from_slice(&said[shared..]);
}

fn question<'q>(asked: &'q Asked, session: &'q [String], limit: usize) -> Question<'q> {
    Question {
        surface: asked.surface,
        session,
        cart: &asked.cart,
        category: asked.category.as_deref(),
        consent: asked.consent,
        limit,
        own: asked.session.as_deref().map(session_key),
    }
}

/// Products in the making of a list: each once, and none that the shopper has before them.
struct List<'r> {
    limit: usize,
    /// SKUs whose products are not shown.
    hidden: Vec<Mark>,
    items: Vec<Item<'r>>,
    /// Nothing is missing that the store did not give.
    is_whole: bool,
}

impl<'r> List<'r> {
    fn new(cards: &Cards, asked: &Asked, session: &[String]) -> List<'r> {
        let before_them = match (asked.surface, asked.consent) {
            (Surface::Next, Consent::Given) => session,
            _ => &session[session.len().saturating_sub(1)..],
        };
        let hidden = asked.cart.iter().chain(before_them).map(|sku| cards.mark(sku)).collect();
        List { limit: asked.limit, hidden, items: Vec::with_capacity(asked.limit), is_whole: true }
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.limit
    }

    fn push(&mut self, card: Arc<Card>, sku: Option<&'r str>, reason: Why<'r>) {
        let is_there = || self.items.iter().any(|it| it.card.product == card.product);
        let is_hidden = || card.marks().any(|it| self.hidden.contains(&it));
        if self.is_full() || !card.is_available() || is_there() || is_hidden() {
            return;
        }
        self.items.push(Item { sku, reason, card });
    }

    /// Adds what is published and can be had, as long as there is room.
    async fn show(&mut self, shop: &Shop, picks: &[Recommended<'r>], until: Instant) -> Result<(), StoreError> {
        // Most are good, so that little more is read than is shown.
        for wave in picks.chunks(self.limit + self.limit / 8 + 1) {
            if self.is_full() {
                break;
            }
            let skus: Vec<&str> = wave.iter().map(|it| it.id).collect();
            let Dealt { cards, failed } = shop.cards.of(&skus, until).await;
            if let Some(err) = failed {
                self.is_whole = false;
                if cards.iter().all(Option::is_none) {
                    return self.stay_short(err);
                }
            }
            for (card, pick) in cards.into_iter().zip(wave) {
                if let Some(card) = card {
                    let sku = shop.cards.has(&card, pick.id).then_some(pick.id);
                    self.push(card, sku, pick.reason.into());
                }
            }
        }
        Ok(())
    }

    /// What is there is better than nothing.
    fn stay_short<E: std::error::Error + 'static>(&mut self, err: E) -> Result<(), E> {
        self.is_whole = false;
        if self.items.is_empty() {
            return Err(err);
        }
        tracing::warn!(error = %chain(&err), "A short list of recommendations stays short.");
        Ok(())
    }

    /// Fills what is still missing from the listings, of the category and then of the shop.
    async fn fill(&mut self, shop: &Shop, asked: &'r Asked, until: Instant) -> Result<(), RecommendError> {
        for category in [asked.category.as_deref(), None].into_iter().skip(usize::from(asked.category.is_none())) {
            if self.is_full() {
                break;
            }
            let listed = timeout_at(until, shop.cards.listed(category)).await.map_err(|_| RecommendError::Late);
            match listed.and_then(|it| it.map_err(RecommendError::from)) {
                Ok(cards) => {
                    let reason = Why { kind: "listed", of: category };
                    cards.iter().for_each(|card| self.push(Arc::clone(card), None, reason));
                }
                Err(err) => return self.stay_short(err),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_accounts_of_a_session_are_joined() {
        let text = |it: &str| it.chars().map(String::from).collect::<Vec<_>>();
        for (known, said, joined) in [
            ("", "abc", "abc"),
            ("abc", "", "abc"),
            ("ab", "abc", "abc"),
            ("abc", "bc", "abc"),
            ("abcd", "bc", "abcd"),
            ("abc", "cde", "abcde"),
            ("abc", "xy", "abcxy"),
            ("aab", "ab", "aab"),
        ] {
            let mut session = text(known);
            append(&mut session, &text(said));
            assert_eq!(session, text(joined), "{known} and {said}");
        }
    }
}
