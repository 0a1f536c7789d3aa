//! Makes a model of the clicks that are kept, and judges one. What takes long runs beside the requests of the process.
use bytes::Bytes;
use offpeak_domain::{
    catalogue::Product,
    recommend::{Assembler, Builder, Comparison, HeldOut, Layout, LiveClick, Params},
};
use time::{Duration, OffsetDateTime};
use tokio::task::spawn_blocking;

use super::{RefreshError, archive::Source, reading::Reading};
use crate::shared::{
    documents::{
        listings::{self, CardQuery, Sort},
        models::read_models,
        recommendations::Judged,
    },
    operations::{publications, read_whole, recommendations::MODEL},
    ports::{
        Ports, chain,
        documents::PAGE_MAX,
        objects::{ObjectError, ObjectName},
    },
};

/// A built model and what it was built of.
pub(super) struct Built {
    pub(super) whole: Bytes,
    pub(super) first: Bytes,
    pub(super) clicks: u64,
    pub(super) sessions: u64,
    pub(super) items: u64,
}

/// A model that has not seen the newest day, to hold a new one against.
pub(super) struct Reference {
    bytes: Bytes,
    layout: Layout,
    /// When the one that answers was made, in seconds since 1970.
    answers_since: u32,
}

/// The newest that was made a day ago or before, and no later than the one that answers; where models are made every hour,
/// the one that answers has seen all but an hour. Where none is so old, the oldest. One that cannot be read is as none.
pub(super) async fn reference(ports: &Ports) -> Result<Option<Reference>, RefreshError> {
    let Some(current) = publications::current(ports, &ObjectName::parse(MODEL)?).await? else { return Ok(None) };
    let a_day_ago = ports.clock.now() - Duration::days(1);
    let mut kept = read_models(ports.documents.as_ref()).await?.map_or_else(Vec::new, |it| it.value.kept);
    kept.retain(|it| it.version.as_str() <= current.version());
    let of = kept.iter().rfind(|it| it.at <= a_day_ago).or(kept.first());
    let of = of.map_or_else(|| Ok(current.object.clone()), |it| ObjectName::parse(it.whole.object.as_str()))?;
    let made = kept.last().filter(|it| it.version == current.version()).map(|it| seconds(it.at));
    let bytes = match read_whole(ports, &of).await {
        Err(ObjectError::Missing(_)) => return Ok(None),
        read => read?,
    };
    let checked = spawn_blocking(move || {
        let layout = Layout::read(&bytes)?;
        layout.verify(&bytes)?;
        let answers_since = made.unwrap_or_else(|| layout.model(&bytes).newest());
        Ok::<_, offpeak_domain::recommend::IndexError>(Reference { bytes, layout, answers_since })
    });
    match checked.await? {
        Ok(reference) => Ok(Some(reference)),
        Err(err) => {
            tracing::error!(error = %chain(&err), "The model {of} cannot be read, so the next is not held against it.");
            Ok(None)
        }
    }
}

fn seconds(at: OffsetDateTime) -> u32 {
    u32::try_from(at.unix_timestamp()).unwrap_or_default()
}

/// Puts clicks together, those after a moment apart.
#[derive(Default)]
struct Gathered {
    until: u32,
    /// Nothing counts as later than that, whoever wrote it to the hub.
    now: u32,
    clicks: u64,
    before: Assembler,
    after: Assembler,
    held_out: HeldOut,
}

impl Gathered {
    /// What is not for sale is left out: anybody may say to have seen anything.
    fn add(&mut self, clicks: &[LiveClick], builder: &mut Builder) {
        for click in clicks {
            if !builder.knows(&click.item) {
                continue;
            }
            self.clicks += 1;
            let ahead = (click.at > self.now).then(|| LiveClick { at: self.now, ..click.clone() });
            let click = ahead.as_ref().unwrap_or(click);
            if click.at <= self.until {
                self.before.add(click, builder);
            } else {
                self.after.add(click, &mut self.held_out);
            }
        }
    }
}

async fn gather(
    ports: &Ports,
    sources: Vec<Source>,
    until: u32,
    mut builder: Builder,
) -> Result<(Builder, HeldOut, u64), RefreshError> {
    let now = seconds(ports.clock.now());
    let mut gathered = Gathered { until, now, ..Gathered::default() };
    let mut reading = Reading::new(ports, sources);
    while let Some(clicks) = reading.next().await? {
        let adding = spawn_blocking(move || {
            gathered.add(&clicks, &mut builder);
            (gathered, builder)
        });
        (gathered, builder) = adding.await?;
    }
    let finishing = spawn_blocking(move || {
        let Gathered { before, after, mut held_out, clicks, .. } = gathered;
        before.finish(&mut builder);
        after.finish(&mut held_out);
        (builder, held_out, clicks)
    });
    Ok(finishing.await?)
}

/// Holds a model of what came before the newest day against one that was made before it, on the clicks of that day: so
/// neither has seen them.
pub(super) async fn judge(
    ports: &Ports,
    sources: Vec<Source>,
    live: Reference,
) -> Result<(Judged, Comparison), RefreshError> {
    let now = seconds(ports.clock.now());
    let until = live.layout.model(&live.bytes).newest().max(now.saturating_sub(86_400));
    let (builder, held_out, _) = gather(ports, sources, until, described(ports).await?).await?;
    let judging = spawn_blocking(move || {
        let live_age = now.saturating_sub(live.answers_since);
        let mut comparison = Comparison { events: held_out.events(), live_mrr: 0.0, new_mrr: 0.0, live_age };
        if !comparison.is_judged() {
            return (Judged { events: held_out.events(), live_mrr: None, new_mrr: None }, comparison);
        }
        let file = builder.finish_fitted();
        comparison.live_mrr = held_out.judge(&live.layout.model(&live.bytes)).mrr();
        comparison.new_mrr = Layout::read(&file).map_or(0.0, |it| held_out.judge(&it.model(&file)).mrr());
        let (live_mrr, new_mrr) = (Some(comparison.live_mrr), Some(comparison.new_mrr));
        (Judged { events: held_out.events(), live_mrr, new_mrr }, comparison)
    });
    Ok(judging.await?)
}

/// The model of all that is kept.
pub(super) async fn build(ports: &Ports, sources: Vec<Source>) -> Result<Built, RefreshError> {
    let (builder, _, clicks) = gather(ports, sources, u32::MAX, described(ports).await?).await?;
    let building = spawn_blocking(move || {
        let sessions = builder.sessions() as u64;
        let (whole, first) = builder.finish_both().unwrap_or_default();
        let items = Layout::read(&whole).map_or(0, |it| it.model(&whole).items());
        Built { whole: whole.into(), first: first.into(), clicks, sessions, items: u64::from(items) }
    });
    Ok(building.await?)
}

/// A builder that knows what is sold.
async fn described(ports: &Ports) -> Result<Builder, RefreshError> {
    let mut builder = Builder::new(&Params::default());
    let mut query = CardQuery { category: None, words: Vec::new(), sort: Sort::Title, limit: PAGE_MAX, after: None };
    loop {
        let page = listings::page(ports.documents.as_ref(), &query).await?;
        page.products.iter().for_each(|it| describe(&mut builder, it));
        query.after = page.next;
        if query.after.is_none() {
            return Ok(builder);
        }
    }
}

fn describe(builder: &mut Builder, product: &Product) {
    let facts = product.facts();
    let title = facts.title.as_str();
    for variant in &facts.variants {
        let parts = title.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
        builder.describe(variant.sku.as_str(), facts.category.slug().as_str(), parts);
    }
}

#[cfg(test)]
mod tests {
    use offpeak_domain::recommend::{Kind, Stage};

    use super::*;

    #[test]
    fn nothing_counts_as_later_than_now() {
        let mut builder = Builder::new(&Params::default());
        let view = |at, item: &str| LiveClick { session: 7, at, item: item.into(), kind: Kind::View };
        for item in ["MUG", "TEA"] {
            builder.describe(item, "kitchen", std::iter::empty());
        }
        let mut gathered = Gathered { until: u32::MAX, now: 2_000, ..Gathered::default() };
        gathered.add(&[view(1_900, "MUG"), view(4_000_000_000, "TEA")], &mut builder);
        gathered.before.finish(&mut builder);
        let file = builder.finish(Stage::Whole);
        let model = Layout::read(&file).unwrap().model(&file);
        assert_eq!((model.sessions(), model.newest()), (1, 2_000));
    }
}
