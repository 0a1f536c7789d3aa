//! The last hour of clicks, for every process that recommends: for each partition of the hub a pointer, and for each
//! of its minutes a segment. A segment is written once, under the number of its last event; the next batch of the same
//! minute writes a longer one and moves the pointer, so whoever reads sees the one or the other, and an event that comes
//! twice is in it once.
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use offpeak_domain::recommend::{LiveClick, Segment};

use super::ClicksError;
use crate::shared::{
    documents::clicks::live::{LiveHour, parse, text},
    operations::{list_all, read_whole},
    ports::{
        Ports,
        documents::ETag,
        objects::{ObjectError, ObjectName, Pointer},
    },
};

const POINTERS: &str = "clicks/live/partitions";
const SEGMENTS: &str = "clicks/live/segments";
/// Minutes that stay: the hour between two models, and what it takes until the next is made and every process has it.
pub const MINUTES: u32 = 90;
/// Clicks of a minute of one partition; what is more waits for the next model.
pub const MINUTE_MAX: usize = 5_000;
/// Of these, clicks that are put beside no others: however many there are, there is room for sessions.
const ALONE_MAX: usize = MINUTE_MAX / 2;
/// Clicks of one session in a minute; what is more is no shopper.
const SESSION_MAX: usize = 60;
/// Clicks that a process keeps, of all partitions: some 20 MB.
pub const CLICKS_MAX: usize = 200_000;
/// Partitions that are read.
const PARTITIONS_MAX: usize = 128;
/// Segments that a process reads side by side: one that begins has an hour to read.
const READS_MAX: usize = 16;
/// Times that a pointer is moved again when somebody else was faster.
const TRIES: usize = 5;

/// Numbered clicks of one batch, in the order of their numbers.
pub type Numbered = Vec<(i64, LiveClick)>;

fn segment_name(partition: &str, minute: u32, last: i64) -> Result<ObjectName, ClicksError> {
    Ok(ObjectName::parse(SEGMENTS)?.child(&format!("{minute:010}-{partition}-{last:020}"))?)
}

/// The minute in which the clicks of a segment came.
fn minute_in(name: &ObjectName) -> u32 {
    let digits = name.as_str().rsplit('/').next().and_then(|it| it.split('-').next());
    digits.and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// Adds what is new of a batch to the minute that it came in; `last` is the number of the batch's last event.
///
/// # Errors
/// [`ClicksError`].
pub async fn append(ports: &Ports, partition: &str, last: i64, clicks: &Numbered) -> Result<(), ClicksError> {
    let pointer = ObjectName::parse(POINTERS)?.child(partition)?;
    let minute = minute_of(ports.clock.now().unix_timestamp());
    for _ in 0..TRIES {
        let seen = ports.objects.pointer(&pointer).await?;
        let (mut hour, etag) = read_hour(&pointer, seen)?;
        hour.minutes.retain(|it, _| *it + MINUTES > minute);
        if hour.minutes.is_empty() {
            // A hub that was made anew begins to count anew; what would come twice is older than an hour.
            hour.last = None;
        }
        if hour.last.is_some_and(|it| it >= last) {
            return Ok(());
        }
        let mut segment = match hour.minutes.get(&minute) {
            Some(end) => read_segment(ports, &segment_name(partition, minute, *end)?).await?,
            None => Segment::default(),
        };
        let new = clicks.iter().filter(|(number, _)| hour.last.is_none_or(|it| *number > it));
        let new = new.map(|(_, click)| click.clone());
        if add(&mut segment, new) {
            let name = segment_name(partition, minute, last)?;
            match ports.objects.put(&name, segment.bytes().into()).await {
                Ok(()) | Err(ObjectError::Taken(_)) => {}
                Err(other) => return Err(other.into()),
            }
            hour.minutes.insert(minute, last);
        }
        hour.last = Some(last);
        match ports.objects.point(&pointer, &text(&hour)?, etag.as_ref()).await {
            Err(ObjectError::Changed(_)) => {}
            moved => return Ok(moved.map(drop)?),
        }
    }
    Err(ObjectError::Changed(pointer).into())
}

/// Adds clicks as long as the minute has room; answers whether any was added.
fn add(segment: &mut Segment, clicks: impl Iterator<Item = LiveClick>) -> bool {
    let mut of_session = HashMap::<u64, usize>::new();
    for click in &segment.clicks {
        *of_session.entry(click.session).or_default() += 1;
    }
    let before = segment.clicks.len();
    let mut alone = segment.clicks.iter().filter(|it| it.is_alone()).count();
    for click in clicks {
        let many = of_session.entry(click.session).or_default();
        let is_alone = click.is_alone();
        if segment.clicks.len() < MINUTE_MAX && *many < SESSION_MAX && (!is_alone || alone < ALONE_MAX) {
            *many += 1;
            alone += usize::from(is_alone);
            segment.clicks.push(click);
        }
    }
    segment.clicks.len() > before
}

fn minute_of(seconds: i64) -> u32 {
    u32::try_from(seconds.div_euclid(60)).unwrap_or_default()
}

fn read_hour(pointer: &ObjectName, seen: Option<Pointer>) -> Result<(LiveHour, Option<ETag>), ObjectError> {
    seen.map_or_else(|| Ok((LiveHour::default(), None)), |it| Ok((parse(pointer, &it.text)?, Some(it.etag))))
}

async fn read_segment(ports: &Ports, name: &ObjectName) -> Result<Segment, ClicksError> {
    let bytes = read_whole(ports, name).await?;
    Segment::read(&bytes).map_err(|source| ClicksError::Segment(name.clone(), source))
}

type Read = (ObjectName, Arc<Segment>);

/// A segment, unless it was replaced meanwhile or is damaged.
async fn read_if_there(ports: &Ports, name: ObjectName) -> Result<Option<Read>, ClicksError> {
    match read_segment(ports, &name).await {
        Ok(segment) => Ok(Some((name, Arc::new(segment)))),
        Err(ClicksError::Object(ObjectError::Missing(_))) => Ok(None),
        Err(damaged @ ClicksError::Segment(..)) => {
            tracing::error!(error = &damaged as &dyn std::error::Error, "A minute of clicks is left out.");
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// The last hour as one process knows it, or as much of it as there is room for. What it has read it does not read again.
#[derive(Clone, Debug, Default)]
pub struct LastHour {
    segments: BTreeMap<ObjectName, Arc<Segment>>,
    /// The newest segment that there was no room for. There will be none for it or what is older.
    left_out: Option<ObjectName>,
}

impl LastHour {
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.values().map(Arc::as_ref)
    }

    /// What a model does not have that was begun in this minute, if that is known, and whose newest click is of this
    /// moment: all that came in a later minute, however long a partition had waited; of the others what is newer.
    pub fn beyond(&self, now: i64, begun: Option<u32>, newest: u32) -> Vec<Cow<'_, Segment>> {
        let oldest = minute_of(now).saturating_sub(MINUTES);
        let came = self.segments.iter().map(|(name, segment)| (minute_in(name), segment));
        let came = came.filter(|(minute, _)| *minute > oldest);
        let beyond = came.map(|(minute, segment)| {
            if begun.is_some_and(|begun| begun < minute) {
                return Cow::Borrowed(segment.as_ref());
            }
            let newer = segment.clicks.iter().filter(|it| it.at > newest && it.at / 60 >= oldest);
            Cow::Owned(Segment { clicks: newer.cloned().collect() })
        });
        beyond.collect()
    }

    /// Reads what is new, the newest minute first; answers whether anything is other than before. What is replaced while
    /// this reads is there the next time.
    ///
    /// # Errors
    /// [`ClicksError`]; then it knows what it knew.
    pub async fn refresh(&mut self, ports: &Ports) -> Result<bool, ClicksError> {
        let mut names = current(ports).await?;
        names.retain(|it| self.left_out.as_ref().is_none_or(|left| it > left));
        names.sort_unstable_by(|one, other| other.cmp(one));
        let (mut segments, mut clicks, mut left_out) = (BTreeMap::new(), 0, self.left_out.clone());
        {
            let reads: Vec<_> = names.into_iter().map(|name| self.segment(ports, name)).collect();
            let mut reads = stream::iter(reads).buffered(READS_MAX);
            while let Some(read) = reads.try_next().await? {
                let Some((name, segment)) = read else { continue };
                clicks += segment.clicks.len();
                if clicks > CLICKS_MAX {
                    left_out = Some(name);
                    break;
                }
                segments.insert(name, segment);
            }
        }
        let changed = !segments.keys().eq(self.segments.keys());
        *self = LastHour { segments, left_out };
        Ok(changed)
    }

    async fn segment(&self, ports: &Ports, name: ObjectName) -> Result<Option<Read>, ClicksError> {
        match self.segments.get(&name) {
            Some(known) => Ok(Some((name, Arc::clone(known)))),
            None => read_if_there(ports, name).await,
        }
    }
}

/// Names of the segments of the last hour, in no order.
async fn current(ports: &Ports) -> Result<Vec<ObjectName>, ClicksError> {
    let since = minute_of(ports.clock.now().unix_timestamp()).saturating_sub(MINUTES);
    let (folder, mut names) = (ObjectName::parse(POINTERS)?, Vec::new());
    for entry in ports.objects.list(&folder, None, PARTITIONS_MAX).await?.entries {
        let (hour, _) = read_hour(&entry.name, ports.objects.pointer(&entry.name).await?)?;
        let partition = entry.name.as_str().rsplit('/').next().unwrap_or_default();
        for (minute, last) in hour.minutes.iter().filter(|(minute, _)| **minute > since) {
            names.push(segment_name(partition, *minute, *last)?);
        }
    }
    Ok(names)
}

/// Removes segments that no pointer can name any more; answers how many.
///
/// # Errors
/// [`ClicksError`].
pub async fn prune(ports: &Ports) -> Result<usize, ClicksError> {
    let since = minute_of(ports.clock.now().unix_timestamp()).saturating_sub(2 * MINUTES);
    let end = ObjectName::parse(SEGMENTS)?.child(&format!("{since:010}"))?;
    let all = list_all(ports, &ObjectName::parse(SEGMENTS)?).await?;
    let old: Vec<ObjectName> = all.into_iter().map(|it| it.name).filter(|it| *it < end).collect();
    for name in &old {
        ports.objects.delete(name).await?;
    }
    Ok(old.len())
}
