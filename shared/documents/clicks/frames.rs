//! Pieces of a long object, one after the other, each with its length before it: read as they arrive, whole or not at all.
use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of one piece.
const PIECE_MAX_BYTES: usize = 16 * 1024 * 1024;
const LENGTH_BYTES: usize = 4;

/// Why what arrives is no sequence of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is cut short, or damaged")]
pub struct Cut;

/// A piece as it is kept.
pub fn frame(piece: &[u8]) -> Bytes {
    let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), piece].concat().into()
}

/// Takes bytes as they arrive and gives the pieces that are whole.
#[derive(Debug, Default)]
pub struct Frames(BytesMut);

impl Frames {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next one, if it is whole already.
    ///
    /// # Errors
    /// [`Cut`] if a length cannot be one.
    pub fn piece(&mut self) -> Result<Option<Bytes>, Cut> {
        let Some(length) = self.0.first_chunk().copied().map(u32::from_le_bytes) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| Cut)?;
        if length > PIECE_MAX_BYTES {
            return Err(Cut);
        }
        if self.0.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.0.advance(LENGTH_BYTES);
        Ok(Some(self.0.split_to(length).freeze()))
    }

    /// At the end of the object.
    ///
    /// # Errors
    /// [`Cut`] if a piece is not whole.
    pub fn finish(&self) -> Result<(), Cut> {
        if self.0.is_empty() { Ok(()) } else { Err(Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(bytes: &[u8], chunk: usize) -> Result<Vec<Bytes>, Cut> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for part in bytes.chunks(chunk) {
            frames.add(part);
            while let Some(piece) = frames.piece()? {
                found.push(piece);
            }
        }
        frames.finish().map(|()| found)
    }

    #[test]
    fn pieces_are_read_however_they_arrive_and_a_cut_one_is_refused() {
        let all: Vec<Bytes> = ["tent", "", "a mat"].map(Bytes::from).to_vec();
        let bytes = all.iter().map(|it| frame(it)).collect::<Vec<_>>().concat();
        for chunk in [1, 3, bytes.len()] {
            assert_eq!(pieces(&bytes, chunk).unwrap(), all);
        }
        for cut in [1, 7, 10, bytes.len() - 1] {
            assert_eq!(pieces(&bytes[..cut], 2), Err(Cut), "cut at {cut}");
        }
        assert_eq!(pieces(&[0xff; 8], 8), Err(Cut));
    }
}
