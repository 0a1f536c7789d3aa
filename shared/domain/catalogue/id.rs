//! Product ids: derived, never drawn, so that an import that is repeated finds what it made before.
use std::fmt;

use sha2::{Digest, Sha256};
use ulid::Ulid;

/// Longest key of a source, in characters.
pub const SOURCE_KEY_MAX: usize = 64;

/// The name under which a source knows a product: its `product` column, or else its SKU. Same alphabet as a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a product key is 1 to {SOURCE_KEY_MAX} of the characters A-Z a-z 0-9 . _ -")]
pub struct BadSourceKey;

impl SourceKey {
    /// # Errors
    /// [`BadSourceKey`].
    pub fn parse(text: &str) -> Result<SourceKey, BadSourceKey> {
        let fits = (1..=SOURCE_KEY_MAX).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits && plain { Ok(SourceKey(text.to_owned())) } else { Err(BadSourceKey) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `prd_` and 26 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductId(Ulid);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a product id: expected prd_ and 26 characters")]
pub struct BadProductId;

impl ProductId {
    /// The first 128 bits of a hash of the key. The alphabet of a ULID, but no time in it.
    pub fn derived(source: &SourceKey) -> ProductId {
        let hash = Sha256::new().chain_update(b"offpeak product\0").chain_update(source.as_str()).finalize();
        ProductId(Ulid(hash.iter().take(16).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte))))
    }

    /// # Errors
    /// [`BadProductId`] for anything but the exact text that `Display` writes.
    pub fn parse(text: &str) -> Result<ProductId, BadProductId> {
        let ulid = text.strip_prefix("prd_").and_then(|it| Ulid::from_string(it).ok()).ok_or(BadProductId)?;
        let id = ProductId(ulid);
        if id.to_string() == text { Ok(id) } else { Err(BadProductId) }
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prd_{}", self.0)
    }
}

impl fmt::Debug for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_one_product_for_ever() {
        let id = ProductId::derived(&SourceKey::parse("85123A").unwrap());
        // Stored products are found by this; a change of the derivation would load every product twice.
        assert_eq!(id.to_string(), "prd_085ZYQN4DR75A3Y43JYGR4976S");
        assert_eq!(ProductId::parse(&id.to_string()), Ok(id));
        assert_ne!(id, ProductId::derived(&SourceKey::parse("85123a").unwrap()));
        for bad in ["", "prd_", "prd_x", "ord_085ZYQN4DR75A3Y43JYGR4976S", &id.to_string().to_lowercase()] {
            assert!(ProductId::parse(bad).is_err(), "{bad}");
        }
        assert!(SourceKey::parse("BANK CHARGES").is_err() && SourceKey::parse("").is_err());
    }
}
