//! Clicks out of the archive, in the order of their sources: memory holds a few batches, or a segment.
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use offpeak_domain::recommend::{LiveClick, Segment};
use tokio::task::spawn_blocking;

use super::{
    RefreshError,
    archive::{READS_MAX, Source},
};
use crate::shared::{
    documents::clicks::{day::Unpacking, frames::Frames, stored::unpack},
    operations::{clicks::Clicks, read_whole},
    ports::{
        Ports, chain,
        objects::{ObjectBody, ObjectError, ObjectName},
    },
};

/// Batches that are unpacked at once.
const UNPACKED_AT_ONCE: usize = 4;

/// Bytes of batches and what they lie in.
type Packed = (ObjectName, Bytes);

/// The batches of an hour, as they arrive.
pub(super) struct Hour {
    name: ObjectName,
    body: Box<dyn ObjectBody>,
    frames: Frames,
}

impl Hour {
    pub(super) async fn open(ports: &Ports, name: ObjectName) -> Result<Hour, RefreshError> {
        let body = ports.objects.read(&name, None).await?.body;
        Ok(Hour { name, body, frames: Frames::default() })
    }

    /// The next of them; one that is damaged is left out, an hour is not.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Clicks>>, RefreshError> {
        let mut pieces = Vec::new();
        while pieces.is_empty() {
            let Some(chunk) = self.body.chunk().await? else {
                self.frames.finish().map_err(|cut| RefreshError::Day(self.name.clone(), cut.into()))?;
                return Ok(None);
            };
            self.frames.add(&chunk);
            while let Some(piece) =
                self.frames.piece().map_err(|cut| RefreshError::Day(self.name.clone(), cut.into()))?
            {
                pieces.push((self.name.clone(), piece));
            }
        }
        unpacked(pieces).await.map(Some)
    }
}

/// What is read at the moment.
enum Open<'p> {
    Day(ObjectName, Box<dyn ObjectBody>, Unpacking),
    Hour(Hour),
    Batches(BoxStream<'p, Vec<Result<Packed, ObjectError>>>),
}

/// Clicks of sources, in their order, some at a time.
pub(super) struct Reading<'p> {
    ports: &'p Ports,
    sources: std::vec::IntoIter<Source>,
    open: Option<Open<'p>>,
}

impl<'p> Reading<'p> {
    pub(super) fn new(ports: &'p Ports, sources: Vec<Source>) -> Reading<'p> {
        Reading { ports, sources: sources.into_iter(), open: None }
    }

    /// The next clicks; a batch that is damaged is left out, a day or an hour is not.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<LiveClick>>, RefreshError> {
        loop {
            let next = match &mut self.open {
                None => None,
                Some(Open::Day(name, body, unpacking)) => {
                    segment(name, body.as_mut(), unpacking).await?.map(|it| it.clicks)
                }
                Some(Open::Hour(hour)) => hour.next().await?.map(|it| clicks(&it)),
                Some(Open::Batches(batches)) => match batches.next().await {
                    Some(read) => Some(clicks(&unpacked(read.into_iter().collect::<Result<_, _>>()?).await?)),
                    None => None,
                },
            };
            if next.is_some() {
                return Ok(next);
            }
            self.open = self.open_next().await?;
            if self.open.is_none() {
                return Ok(None);
            }
        }
    }

    async fn open_next(&mut self) -> Result<Option<Open<'p>>, RefreshError> {
        let names: Vec<ObjectName> = self.sources.as_slice().iter().map_while(batch).collect();
        if let Some(last) = names.len().checked_sub(1) {
            self.sources.nth(last);
            let read = stream::iter(reads(self.ports, names)).buffered(READS_MAX).ready_chunks(UNPACKED_AT_ONCE);
            return Ok(Some(Open::Batches(read.boxed())));
        }
        Ok(match self.sources.next() {
            None => None,
            Some(Source::Hour(name)) => Some(Open::Hour(Hour::open(self.ports, name).await?)),
            Some(Source::Day(name) | Source::Batch(name)) => {
                let body = self.ports.objects.read(&name, None).await?.body;
                Some(Open::Day(name, body, Unpacking::default()))
            }
        })
    }
}

/// Reads of batches, none of which has begun.
pub(super) fn reads(
    ports: &Ports,
    names: Vec<ObjectName>,
) -> Vec<impl Future<Output = Result<Packed, ObjectError>> + Send + use<'_>> {
    let read = |name: ObjectName| async move {
        let bytes = read_whole(ports, &name).await?;
        Ok((name, bytes))
    };
    names.into_iter().map(read).collect()
}

fn batch(source: &Source) -> Option<ObjectName> {
    match source {
        Source::Batch(name) => Some(name.clone()),
        Source::Day(_) | Source::Hour(_) => None,
    }
}

fn clicks(all: &[Clicks]) -> Vec<LiveClick> {
    all.iter().flat_map(Clicks::clicks).collect()
}

/// The next segment of a day.
async fn segment(
    name: &ObjectName,
    body: &mut dyn ObjectBody,
    unpacking: &mut Unpacking,
) -> Result<Option<Segment>, RefreshError> {
    let refused = |err| RefreshError::Day(name.clone(), err);
    loop {
        if let Some(segment) = unpacking.segment().map_err(refused)? {
            return Ok(Some(segment));
        }
        let Some(chunk) = body.chunk().await? else {
            unpacking.finish().map_err(refused)?;
            return Ok(None);
        };
        unpacking.add(&chunk);
    }
}

/// What batches hold; one that is damaged is left out.
async fn unpacked(batches: Vec<Packed>) -> Result<Vec<Clicks>, RefreshError> {
    let unpacking = spawn_blocking(move || {
        let mut all = Vec::new();
        for (name, bytes) in batches {
            match unpack(&bytes) {
                Ok(batch) => all.extend(batch),
                Err(damaged) => {
                    tracing::error!(error = %chain(&damaged), "A batch of clicks in {name} is left out of the model.");
                }
            }
        }
        all
    });
    Ok(unpacking.await?)
}
