//! Clicks as they come in, in pieces that are written once and read by everybody.
//!
//! A head (magic, version, number of clicks), the clicks one after the other (session, time, kind, length of the
//! identifier, identifier), and a checksum of it all.
use thiserror::Error;

use super::super::{click::Kind, hash::xxh64};

const MAGIC: &[u8; 8] = b"OFFPKSEG";
const VERSION: u32 = 1;
const HEAD: usize = 16;
/// Longest identifier of an item.
pub const ID_MAX_BYTES: usize = 255;

/// The bit of a session's number that says that its clicks are put beside no others.
pub const ALONE: u64 = 1 << 63;

/// Something done to an item in a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveClick {
    /// Tells sessions apart: a hash of what the shop calls it, or of one item of one call, with [`ALONE`].
    pub session: u64,
    /// Seconds since 1970.
    pub at: u32,
    pub item: Box<str>,
    pub kind: Kind,
}

impl LiveClick {
    /// Whether nobody agreed that it is put beside another.
    pub const fn is_alone(&self) -> bool {
        self.session & ALONE != 0
    }
}

/// Why a segment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SegmentError {
    #[error("this is no segment of clicks")]
    NotASegment,
    #[error("the segment has version {0}, this program reads version {VERSION}")]
    Version(u32),
    #[error("the segment is cut short or damaged")]
    Damaged,
}

/// Clicks of some seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    pub clicks: Vec<LiveClick>,
}

impl Segment {
    /// As it is stored. A click on what has no identifier, or too long a one, is left out.
    pub fn bytes(&self) -> Vec<u8> {
        let known = |it: &&LiveClick| (1..=ID_MAX_BYTES).contains(&it.item.len());
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(self.clicks.iter().filter(known).count() as u32).to_le_bytes());
        for click in self.clicks.iter().filter(known) {
            bytes.extend_from_slice(&click.session.to_le_bytes());
            bytes.extend_from_slice(&click.at.to_le_bytes());
            bytes.extend_from_slice(&[click.kind.code() as u8, click.item.len() as u8]);
            bytes.extend_from_slice(click.item.as_bytes());
        }
        let checksum = xxh64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// # Errors
    /// If a byte is not what was written.
    pub fn read(bytes: &[u8]) -> Result<Segment, SegmentError> {
        let (body, checksum) = bytes.split_last_chunk::<8>().ok_or(SegmentError::NotASegment)?;
        if body.get(..8) != Some(MAGIC.as_slice()) {
            return Err(SegmentError::NotASegment);
        }
        let word = |at: usize| body.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let version = word(8).ok_or(SegmentError::Damaged)?;
        if version != VERSION {
            return Err(SegmentError::Version(version));
        }
        if xxh64(body) != u64::from_le_bytes(*checksum) {
            return Err(SegmentError::Damaged);
        }
        let count = word(12).ok_or(SegmentError::Damaged)?;
        let mut rest = body.get(HEAD..).ok_or(SegmentError::Damaged)?;
        let mut clicks = Vec::new();
        for _ in 0..count {
            let (click, after) = click(rest).ok_or(SegmentError::Damaged)?;
            clicks.push(click);
            rest = after;
        }
        if rest.is_empty() { Ok(Segment { clicks }) } else { Err(SegmentError::Damaged) }
    }
}

fn click(bytes: &[u8]) -> Option<(LiveClick, &[u8])> {
    let (session, rest) = bytes.split_first_chunk()?;
    let (at, rest) = rest.split_first_chunk()?;
    let ([kind, length], rest) = rest.split_first_chunk()?;
    let (item, rest) = rest.split_at_checked(usize::from(*length))?;
    let (session, at) = (u64::from_le_bytes(*session), u32::from_le_bytes(*at));
    let item = std::str::from_utf8(item).ok()?.into();
    Some((LiveClick { session, at, item, kind: Kind::of(u32::from(*kind)) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        let click = |session, at, item: &str, kind| LiveClick { session, at, item: item.into(), kind };
        Segment { clicks: vec![click(1, 10, "mug", Kind::View), click(u64::MAX, 11, "käse", Kind::Purchase)] }
    }

    #[test]
    fn a_segment_is_read_as_it_was_written() {
        assert_eq!(Segment::read(&segment().bytes()).unwrap(), segment());
        let nothing = LiveClick { session: 1, at: 1, item: "".into(), kind: Kind::View };
        let with_nothing = Segment { clicks: vec![nothing, segment().clicks[0].clone()] };
        assert_eq!(Segment::read(&with_nothing.bytes()).unwrap().clicks.len(), 1);
    }

    #[test]
    fn a_segment_that_was_cut_or_changed_anywhere_is_refused() {
        let bytes = segment().bytes();
        for at in 0..bytes.len() {
            assert!(Segment::read(&bytes[..at]).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Segment::read(&changed).is_err(), "changed at {at}");
        }
    }
}
