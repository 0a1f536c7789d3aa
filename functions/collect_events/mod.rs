//! `POST /api/v1/events`: what a session did, up to 100 events at once. What it saw counts for its next recommendation
//! at once; all else follows from the hub.
//!
//! `sessionId` is drawn by the shop, 16 to 64 characters that nobody can guess: whoever knows it can ask what the session
//! was shown. Without `consent` no event is put beside another. One bad event is named in the answer and stops no other.
use http::StatusCode;
use offpeak_domain::{
    code::Code,
    recommend::{SESSION_MAX, Surface},
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::shared::{
    app::App,
    host::{
        call::Call,
        problem::Problem,
        reply::Reply,
        room::{Room, answering},
    },
    operations::clicks::{
        ClickEvent, What,
        collect::{AGE_MAX, collect, moment},
        sessions::{NotForgotten, forget, is_id},
    },
    views::session::session_id,
};

pub(super) const ROOM: Room<App> =
    Room::http("collect_events", include_str!("function.json")).post(|app, call| answering(handle(app, call)));

const EVENTS_MAX: usize = 100;
const SEARCH_MAX_CHARS: usize = 200;
/// Words by which programs that only read call themselves: our own choice, which misses those that hide.
const BOTS: [&str; 7] = ["bot", "crawl", "spider", "slurp", "facebookexternalhit", "lighthouse", "mediapartners"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CollectEventsBody<'a> {
    /// Needed with consent. Without it, what is known of the session is forgotten.
    session_id: Option<String>,
    #[serde(default)]
    consent: bool,
    /// What the client's clock shows.
    #[serde(default, with = "time::serde::rfc3339::option")]
    sent_at: Option<OffsetDateTime>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CollectEventsEvent {
    r#type: CollectEventsType,
    /// When it was done, if not now.
    #[serde(default, with = "time::serde::rfc3339::option")]
    at: Option<OffsetDateTime>,
    sku: Option<String>,
    skus: Option<Vec<String>>,
    surface: Option<String>,
    query: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CollectEventsType {
    View,
    Search,
    AddToCart,
    RemoveFromCart,
    Purchase,
    RecommendationShown,
    RecommendationClicked,
}

#[derive(Serialize)]
struct CollectEventsView {
    accepted: usize,
    rejected: Vec<RejectedEventView>,
}

#[derive(Serialize)]
struct RejectedEventView {
    /// Its place among those sent, from 0.
    index: usize,
    detail: String,
}

impl CollectEventsBody<'_> {
    /// The session, with consent.
    fn session(&self) -> Result<Option<&str>, Problem> {
        if self.events.len() > EVENTS_MAX {
            let many = self.events.len();
            return Err(Problem::invalid(
                "events",
                format!("at most {EVENTS_MAX} at once, not {many}; send the rest next"),
            ));
        }
        let session = session_id("sessionId", self.session_id.as_deref().filter(|_| self.consent))?;
        if self.consent && session.is_none() {
            return Err(Problem::invalid("sessionId", "missing; only without consent there is none"));
        }
        Ok(session)
    }

    /// A session for which there is no consent, or none any more.
    fn withdrawn(&self) -> Option<&str> {
        self.session_id.as_deref().filter(|it| !self.consent && is_id(it))
    }
}

async fn handle(app: &App, call: Call) -> Result<Reply, Problem> {
    let body: CollectEventsBody<'_> = call.json()?;
    let session = body.session()?;
    let ports = &app.shop.ports;
    if let Some(session) = body.withdrawn() {
        forget(ports, session).await.map_err(|NotForgotten| not_forgotten())?;
    }
    let now = ports.clock.now();
    let (mut events, mut rejected) = (Vec::new(), Vec::new());
    for (index, event) in body.events.iter().enumerate() {
        match parse(event, body.sent_at, now) {
            Ok(event) => events.push(event),
            Err(detail) => rejected.push(RejectedEventView { index, detail }),
        }
    }
    // A robot is answered like anybody, and counts for nothing.
    if is_robot(call.header_text("user-agent")) {
        events.clear();
    }
    let accepted = events.len();
    if accepted > 0 {
        collect(ports, session, events).await?;
    }
    Reply::json(StatusCode::ACCEPTED, &CollectEventsView { accepted, rejected })
}

fn not_forgotten() -> Problem {
    Problem::new(Code::Unavailable, "What the session has seen is not forgotten yet; send it again.").retry_after(1)
}

fn is_robot(agent: Option<&str>) -> bool {
    // A maker of phones, who names itself in every one of them.
    let agent = agent.unwrap_or_default().to_ascii_lowercase().replace("cubot", "");
    BOTS.iter().any(|it| agent.contains(it))
}

fn parse(event: &RawValue, sent: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<ClickEvent, String> {
    let event: CollectEventsEvent = serde_json::from_str(event.get()).map_err(|err| err.to_string())?;
    let at = moment(event.at, sent, now).ok_or_else(|| format!("at: more than {} h ago", AGE_MAX.whole_hours()))?;
    Ok(ClickEvent { at, what: event.what()? })
}

impl CollectEventsEvent {
    fn what(&self) -> Result<What, String> {
        let spare = |here: bool, name| if here { Err(format!("{name}: this type of event has none")) } else { Ok(()) };
        let of_surface =
            matches!(self.r#type, CollectEventsType::RecommendationShown | CollectEventsType::RecommendationClicked);
        let (shown, search) = (
            matches!(self.r#type, CollectEventsType::RecommendationShown),
            matches!(self.r#type, CollectEventsType::Search),
        );
        spare(self.sku.is_some() && (shown || search), "sku")?;
        spare(self.skus.is_some() && !shown, "skus")?;
        spare(self.surface.is_some() && !of_surface, "surface")?;
        spare(self.query.is_some() && !search, "query")?;
        Ok(match self.r#type {
            CollectEventsType::View => What::View { sku: self.sku()? },
            CollectEventsType::Search => What::Search { text: self.query()? },
            CollectEventsType::AddToCart => What::AddToCart { sku: self.sku()? },
            CollectEventsType::RemoveFromCart => What::RemoveFromCart { sku: self.sku()? },
            CollectEventsType::Purchase => What::Purchase { sku: self.sku()? },
            CollectEventsType::RecommendationShown => {
                What::RecommendationShown { surface: self.surface()?, skus: self.skus()? }
            }
            CollectEventsType::RecommendationClicked => {
                What::RecommendationClicked { surface: self.surface()?, sku: self.sku()? }
            }
        })
    }

    fn sku(&self) -> Result<String, String> {
        sku(self.sku.as_deref().ok_or("sku: missing")?)
    }

    fn skus(&self) -> Result<Vec<String>, String> {
        let skus = self.skus.as_deref().ok_or("skus: missing")?;
        if !(1..=SESSION_MAX).contains(&skus.len()) {
            return Err(format!("skus: 1 to {SESSION_MAX} of them, not {}", skus.len()));
        }
        skus.iter().map(|it| sku(it)).collect()
    }

    fn surface(&self) -> Result<String, String> {
        let surface = self.surface.as_deref().ok_or("surface: missing")?;
        let known = Surface::parse(surface).map(|it| it.name().to_owned());
        known.ok_or_else(|| format!("surface: one of {}", Surface::ALL.map(Surface::name).join(", ")))
    }

    fn query(&self) -> Result<String, String> {
        let query = self.query.as_deref().ok_or("query: missing")?.trim();
        if (1..=SEARCH_MAX_CHARS).contains(&query.chars().count()) {
            return Ok(query.to_owned());
        }
        Err(format!("query: 1 to {SEARCH_MAX_CHARS} characters"))
    }
}

fn sku(text: &str) -> Result<String, String> {
    Sku::parse(text).map(|it| it.as_str().to_owned()).map_err(|err| format!("sku: {err}"))
}
