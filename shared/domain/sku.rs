//! The stock code: what is bought, counted and shipped.
use std::fmt;

/// Longest SKU, in characters.
pub const SKU_MAX: usize = 64;

/// 1 to 64 of `A-Za-z0-9._-`, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SKU is 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct BadSku;

impl Sku {
    /// # Errors
    /// [`BadSku`].
    pub fn parse(text: &str) -> Result<Sku, BadSku> {
        let fits = (1..=SKU_MAX).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits && plain { Ok(Sku(text.to_owned())) } else { Err(BadSku) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_codes_are_skus() {
        for good in ["85123A", "a.b_c-d", "x", &"9".repeat(64)] {
            assert!(Sku::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "BANK CHARGES", "ü", "a/b", "a\n", &"9".repeat(65)] {
            assert_eq!(Sku::parse(bad), Err(BadSku), "{bad}");
        }
        assert_ne!(Sku::parse("a"), Sku::parse("A"));
    }
}
