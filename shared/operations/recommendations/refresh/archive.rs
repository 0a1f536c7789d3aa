//! Clicks of the last days, to learn from. An hour that is over is packed from its many batches into one object, and a day
//! from its hours, each once, so that a month is read in a month's worth of reads; what is younger is read batch by batch.
//! What recommendations came to on a day is counted as it is packed.
//!
//! What must stay true: an hour is packed when nothing is added to it any more, and its batches are not read again; a run
//! that ends while it packs a day's hours leaves those that are done.
use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use offpeak_domain::recommend::{Outcomes, Segment};
use time::{Date, Duration, OffsetDateTime};

use super::{
    RefreshError,
    reading::{Hour, reads},
};
use crate::shared::{
    documents::{
        clicks::{
            day::{SEGMENT_CLICKS, pack},
            frames::frame,
        },
        recommendations::keep_outcomes,
    },
    operations::{
        clicks::{
            ClicksError,
            batches::{self, OPEN_SECONDS, hour_of},
        },
        list_all,
    },
    ports::{
        Ports,
        objects::{OBJECT_MAX_BYTES, ObjectError, ObjectName, PAGE_MAX, Upload},
    },
};

const DAYS: &str = "clicks/days";
const HOURS: &str = "clicks/hours";
const BATCHES: &str = "clicks/batches";
/// Batches that are read side by side; each may have some megabytes.
pub(super) const READS_MAX: usize = 16;
/// Objects that are removed side by side.
const REMOVALS_MAX: usize = 64;

/// What clicks are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Day(ObjectName),
    Hour(ObjectName),
    Batch(ObjectName),
}

impl Source {
    pub(super) fn name(&self) -> &ObjectName {
        match self {
            Source::Day(name) | Source::Hour(name) | Source::Batch(name) => name,
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

/// Whether nothing is added any more to these first hours of a day.
fn is_over(day: Date, hours: u8, now: OffsetDateTime) -> bool {
    day.midnight().assume_utc() + Duration::hours(hours.into()) + Duration::seconds(OPEN_SECONDS.into()) <= now
}

/// What a day that is not packed lies in.
struct Kept {
    /// Hours that are packed.
    hours: Vec<ObjectName>,
    /// Batches of the other hours.
    batches: Vec<ObjectName>,
}

async fn kept(ports: &Ports, day: Date) -> Result<Kept, RefreshError> {
    let hours = names(ports, &format!("{HOURS}/{day}")).await?;
    let packed: BTreeSet<u8> = hours.iter().filter_map(|it| it.as_str().rsplit('/').next()?.parse().ok()).collect();
    let mut batches = batches::of_day(ports, day).await?;
    batches.retain(|it| !packed.contains(&hour_of(it)));
    Ok(Kept { hours, batches })
}

/// Packs the oldest hour that is over and is not packed, or the day of which it was the last; answers whether there was
/// one.
pub(super) async fn pack_one(ports: &Ports, days: u16) -> Result<bool, RefreshError> {
    let now = ports.clock.now();
    let packed: Vec<ObjectName> = names(ports, DAYS).await?;
    for day in window(now, days) {
        let name = packed_name(day)?;
        if packed.contains(&name) {
            continue;
        }
        let Kept { hours, mut batches } = kept(ports, day).await?;
        if let Some(hour) = batches.iter().map(hour_of).min().filter(|it| is_over(day, it + 1, now)) {
            batches.retain(|it| hour_of(it) == hour);
            let name = ObjectName::parse(HOURS)?.child(&day.to_string())?.child(&format!("{hour:02}"))?;
            pack_hour(ports, &name, batches).await?;
            return Ok(true);
        }
        if is_over(day, 24, now) && !hours.is_empty() {
            pack_day(ports, day, &name, hours).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn pack_hour(ports: &Ports, name: &ObjectName, batches: Vec<ObjectName>) -> Result<(), RefreshError> {
    let mut packing = Packing::begin(ports, name).await?;
    let mut read = stream::iter(reads(ports, batches)).buffered(READS_MAX);
    while let Some(batch) = read.next().await {
        packing.write(frame(&batch?.1)).await?;
    }
    packing.finish(name).await
}

async fn pack_day(ports: &Ports, day: Date, name: &ObjectName, hours: Vec<ObjectName>) -> Result<(), RefreshError> {
    let mut packing = Packing::begin(ports, name).await?;
    let (mut segment, mut outcomes) = (Segment::default(), Outcomes::default());
    for hour in hours {
        let mut hour = Hour::open(ports, hour).await?;
        while let Some(read) = hour.next().await? {
            for clicks in read {
                clicks.tell(&mut outcomes);
                for click in clicks.clicks() {
                    segment.clicks.push(click);
                    if segment.clicks.len() == SEGMENT_CLICKS {
                        packing.write(pack(&std::mem::take(&mut segment)).map_err(ClicksError::from)?).await?;
                    }
                }
            }
        }
    }
    keep_outcomes(ports.documents.as_ref(), day, outcomes.finish()).await?;
    packing.write(pack(&segment).map_err(ClicksError::from)?).await?;
    packing.finish(name).await
}

/// An object in the making. What it cannot hold is left out: one that is refused as too long would stop this run, and
/// every run after it at the same hour.
struct Packing {
    upload: Box<dyn Upload>,
    /// Bytes that still fit.
    room: u64,
    left_out: u64,
}

impl Packing {
    async fn begin(ports: &Ports, name: &ObjectName) -> Result<Packing, RefreshError> {
        Ok(Packing { upload: ports.objects.upload(name).await?, room: OBJECT_MAX_BYTES, left_out: 0 })
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), RefreshError> {
        let length = bytes.len() as u64;
        if self.left_out > 0 || length > self.room {
            self.left_out += length;
            return Ok(());
        }
        self.room -= length;
        Ok(self.upload.write(bytes).await?)
    }

    async fn finish(self, name: &ObjectName) -> Result<(), RefreshError> {
        if self.left_out > 0 {
            let bytes = self.left_out;
            tracing::error!(event.bytes = bytes, "{name} holds no more: {bytes} bytes of clicks are in no model.");
        }
        match self.upload.finish().await {
            // Another run was faster; it has read the same.
            Ok(_) | Err(ObjectError::Taken(_)) => Ok(()),
            Err(err) => Err(err.into()),
        }
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
            continue;
        }
        let Kept { hours, batches } = kept(ports, day).await?;
        sources.extend(hours.into_iter().map(Source::Hour));
        sources.extend(batches.into_iter().map(Source::Batch));
    }
    Ok(sources)
}

async fn names(ports: &Ports, folder: &str) -> Result<Vec<ObjectName>, RefreshError> {
    Ok(list_all(ports, &ObjectName::parse(folder)?).await?.into_iter().map(|it| it.name).collect())
}

/// Removes what is older than the last days; answers how many objects. Goes on at the next run where it ends early.
pub(super) async fn prune(ports: &Ports, days: u16) -> Result<usize, RefreshError> {
    let Some(oldest) = window(ports.clock.now(), days).next() else { return Ok(0) };
    let mut removed = 0;
    for folder in [DAYS, HOURS, BATCHES] {
        let end = ObjectName::parse(folder)?.child(&oldest.to_string())?;
        loop {
            let page = ports.objects.list(&ObjectName::parse(folder)?, None, PAGE_MAX).await?;
            let old: Vec<ObjectName> = page.entries.into_iter().map(|it| it.name).filter(|it| *it < end).collect();
            if old.is_empty() {
                break;
            }
            let deletes: Vec<_> = old.iter().map(|name| ports.objects.delete(name)).collect();
            let mut deleted = stream::iter(deletes).buffer_unordered(REMOVALS_MAX);
            while let Some(outcome) = deleted.next().await {
                outcome?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    #[async_trait]
    impl Upload for Written {
        async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
            self.0.lock().unwrap().extend_from_slice(&bytes);
            Ok(())
        }

        async fn finish(self: Box<Self>) -> Result<u64, ObjectError> {
            Ok(self.0.lock().unwrap().len() as u64)
        }
    }

    #[tokio::test]
    async fn what_an_object_cannot_hold_is_left_out_and_stops_nothing() {
        let written = Written::default();
        let mut packing = Packing { upload: Box::new(written.clone()), room: 10, left_out: 0 };
        for (piece, left_out) in [("123456", 0), ("7890", 0), ("12", 2), ("", 2), ("3", 3)] {
            packing.write(Bytes::from_static(piece.as_bytes())).await.unwrap();
            assert_eq!(packing.left_out, left_out, "{piece}");
        }
        packing.finish(&ObjectName::parse("clicks/hours/2027-01-15/08").unwrap()).await.unwrap();
        assert_eq!(*written.0.lock().unwrap(), b"1234567890");
    }
}
