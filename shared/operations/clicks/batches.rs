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
/// Seconds after its end that an hour is open for batches; then it is packed, and its batches are not read again.
pub const OPEN_SECONDS: u32 = 3_600;
/// Of these, the last in which nothing is added: longer than an invocation lasts, and than clocks differ.
const MARGIN_SECONDS: u32 = 900;

/// When a batch is kept as of: the time of its newest click, as long as that hour is open. What came later than that
/// (a client without a network, a partition that waited) is kept as of now, so that it is learnt all the same.
pub const fn kept_as_of(newest: u32, now: u32) -> u32 {
    let end = newest - newest % 3_600 + 3_600;
    if now.saturating_add(MARGIN_SECONDS) < end.saturating_add(OPEN_SECONDS) { newest } else { now }
}

/// Where a batch lies: its hour, its partition, and its first and last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub partition: &'a str,
    pub first: i64,
    pub last: i64,
    /// When it is kept as of, in seconds since 1970: see [`kept_as_of`].
    pub as_of: u32,
}

impl Place<'_> {
    /// Its name in the folder of a kind. What is in it tells it from a batch of a hub that counted anew.
    pub(super) fn name(&self, folder: &str, content: &[u8]) -> Result<ObjectName, ClicksError> {
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(i64::from(self.as_of));
        let folder = ObjectName::parse(folder)?.child(&at.date().to_string())?.child(&format!("{:02}", at.hour()))?;
        let name = format!("{}-{:020}-{:020}-{:016x}", self.partition, self.first, self.last, xxh64(content));
        Ok(folder.child(&name)?)
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

/// Names of the batches of a day, in order of hour, partition and time.
///
/// # Errors
/// [`ClicksError`].
pub async fn of_day(ports: &Ports, day: Date) -> Result<Vec<ObjectName>, ClicksError> {
    let folder = ObjectName::parse(FOLDER)?.child(&day.to_string())?;
    Ok(list_all(ports, &folder).await?.into_iter().map(|it| it.name).collect())
}

/// The hour of the day that a batch is kept under; what was kept under its day alone counts to the first.
pub fn hour_of(name: &ObjectName) -> u8 {
    let mut parts = name.as_str().rsplit('/').skip(1);
    parts.next().filter(|it| it.len() == 2).and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// # Errors
/// [`ClicksError`].
pub async fn read(ports: &Ports, name: &ObjectName) -> Result<Vec<Clicks>, ClicksError> {
    let bytes = read_whole(ports, name).await?;
    unpack(&bytes).map_err(|source| ClicksError::Batch(name.clone(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_lies_under_the_hour_of_its_newest_click_as_long_as_that_is_open() {
        // 2027-01-15 08:00:00.
        let hour = 1_800_000_000;
        let newest = hour - 1_800;
        for now in [newest, hour + 600, hour + 2_699] {
            assert_eq!(kept_as_of(newest, now), newest, "{now}");
        }
        for now in [hour + 2_700, hour + 86_400] {
            assert_eq!(kept_as_of(newest, now), now, "{now}");
        }
        let name = |as_of| Place { partition: "0", first: 1, last: 2, as_of }.name(FOLDER, b"").unwrap();
        assert!(name(newest).as_str().starts_with("clicks/batches/2027-01-15/07/0-0"), "{}", name(newest));
        assert_eq!((hour_of(&name(newest)), hour_of(&name(hour))), (7, 8));
        assert_eq!(hour_of(&ObjectName::parse("clicks/batches/2027-01-15/0-1-2").unwrap()), 0);
    }
}
