//! Header and sections of the file.
//!
//! 64 bytes of head: magic, version, number of sections, length of the file, checksum of the head, checksum of the
//! rest. Then the table of sections (offset and length, in bytes), then the sections, each on a 64-byte boundary.
use thiserror::Error;

use super::{super::hash::xxh64, model::Model};

/// Raised whenever the meaning of a byte changes; an older file is built anew, not read.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"OFFPKREC";
const HEAD: usize = 64;
const ALIGN: usize = 64;

/// Parts of the file, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Numbers about the whole model.
    Facts,
    /// Parameters to ask it with: for all items, then for those that are new to a session.
    Params,
    /// Ends of the identifiers, after a 0; and their bytes.
    IdEnds,
    Ids,
    /// Open-addressed hash table of identifiers: item number, or all ones.
    Slots,
    /// A record of four words per item.
    Items,
    PostingEnds,
    Postings,
    SessionEnds,
    Sessions,
    /// Age in days of each bucket of sessions.
    Ages,
    FollowEnds,
    Follow,
    FarEnds,
    Far,
    BoughtEnds,
    Bought,
    BasketEnds,
    Basket,
    AlikeEnds,
    Alike,
    /// Of the whole shop, then of each category.
    TrendEnds,
    Trend,
    CategoryEnds,
    Categories,
}

pub(crate) const SECTIONS: usize = Section::Categories as usize + 1;
const TABLE: usize = HEAD + SECTIONS * 16;

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IndexError {
    #[error("this is no model of recommendations")]
    NotAnIndex,
    #[error("the model has version {found}, this program reads version {VERSION}: build it anew")]
    Version { found: u32 },
    #[error("the model is cut short or too long: {found} bytes instead of {expected}")]
    Length { expected: u64, found: u64 },
    #[error("the head of the model is damaged")]
    Head,
    #[error("the parts of the model do not fit together")]
    Parts,
    #[error("the model is damaged: its checksum differs")]
    Checksum,
}

/// Where the parts are in a file whose head was checked.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    parts: [(usize, usize); SECTIONS],
    length: usize,
    checksum: u64,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

impl Layout {
    /// Checks the head and the length; it reads nothing of the body.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn read(bytes: &[u8]) -> Result<Layout, IndexError> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(IndexError::NotAnIndex);
        }
        let found = word(bytes, 8).ok_or(IndexError::NotAnIndex)?;
        if found != VERSION {
            return Err(IndexError::Version { found });
        }
        let expected = long(bytes, 16).ok_or(IndexError::Head)?;
        if expected != bytes.len() as u64 {
            return Err(IndexError::Length { expected, found: bytes.len() as u64 });
        }
        let head = head_checksum(bytes).ok_or(IndexError::Head)?;
        if word(bytes, 12) != Some(SECTIONS as u32) || long(bytes, 24) != Some(head) {
            return Err(IndexError::Head);
        }
        let mut parts = [(0, 0); SECTIONS];
        for (number, part) in parts.iter_mut().enumerate() {
            *part = part_of(bytes, number).ok_or(IndexError::Parts)?;
        }
        let checksum = long(bytes, 32).ok_or(IndexError::Head)?;
        let layout = Layout { parts, length: bytes.len(), checksum };
        if layout.model(bytes).is_whole() { Ok(layout) } else { Err(IndexError::Parts) }
    }

    /// The model in the bytes that this layout was read from.
    pub fn model<'a>(&self, bytes: &'a [u8]) -> Model<'a> {
        let part = |section: Section| {
            let (from, to) = self.parts[section as usize];
            bytes.get(from..to).unwrap_or_default()
        };
        Model::new(part)
    }

    /// Compares every byte with the checksum. For when there is time: it reads the whole file.
    ///
    /// # Errors
    /// [`IndexError::Checksum`] if a byte is not what was written.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), IndexError> {
        let body = bytes.get(TABLE..self.length).ok_or(IndexError::Checksum)?;
        if xxh64(body) == self.checksum { Ok(()) } else { Err(IndexError::Checksum) }
    }
}

/// Of the head and the table, leaving out the checksum itself.
fn head_checksum(bytes: &[u8]) -> Option<u64> {
    let (before, after) = (bytes.get(..24)?, bytes.get(32..TABLE)?);
    Some(xxh64(before).rotate_left(1) ^ xxh64(after))
}

fn part_of(bytes: &[u8], number: usize) -> Option<(usize, usize)> {
    let at = HEAD + number * 16;
    let from = usize::try_from(long(bytes, at)?).ok()?;
    let to = from.checked_add(usize::try_from(long(bytes, at + 8)?).ok()?)?;
    (from >= TABLE && to <= bytes.len()).then_some((from, to))
}

/// The file of these parts.
pub(crate) fn assemble(parts: &[Vec<u8>; SECTIONS]) -> Vec<u8> {
    let mut file = vec![0_u8; TABLE];
    for (number, part) in parts.iter().enumerate() {
        file.resize(file.len().next_multiple_of(ALIGN), 0);
        let (from, length) = (file.len() as u64, part.len() as u64);
        let at = HEAD + number * 16;
        file[at..at + 8].copy_from_slice(&from.to_le_bytes());
        file[at + 8..at + 16].copy_from_slice(&length.to_le_bytes());
        file.extend_from_slice(part);
    }
    file[..8].copy_from_slice(&MAGIC);
    file[8..12].copy_from_slice(&VERSION.to_le_bytes());
    file[12..16].copy_from_slice(&(SECTIONS as u32).to_le_bytes());
    seal(&mut file);
    file
}

/// Writes the length and the checksums that fit the bytes. What is too short to have them stays as it is.
pub fn seal(file: &mut [u8]) {
    if file.len() < TABLE {
        return;
    }
    let length = file.len() as u64;
    file[16..24].copy_from_slice(&length.to_le_bytes());
    let body = xxh64(&file[TABLE..]);
    file[32..40].copy_from_slice(&body.to_le_bytes());
    let head = head_checksum(file).unwrap_or_default();
    file[24..32].copy_from_slice(&head.to_le_bytes());
}
