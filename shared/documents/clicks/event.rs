//! One event of the hub: what one session did, in one batch of a client or in one order.
use offpeak_domain::recommend::{ALONE, Kind, LiveClick, Outcomes, Surface, xxh64};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "clicks/1";
/// Longest event, in bytes as the host hands it over: a full batch of them is less than the handler takes.
pub const CARRIED_MAX_BYTES: usize = 48 * 1024;
/// Of these, what stands around the clicks, and around each of them.
const FRAME_BYTES: usize = 256;
const COMMA_BYTES: usize = 1;

/// What one session did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clicks {
    /// Tells sessions apart; a hash, so that nobody who reads the hub can be taken for the shopper.
    pub session: u64,
    /// Whether the shopper agreed that one event is seen beside another.
    pub consent: bool,
    pub events: Vec<ClickEvent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickEvent {
    /// Seconds since 1970, by our clock.
    pub at: u32,
    #[serde(flatten)]
    pub what: What,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    View {
        sku: String,
    },
    Search {
        text: String,
    },
    AddToCart {
        sku: String,
    },
    RemoveFromCart {
        sku: String,
    },
    /// Said by a client, so it counts no more than a cart.
    Purchase {
        sku: String,
    },
    /// Said by an order.
    Ordered {
        sku: String,
    },
    RecommendationShown {
        surface: String,
        skus: Vec<String>,
    },
    RecommendationClicked {
        surface: String,
        sku: String,
    },
}

impl What {
    /// The item that it says something of, and how much.
    pub fn item(&self) -> Option<(&str, Kind)> {
        match self {
            What::View { sku } => Some((sku, Kind::View)),
            What::AddToCart { sku } | What::Purchase { sku } => Some((sku, Kind::Cart)),
            What::Ordered { sku } => Some((sku, Kind::Purchase)),
            What::Search { .. }
            | What::RemoveFromCart { .. }
            | What::RecommendationShown { .. }
            | What::RecommendationClicked { .. } => None,
        }
    }
}

/// What a shop calls a session, as a number.
pub fn session_key(session: &str) -> u64 {
    xxh64(session.as_bytes()) & !ALONE
}

impl Clicks {
    /// What was done to items, in the order that it came in. Without consent every item is a session of its own and
    /// counts once, by the most that was done to it: it says what is asked for of late, however often, and nothing of
    /// what goes with what.
    pub fn clicks(&self) -> Vec<LiveClick> {
        let click = |event: &ClickEvent| {
            let (item, kind) = event.what.item()?;
            let session = if self.consent { self.session & !ALONE } else { alone(self.session, item) };
            Some(LiveClick { session, at: event.at, item: item.into(), kind })
        };
        let mut clicks: Vec<LiveClick> = self.events.iter().filter_map(click).collect();
        if !self.consent {
            clicks.sort_by(|one, other| one.item.cmp(&other.item).then(other.kind.cmp(&one.kind)));
            clicks.dedup_by(|one, other| one.item == other.item);
        }
        clicks
    }
}

impl Clicks {
    /// Tells what recommendations came to. Without consent only what was shown and clicked: whether it was bought
    /// would put two events beside each other.
    pub fn tell(&self, outcomes: &mut Outcomes) {
        for (place, event) in self.events.iter().enumerate() {
            match &event.what {
                What::RecommendationShown { surface, skus } => {
                    let Some(shown) = Surface::parse(surface) else { continue };
                    let list = format!("{} {place} {} {surface} {}", self.session, event.at, skus.join(","));
                    outcomes.shown(xxh64(list.as_bytes()), shown, skus.len());
                }
                What::RecommendationClicked { surface, sku } => {
                    let Some(surface) = Surface::parse(surface) else { continue };
                    outcomes.clicked(self.session, surface, sku, event.at);
                }
                What::Purchase { sku } if self.consent => outcomes.bought(self.session, sku, event.at),
                _ => {}
            }
        }
    }
}

fn alone(session: u64, item: &str) -> u64 {
    let mut bytes = session.to_le_bytes().to_vec();
    bytes.extend_from_slice(item.as_bytes());
    xxh64(&bytes) | ALONE
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClicksDocument {
    schema: String,
    session: String,
    consent: bool,
    events: Vec<ClickEvent>,
}

/// Why an event of the hub is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadClicks {
    #[error("it cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error("its schema is {0:?}, this version reads {SCHEMA:?}")]
    Schema(String),
    #[error("its session {0:?} is not a number of 16 hexadecimal digits")]
    Session(String),
    #[error("its surface {0:?} is not known")]
    Surface(String),
}

/// The JSON to send and to keep, on one line.
///
/// # Errors
/// If it has no JSON form: our own fault.
pub fn text(clicks: Clicks) -> Result<String, serde_json::Error> {
    let session = format!("{:016x}", clicks.session);
    let document =
        ClicksDocument { schema: SCHEMA.to_owned(), session, consent: clicks.consent, events: clicks.events };
    serde_json::to_string(&document)
}

/// The same on as many lines as it takes for none to be too long.
///
/// # Errors
/// As [`text`].
pub fn texts(clicks: Clicks) -> Result<Vec<String>, serde_json::Error> {
    let Clicks { session, consent, events } = clicks;
    let (mut texts, mut part, mut bytes) = (Vec::new(), Vec::new(), FRAME_BYTES);
    for event in events {
        let more = carried_bytes(&serde_json::to_string(&event)?) + COMMA_BYTES;
        if bytes + more > CARRIED_MAX_BYTES && !part.is_empty() {
            texts.push(text(Clicks { session, consent, events: std::mem::take(&mut part) })?);
            bytes = FRAME_BYTES;
        }
        bytes += more;
        part.push(event);
    }
    texts.push(text(Clicks { session, consent, events: part })?);
    Ok(texts)
}

/// At most so long is a text as a JSON string within a JSON string, whether or not what is beyond ASCII is escaped.
fn carried_bytes(text: &str) -> usize {
    text.bytes().map(|it| if it.is_ascii() && !matches!(it, b'"' | b'\\') { 1 } else { 4 }).sum()
}

/// # Errors
/// [`BadClicks`].
pub fn parse(text: &[u8]) -> Result<Clicks, BadClicks> {
    let document: ClicksDocument = serde_json::from_slice(text)?;
    if document.schema != SCHEMA {
        return Err(BadClicks::Schema(document.schema));
    }
    let ClicksDocument { session, consent, events, .. } = document;
    let number = u64::from_str_radix(&session, 16).ok().filter(|_| session.len() == 16);
    for event in &events {
        if let What::RecommendationShown { surface, .. } | What::RecommendationClicked { surface, .. } = &event.what
            && Surface::parse(surface).is_none()
        {
            return Err(BadClicks::Surface(surface.clone()));
        }
    }
    Ok(Clicks { session: number.ok_or(BadClicks::Session(session))?, consent, events })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(consent: bool) -> Clicks {
        let sku = || "MUG".to_owned();
        let surface = || "next".to_owned();
        let all = [
            What::View { sku: sku() },
            What::Search { text: "mug\n\"ä\"".to_owned() },
            What::AddToCart { sku: sku() },
            What::RemoveFromCart { sku: sku() },
            What::Purchase { sku: sku() },
            What::Ordered { sku: sku() },
            What::RecommendationShown { surface: surface(), skus: vec![sku()] },
            What::RecommendationClicked { surface: surface(), sku: sku() },
        ];
        let events = all.into_iter().map(|what| ClickEvent { at: 1_800_000_000, what }).collect();
        Clicks { session: 7, consent, events }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let line = text(clicks(true)).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(parse(line.as_bytes()).unwrap(), clicks(true));
        for (good, bad) in
            [("clicks/1", "clicks/2"), ("0000000000000007", "7"), ("\"next\"", "\"door\""), ("view", "stare")]
        {
            assert!(parse(line.replace(good, bad).as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"").is_err());
    }

    #[test]
    fn what_is_long_is_sent_in_parts_that_the_host_can_carry() {
        let sent = |what: &dyn Fn(usize) -> What| {
            let events = (0..100).map(|it| ClickEvent { at: 1_800_000_000, what: what(it) }).collect();
            let clicks = Clicks { session: 7, consent: true, events };
            let texts = texts(clicks.clone()).unwrap();
            let parts = texts.iter().map(|it| parse(it.as_bytes()).unwrap());
            assert!(parts.clone().all(|it| (it.session, it.consent) == (7, true)));
            assert_eq!(parts.flat_map(|it| it.events).collect::<Vec<_>>(), clicks.events, "all of it, in its order");
            for text in &texts {
                let twice = serde_json::to_string(&serde_json::to_string(text).unwrap()).unwrap();
                assert!(twice.len() <= CARRIED_MAX_BYTES, "{}", twice.len());
            }
            texts.len()
        };
        assert_eq!(sent(&|it| What::View { sku: format!("SKU-{it:060}") }), 1, "what is usual is one event");
        let skus = |it| (0..50).map(|other| format!("SKU-{it:030}{other:030}")).collect();
        assert_eq!(sent(&|it| What::RecommendationShown { surface: "next".to_owned(), skus: skus(it) }), 8);
        for (letter, parts) in [("\"", 4), ("\u{1}", 4), ("ä", 4), ("\u{1f300}", 8)] {
            assert_eq!(sent(&|_| What::Search { text: letter.repeat(200) }), parts, "{letter:?}");
        }
        assert_eq!(texts(Clicks { session: 7, consent: true, events: Vec::new() }).unwrap().len(), 1);
    }

    #[test]
    fn what_a_client_calls_a_purchase_counts_as_a_cart() {
        let kinds: Vec<Kind> = clicks(true).clicks().iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::View, Kind::Cart, Kind::Cart, Kind::Purchase]);
    }

    #[test]
    fn without_consent_what_was_shown_and_clicked_counts_and_not_that_it_was_bought() {
        let told = |consent| {
            let events = [
                What::RecommendationClicked { surface: "next".to_owned(), sku: "MUG".to_owned() },
                What::Purchase { sku: "MUG".to_owned() },
            ];
            let events = events.into_iter().map(|what| ClickEvent { at: 9, what }).collect();
            let mut outcomes = Outcomes::default();
            Clicks { session: 7, consent, events }.tell(&mut outcomes);
            let next = outcomes.finish()["next"];
            (next.clicked, next.bought)
        };
        assert_eq!((told(true), told(false)), ((1, 1), (1, 0)));
    }

    #[test]
    fn without_consent_no_item_is_seen_beside_another_and_one_call_counts_it_once() {
        let one: Vec<u64> = clicks(true).clicks().iter().map(|it| it.session).collect();
        assert_eq!(one, [7; 4]);
        let views = ["TEA", "MUG", "TEA", "MUG"].map(|sku| What::View { sku: sku.to_owned() });
        let bought = What::AddToCart { sku: "TEA".to_owned() };
        let events = views.into_iter().cycle().take(100).chain([bought]);
        let events = events.map(|what| ClickEvent { at: 9, what }).collect();
        let each = Clicks { session: 7, consent: false, events }.clicks();
        let counted: Vec<(&str, Kind)> = each.iter().map(|it| (&*it.item, it.kind)).collect();
        assert_eq!(counted, [("MUG", Kind::View), ("TEA", Kind::Cart)]);
        assert!(each[0].session != each[1].session && each.iter().all(LiveClick::is_alone));
        assert!(!clicks(true).clicks().iter().any(LiveClick::is_alone));
    }
}
