//! Clicks of the last days, to learn from. A day that is over is packed from its many batches into one object, once, so
//! that a month is read in a month's worth of reads; what is younger is read batch by batch. What recommendations came to
//! on a day is counted as it is packed.
//!
//! What must stay true: a day is packed when its late batches have come; from then on its batches are not read again.
use futures_util::{StreamExt as _, stream};
use offpeak_domain::recommend::{LiveClick, Outcomes, Segment};
use time::{Date, Duration, OffsetDateTime};

use super::RefreshError;
use crate::shared::{
    documents::{
        clicks::day::{SEGMENT_CLICKS, Unpacking, pack},
        recommendations::keep_outcomes,
    },
    operations::{
        clicks::{Clicks, ClicksError, batches},
        list_all,
    },
    ports::{
        Ports, chain,
        objects::{ObjectBody, ObjectError, ObjectName, PAGE_MAX},
    },
};

const DAYS: &str = "clicks/days";
const BATCHES: &str = "clicks/batches";
/// How long after its end the batches of a day may still come.
const LATE: Duration = Duration::hours(12);
/// Batches that are read, or objects that are removed, side by side.
const AT_ONCE: usize = 16;

/// What clicks are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Day(ObjectName),
    Batch(ObjectName),
}

impl Source {
    pub(super) fn name(&self) -> &ObjectName {
        match self {
            Source::Day(name) | Source::Batch(name) => name,
        }
    }
}

fn packed_name(day: Date) -> Result<ObjectName, RefreshError> {
    Ok(ObjectName::parse(DAYS)?.child(&day.to_string())?)
}

/// These many days up to today, oldest first.
fn window(now: OffsetDateTime, days: u16) -> impl Iterator<Item = Date> {
    (0..i64::from(days)).rev().filter_map(move |ago| now.date().checked_sub(Duration::days(ago)))
}

fn is_over(day: Date, now: OffsetDateTime) -> bool {
    day.next_day().is_some_and(|next| next.midnight().assume_utc() + LATE <= now)
}

/// Packs the oldest day that is over and is not packed; answers whether there was one.
pub(super) async fn pack_one(ports: &Ports, days: u16) -> Result<bool, RefreshError> {
    let now = ports.clock.now();
    let packed: Vec<ObjectName> = names(ports, DAYS).await?;
    for day in window(now, days).filter(|it| is_over(*it, now)) {
        let name = packed_name(day)?;
        if packed.contains(&name) {
            continue;
        }
        let batches = batches::of_day(ports, day).await?;
        if !batches.is_empty() {
            pack_day(ports, day, &name, &batches).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn pack_day(ports: &Ports, day: Date, name: &ObjectName, batches: &[ObjectName]) -> Result<(), RefreshError> {
    let mut upload = ports.objects.upload(name).await?;
    let (mut segment, mut outcomes) = (Segment::default(), Outcomes::default());
    for batches in batches.chunks(AT_ONCE) {
        for clicks in read(ports, batches).await? {
            clicks.tell(&mut outcomes);
            for click in clicks.clicks() {
                segment.clicks.push(click);
                if segment.clicks.len() == SEGMENT_CLICKS {
                    upload.write(pack(&std::mem::take(&mut segment)).map_err(ClicksError::from)?.into()).await?;
                }
            }
        }
    }
    keep_outcomes(ports.documents.as_ref(), day, outcomes.finish()).await?;
    upload.write(pack(&segment).map_err(ClicksError::from)?.into()).await?;
    match upload.finish().await {
        // Another run was faster; it has read the same.
        Ok(_) | Err(ObjectError::Taken(_)) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// Everything of the last days, oldest first.
pub(super) async fn sources(ports: &Ports, days: u16) -> Result<Vec<Source>, RefreshError> {
    let packed = names(ports, DAYS).await?;
    let mut sources = Vec::new();
    for day in window(ports.clock.now(), days) {
        let name = packed_name(day)?;
        if packed.contains(&name) {
            sources.push(Source::Day(name));
        } else {
            sources.extend(batches::of_day(ports, day).await?.into_iter().map(Source::Batch));
        }
    }
    Ok(sources)
}

async fn names(ports: &Ports, folder: &str) -> Result<Vec<ObjectName>, RefreshError> {
    Ok(list_all(ports, &ObjectName::parse(folder)?).await?.into_iter().map(|it| it.name).collect())
}

/// Clicks of sources, in their order, some at a time: memory holds a few batches, or a segment.
pub(super) struct Reading<'p> {
    ports: &'p Ports,
    sources: std::vec::IntoIter<Source>,
    day: Option<(Box<dyn ObjectBody>, Unpacking, ObjectName)>,
}

impl<'p> Reading<'p> {
    pub(super) fn new(ports: &'p Ports, sources: Vec<Source>) -> Reading<'p> {
        Reading { ports, sources: sources.into_iter(), day: None }
    }

    /// The next clicks; a batch that is damaged is left out, a day is not.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<LiveClick>>, RefreshError> {
        loop {
            if let Some(segment) = self.next_of_day().await? {
                return Ok(Some(segment.clicks));
            }
            let batches: Vec<ObjectName> = self.sources.as_slice().iter().map_while(batch).take(AT_ONCE).collect();
            if !batches.is_empty() {
                self.sources.nth(batches.len() - 1);
                let read = read(self.ports, &batches).await?;
                return Ok(Some(read.iter().flat_map(Clicks::clicks).collect()));
            }
            let Some(day) = self.sources.next() else { return Ok(None) };
            let object = self.ports.objects.read(day.name(), None).await?;
            self.day = Some((object.body, Unpacking::default(), day.name().clone()));
        }
    }

    async fn next_of_day(&mut self) -> Result<Option<Segment>, RefreshError> {
        let Some((body, unpacking, name)) = &mut self.day else { return Ok(None) };
        let refused = |err| RefreshError::Day(name.clone(), err);
        loop {
            if let Some(segment) = unpacking.segment().map_err(refused)? {
                return Ok(Some(segment));
            }
            let Some(chunk) = body.chunk().await? else {
                unpacking.finish().map_err(refused)?;
                self.day = None;
                return Ok(None);
            };
            unpacking.add(&chunk);
        }
    }
}

/// What batches hold; one that is damaged is left out.
async fn read(ports: &Ports, names: &[ObjectName]) -> Result<Vec<Clicks>, RefreshError> {
    let reads: Vec<_> = names.iter().map(|name| batches::read(ports, name)).collect();
    let mut read = stream::iter(reads).buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(batch) = read.next().await {
        match batch {
            Ok(batch) => all.extend(batch),
            Err(damaged @ ClicksError::Batch(..)) => {
                tracing::error!(error = %chain(&damaged), "A batch of clicks is left out of the model.");
            }
            Err(err) => return Err(err.into()),
        }
    }
    Ok(all)
}

fn batch(source: &Source) -> Option<ObjectName> {
    match source {
        Source::Batch(name) => Some(name.clone()),
        Source::Day(_) => None,
    }
}

/// Removes what is older than the last days; answers how many objects. Goes on at the next run where it ends early.
pub(super) async fn prune(ports: &Ports, days: u16) -> Result<usize, RefreshError> {
    let Some(oldest) = window(ports.clock.now(), days).next() else { return Ok(0) };
    let mut removed = 0;
    for folder in [DAYS, BATCHES] {
        let end = ObjectName::parse(folder)?.child(&oldest.to_string())?;
        loop {
            let page = ports.objects.list(&ObjectName::parse(folder)?, None, PAGE_MAX).await?;
            let old: Vec<ObjectName> = page.entries.into_iter().map(|it| it.name).filter(|it| *it < end).collect();
            if old.is_empty() {
                break;
            }
            let deletes: Vec<_> = old.iter().map(|name| ports.objects.delete(name)).collect();
            let mut deleted = stream::iter(deletes).buffer_unordered(AT_ONCE);
            while let Some(outcome) = deleted.next().await {
                outcome?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}
