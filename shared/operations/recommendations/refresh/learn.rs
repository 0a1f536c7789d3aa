//! Makes a model of the clicks that are kept, and judges one. What takes long runs beside the requests of the process.
use bytes::Bytes;
use offpeak_domain::{
    catalogue::Product,
    recommend::{Assembler, Builder, Comparison, HeldOut, Layout, LiveClick, Params},
};
use tokio::task::spawn_blocking;

use super::{RefreshError, archive::Source, reading::Reading};
use crate::shared::{
    documents::{
        listings::{self, CardQuery, Sort},
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

/// The model that answers, if it can be read.
pub(super) struct LiveModel {
    bytes: Bytes,
    layout: Layout,
}

/// One that cannot be read is as none: the next takes its place.
pub(super) async fn live_model(ports: &Ports) -> Result<Option<LiveModel>, RefreshError> {
    let Some(publication) = publications::current(ports, &ObjectName::parse(MODEL)?).await? else { return Ok(None) };
    let bytes = match read_whole(ports, &publication.object).await {
        Err(ObjectError::Missing(_)) => return Ok(None),
        read => read?,
    };
    let checked = spawn_blocking(move || {
        let layout = Layout::read(&bytes)?;
        layout.verify(&bytes)?;
        Ok::<_, offpeak_domain::recommend::IndexError>(LiveModel { bytes, layout })
    });
    match checked.await? {
        Ok(live) => Ok(Some(live)),
        Err(err) => {
            tracing::error!(error = %chain(&err), "The model that was published last cannot be read; the next takes its place.");
            Ok(None)
        }
    }
}

/// Puts clicks together, those after a moment apart.
#[derive(Default)]
struct Gathered {
    until: u32,
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
    let mut gathered = Gathered { until, ..Gathered::default() };
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

/// Holds a model of what came before against the one that answers, on clicks of the newest day that neither has seen.
pub(super) async fn judge(
    ports: &Ports,
    sources: Vec<Source>,
    live: LiveModel,
) -> Result<(Judged, Comparison), RefreshError> {
    let now = u32::try_from(ports.clock.now().unix_timestamp()).unwrap_or_default();
    let newest = live.layout.model(&live.bytes).newest();
    let until = newest.max(now.saturating_sub(86_400));
    let (builder, held_out, _) = gather(ports, sources, until, described(ports).await?).await?;
    let judging = spawn_blocking(move || {
        let live_age = now.saturating_sub(newest);
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
