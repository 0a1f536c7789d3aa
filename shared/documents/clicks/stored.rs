//! A batch of the hub as it is kept: its events, a line each, deflated.
use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

use super::event::{BadClicks, Clicks, parse};

/// Bytes of one batch, unpacked. A batch of the hub has at most 256 events of 1 MB; ours have far less.
pub const UNPACKED_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Why a kept batch is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BadBatch {
    #[error("it cannot be unpacked")]
    Packed(#[from] std::io::Error),
    #[error("it has more than {UNPACKED_MAX_BYTES} bytes")]
    TooLarge,
    #[error("line {line} is refused")]
    Line { line: usize, source: BadClicks },
}

/// The bytes to keep, of events that are each one line.
///
/// # Errors
/// None that memory does not give.
pub fn pack<'l>(lines: impl IntoIterator<Item = &'l [u8]>) -> std::io::Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    for line in lines {
        packed.write_all(line)?;
        packed.write_all(b"\n")?;
    }
    packed.finish()
}

/// # Errors
/// [`BadBatch`].
pub fn unpack(bytes: &[u8]) -> Result<Vec<Clicks>, BadBatch> {
    let mut text = Vec::new();
    ZlibDecoder::new(bytes).take(UNPACKED_MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > UNPACKED_MAX_BYTES {
        return Err(BadBatch::TooLarge);
    }
    let lines = text.split(|it| *it == b'\n').filter(|it| !it.is_empty()).enumerate();
    lines.map(|(at, line)| parse(line).map_err(|source| BadBatch::Line { line: at + 1, source })).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::event::{ClickEvent, What, text},
        *,
    };

    fn clicks(session: u64) -> Clicks {
        let event = ClickEvent { at: 1, what: What::View { sku: "MUG".to_owned() } };
        Clicks { session, consent: true, events: vec![event] }
    }

    #[test]
    fn what_was_kept_is_read_and_a_cut_one_is_refused() {
        let all: Vec<Clicks> = (0..100).map(clicks).collect();
        let lines: Vec<String> = all.iter().cloned().map(|it| text(it).unwrap()).collect();
        let bytes = pack(lines.iter().map(String::as_bytes)).unwrap();
        assert!(bytes.len() * 5 < lines.iter().map(String::len).sum::<usize>(), "{}", bytes.len());
        assert_eq!(unpack(&bytes).unwrap(), all);
        for cut in 0..bytes.len() {
            assert!(unpack(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let strange = pack([b"{}".as_slice()]).unwrap();
        assert!(matches!(unpack(&strange), Err(BadBatch::Line { line: 1, .. })));
        assert!(unpack(&pack([]).unwrap()).unwrap().is_empty());
    }
}
