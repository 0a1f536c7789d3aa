//! What an operation costs in request units, as an estimate: thousandths, from its kind and its bytes. The service's
//! own charge is known only where there is a service.
//!
//! Source: Azure Cosmos DB, "Optimize request cost": a point read of 1 KB takes 1 unit and one of 100 KB 10, a write
//! 5 and 50; reads that ask a quorum take twice as much. Between the two sizes a straight line is drawn, and on beyond.
//! What an indexed path adds to a write is the emulator's figure of the service's own SDK (0.3); what a page of a
//! query costs before its bytes is our assumption, a little above what simple queries are reported to take.

/// Thousandths of a request unit.
pub type Milliunits = u64;

const KB: u64 = 1024;
/// What a page of a query takes, before its bytes.
const PAGE: Milliunits = 2_500;
/// What each indexed path of an item adds to writing it.
const INDEXED_PATH: Milliunits = 300;

/// A point read of an item of so many bytes by one replica.
pub fn read(bytes: u64) -> Milliunits {
    between(bytes, 1_000, 10_000)
}

/// One write of an item of so many bytes with so many indexed paths, alone or in a batch.
pub fn write(bytes: u64, indexed: u64) -> Milliunits {
    between(bytes, 5_000, 50_000) + indexed * INDEXED_PATH
}

/// One page of a query that answers so many bytes.
pub fn page(bytes: u64) -> Milliunits {
    PAGE + read(bytes)
}

/// On the line through the costs of 1 KB and 100 KB; what is smaller than 1 KB costs as much as that.
fn between(bytes: u64, one: Milliunits, hundred: Milliunits) -> Milliunits {
    one + bytes.saturating_sub(KB) * (hundred - one) / (99 * KB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_table_is_met() {
        assert_eq!([read(1), read(KB), read(100 * KB)], [1_000, 1_000, 10_000]);
        assert_eq!([write(1, 0), write(KB, 0), write(100 * KB, 0)], [5_000, 5_000, 50_000]);
        assert_eq!(write(KB, 4), 6_200);
        assert_eq!(page(KB), 3_500);
    }
}
