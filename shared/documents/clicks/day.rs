//! A day of clicks as it is kept for models: segments one after the other, each deflated, with its length before it.
use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use offpeak_domain::recommend::{Segment, SegmentError};

use super::frames::{Cut, Frames, frame};

/// Clicks of one segment.
pub const SEGMENT_CLICKS: usize = 50_000;
/// Bytes of one segment, unpacked: clicks have at most 269.
const UNPACKED_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Why a kept day is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadDay {
    #[error("a segment cannot be unpacked")]
    Packed(#[from] std::io::Error),
    #[error("a segment is refused")]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Cut(#[from] Cut),
}

/// The bytes to keep of one segment.
///
/// # Errors
/// None that memory does not give.
pub fn pack(segment: &Segment) -> std::io::Result<Bytes> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&segment.bytes())?;
    Ok(frame(&packed.finish()?))
}

/// Takes bytes as they arrive and gives the segments that are whole.
#[derive(Debug, Default)]
pub struct Unpacking(Frames);

impl Unpacking {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.add(bytes);
    }

    /// The next one, if it is whole already.
    ///
    /// # Errors
    /// [`BadDay`].
    pub fn segment(&mut self) -> Result<Option<Segment>, BadDay> {
        let Some(packed) = self.0.piece()? else { return Ok(None) };
        let mut bytes = Vec::new();
        ZlibDecoder::new(&packed[..]).take(UNPACKED_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some(Segment::read(&bytes)?))
    }

    /// At the end of the object.
    ///
    /// # Errors
    /// `Cut` if a segment is not whole.
    pub fn finish(&self) -> Result<(), BadDay> {
        Ok(self.0.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use offpeak_domain::recommend::{Kind, LiveClick};

    use super::*;

    fn segment(first: u64) -> Segment {
        let click = |session| LiveClick { session, at: 7, item: "MUG".into(), kind: Kind::View };
        Segment { clicks: (first..first + 100).map(click).collect() }
    }

    fn unpacked(bytes: &[u8], chunk: usize) -> Result<Vec<Segment>, BadDay> {
        let (mut unpacking, mut found) = (Unpacking::default(), Vec::new());
        for part in bytes.chunks(chunk) {
            unpacking.add(part);
            while let Some(segment) = unpacking.segment()? {
                found.push(segment);
            }
        }
        unpacking.finish().map(|()| found)
    }

    #[test]
    fn a_day_is_read_however_it_arrives_and_a_cut_one_is_refused() {
        let segments = [segment(0), segment(1_000)];
        let bytes = segments.iter().map(|it| pack(it).unwrap()).collect::<Vec<_>>().concat();
        for chunk in [1, 7, 1_000, bytes.len()] {
            assert_eq!(unpacked(&bytes, chunk).unwrap(), segments);
        }
        let first = pack(&segments[0]).unwrap().len();
        for cut in (1..bytes.len()).filter(|it| *it != first) {
            assert!(unpacked(&bytes[..cut], 50).is_err(), "cut at {cut}");
        }
        let mut long = bytes;
        long[3] = 0xff;
        assert!(matches!(unpacked(&long, 50), Err(BadDay::Cut(Cut))));
    }
}
