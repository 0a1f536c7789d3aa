//! Batches of the hub as they are kept, under names made from what they hold: a batch that comes twice is kept once.
use offpeak_domain::recommend::xxh64;
use time::{Date, OffsetDateTime};

use super::{Clicks, ClicksError};
use crate::shared::{
    documents::clicks::stored::{pack, unpack},
    operations::{list_all, read_whole},
    ports::{
        Ports,
        objects::{ObjectError, ObjectName},
    },
};

const FOLDER: &str = "clicks/batches";

/// Where a batch lies: its day, its partition, and its first and last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub partition: &'a str,
    pub first: i64,
    pub last: i64,
    /// Of its newest click, in seconds since 1970.
    pub newest: u32,
}

impl Place<'_> {
    /// Its name in the folder of a kind. What is in it tells it from a batch of a hub that counted anew.
    pub(super) fn name(&self, folder: &str, content: &[u8]) -> Result<ObjectName, ClicksError> {
        let day = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(i64::from(self.newest));
        let name = format!("{}-{:020}-{:020}-{:016x}", self.partition, self.first, self.last, xxh64(content));
        Ok(ObjectName::parse(folder)?.child(&day.date().to_string())?.child(&name)?)
    }
}

/// Keeps the lines of a batch. That they are kept already is well.
///
/// # Errors
/// [`ClicksError`].
pub async fn keep(ports: &Ports, place: &Place<'_>, lines: &[&[u8]]) -> Result<(), ClicksError> {
    let packed = pack(lines.iter().copied())?;
    match ports.objects.put(&place.name(FOLDER, &packed)?, packed.into()).await {
        Ok(()) | Err(ObjectError::Taken(_)) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// Names of the batches of a day, in order of partition and time.
///
/// # Errors
/// [`ClicksError`].
pub async fn of_day(ports: &Ports, day: Date) -> Result<Vec<ObjectName>, ClicksError> {
    let folder = ObjectName::parse(FOLDER)?.child(&day.to_string())?;
    Ok(list_all(ports, &folder).await?.into_iter().map(|it| it.name).collect())
}

/// # Errors
/// [`ClicksError`].
pub async fn read(ports: &Ports, name: &ObjectName) -> Result<Vec<Clicks>, ClicksError> {
    let bytes = read_whole(ports, name).await?;
    unpack(&bytes).map_err(|source| ClicksError::Batch(name.clone(), source))
}
