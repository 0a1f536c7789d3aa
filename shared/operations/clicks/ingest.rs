//! Takes a batch of the hub: what cannot be read is set aside with its reason, the rest is kept and added to the last
//! hour. Every step can be done twice, so a batch that failed half-way comes again whole.
use serde_json::json;

use super::{
    ClicksError,
    batches::{self, Place},
    live::{self, Numbered},
};
use crate::shared::{
    documents::clicks::{event::parse, stored::pack},
    ports::{Ports, chain, objects::ObjectError},
};

const SET_ASIDE: &str = "clicks/set_aside";
/// Bytes of an event that was set aside which are kept with its reason.
const SHOWN_BYTES: usize = 4 * 1024;

/// An event as the hub handed it over.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// In its partition; only grows.
    pub number: i64,
    pub body: &'a [u8],
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    pub clicks: usize,
    pub set_aside: usize,
}

/// # Errors
/// [`ClicksError`]; then the batch is to come again.
pub async fn ingest(ports: &Ports, partition: &str, events: &[Arrived<'_>]) -> Result<Ingested, ClicksError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(Ingested::default()) };
    let now = u32::try_from(ports.clock.now().unix_timestamp()).unwrap_or_default();
    let (mut lines, mut bad, mut clicks) = (Vec::new(), Vec::new(), Numbered::new());
    for event in events {
        match parse(event.body) {
            Ok(read) => {
                lines.push(event.body);
                // Whoever writes to the hub by other ways than ours may not date anything ahead either.
                clicks.extend(read.clicks().into_iter().map(|mut click| {
                    click.at = click.at.min(now);
                    (event.number, click)
                }));
            }
            Err(why) => bad.push((event, chain(&why))),
        }
    }
    let newest = clicks.iter().map(|(_, click)| click.at).max().unwrap_or(now);
    let as_of = batches::kept_as_of(newest, now);
    let place = Place { partition, first: first.number, last: last.number, as_of };
    if !bad.is_empty() {
        tracing::warn!(event.count = bad.len(), "{} events of {partition} are set aside: {}", bad.len(), bad[0].1);
        set_aside(ports, &place, &bad).await?;
    }
    if !lines.is_empty() {
        batches::keep(ports, &place, &lines).await?;
    }
    live::append(ports, partition, last.number, &clicks).await?;
    Ok(Ingested { clicks: clicks.len(), set_aside: bad.len() })
}

async fn set_aside(ports: &Ports, place: &Place<'_>, bad: &[(&Arrived<'_>, String)]) -> Result<(), ClicksError> {
    let lines: Vec<String> = bad
        .iter()
        .map(|(event, reason)| {
            let shown = &event.body[..event.body.len().min(SHOWN_BYTES)];
            json!({ "number": event.number, "reason": reason, "body": String::from_utf8_lossy(shown) }).to_string()
        })
        .collect();
    let packed = pack(lines.iter().map(String::as_bytes))?;
    match ports.objects.put(&place.name(SET_ASIDE, &packed)?, packed.into()).await {
        Ok(()) | Err(ObjectError::Taken(_)) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
