//! What answers: a model, or none yet, with what happened since laid over it.
use std::{cell::RefCell, sync::Arc, time::Duration};

use bytes::Bytes;
use offpeak_domain::recommend::{
    Consent, Live, Model, Overlay, Query, Reason, Recommended, Scratch, Seen, Segment, Stage, Surface, Tuning,
    recommend,
};
use offpeak_model_file::{ModelFile, ModelFileError};
use quick_cache::{Weighter, sync::Cache};
use serde::Serialize;
use tokio::time::Instant;

use super::ask::Anyones;

/// How long an answer that is nobody's own is given again.
const KEPT: Duration = Duration::from_secs(10);
/// Bytes of such answers, and of one as a rule.
const KEPT_MAX_BYTES: u64 = 16 * 1024 * 1024;
const USUAL_BYTES: u64 = 4 * 1024;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 200;

thread_local! {
    /// What a query works in, kept for the next one of this thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Never changed; what is new takes its place, and with it goes what it has answered.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) opened: Arc<Opened>,
    overlay: Option<Overlay>,
    answers: Cache<Anyones, (Instant, Bytes), ByBytes>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Anyones, (Instant, Bytes)> for ByBytes {
    fn weight(&self, _: &Anyones, answer: &(Instant, Bytes)) -> u64 {
        (answer.1.len() + ENTRY_BYTES) as u64
    }
}

/// A model that was opened, and what is worked out for it once.
#[derive(Debug)]
pub(super) struct Opened {
    /// `None`: there is no model yet, and the last hour is laid over nothing.
    file: Option<ModelFile>,
    tuning: Tuning,
    pub(super) version: Option<Version>,
}

/// Which publication a model is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) stage: Stage,
    pub(super) name: String,
}

impl Opened {
    pub(super) fn nothing() -> Opened {
        Opened { file: None, tuning: Tuning::new(&Model::empty()), version: None }
    }

    pub(super) fn file(file: ModelFile, version: Version) -> Opened {
        Opened { tuning: Tuning::new(&file.model()), file: Some(file), version: Some(version) }
    }

    fn model(&self) -> Model<'_> {
        self.file.as_ref().map_or_else(Model::empty, ModelFile::model)
    }

    /// What its model was made of is in it up to here, in seconds since 1970.
    pub(super) fn newest(&self) -> u32 {
        self.model().newest()
    }

    /// Compares every byte of the file with its checksum; slow.
    pub(super) fn verify(&self) -> Result<(), ModelFileError> {
        self.file.as_ref().map_or(Ok(()), ModelFile::verify)
    }

    /// What came since, to be laid over this model; slow.
    pub(super) fn overlay<'s>(&self, segments: impl Iterator<Item = &'s Segment>, since: u32) -> Overlay {
        let model = self.model();
        Overlay::new(&model, &model.params(Seen::Hidden), segments, since)
    }
}

/// Why an item is shown, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Why<'r> {
    pub(super) kind: &'static str,
    /// The SKU or the category that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<&'r str>,
}

impl<'r> From<Reason<'r>> for Why<'r> {
    fn from(reason: Reason<'r>) -> Why<'r> {
        let (kind, of) = match reason {
            Reason::SeenWith(of) => ("seen_with", Some(of)),
            Reason::BoughtWith(of) => ("bought_with", Some(of)),
            Reason::InCartWith(of) => ("in_cart_with", Some(of)),
            Reason::Like(of) => ("like", Some(of)),
            Reason::TrendingIn(of) => ("trending_in", Some(of)),
            Reason::Trending => ("trending", None),
            Reason::Seen => ("seen", None),
        };
        Why { kind, of }
    }
}

/// What the model is asked.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) surface: Surface,
    pub(super) session: &'q [String],
    pub(super) cart: &'q [String],
    pub(super) category: Option<&'q str>,
    pub(super) consent: Consent,
    pub(super) limit: usize,
    /// Of the session that asks, so that it is not its own neighbour.
    pub(super) own: Option<u64>,
}

impl Serving {
    pub(super) fn of(opened: Arc<Opened>) -> Serving {
        Serving::new(opened, None)
    }

    /// The same model under what is newer.
    pub(super) fn with(&self, overlay: Overlay) -> Serving {
        Serving::new(Arc::clone(&self.opened), Some(overlay))
    }

    fn new(opened: Arc<Opened>, overlay: Option<Overlay>) -> Serving {
        let usual = usize::try_from(KEPT_MAX_BYTES / USUAL_BYTES).unwrap_or_default();
        Serving { opened, overlay, answers: Cache::with_weighter(usual, KEPT_MAX_BYTES, ByBytes) }
    }

    /// What was answered to this a moment ago.
    pub(super) fn answer(&self, asked: &Anyones) -> Option<Bytes> {
        self.answers.get(asked).filter(|it| it.0.elapsed() < KEPT).map(|it| it.1)
    }

    pub(super) fn keep(&self, asked: Anyones, answer: Bytes) {
        self.answers.insert(asked, (Instant::now(), answer));
    }

    /// What the model says, best first.
    pub(super) fn picks(&self, asked: &Question<'_>) -> Vec<Recommended<'_>> {
        let model = self.opened.model();
        let live = self.overlay.as_ref().map_or_else(|| Live::new(model), |it| Live::with(model, it, asked.own));
        let (session, cart): (Vec<&str>, Vec<&str>) =
            (asked.session.iter().map(String::as_str).collect(), asked.cart.iter().map(String::as_str).collect());
        let query = Query {
            surface: asked.surface,
            session: &session,
            cart: &cart,
            category: asked.category,
            consent: asked.consent,
            limit: asked.limit,
        };
        SCRATCH.with_borrow_mut(|scratch| recommend(&live, &self.opened.tuning, &query, scratch))
    }
}
