//! Coupon codes as people type them: case does not count, and nothing that merely looks like a letter is one.
use std::fmt;

/// Longest code, in characters.
pub const CODE_MAX: usize = 40;
/// Most codes on one cart.
pub const CODES_MAX: usize = 10;

/// 1 to 40 of `A-Z 0-9 - _` in capitals. Characters outside ASCII are refused, not folded: a Cyrillic `А` or
/// a full-width `１` is another code in disguise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CouponCode(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is 1 to {CODE_MAX} of the letters A to Z, digits, - and _")]
pub struct BadCode;

impl CouponCode {
    /// # Errors
    /// [`BadCode`].
    pub fn parse(text: &str) -> Result<CouponCode, BadCode> {
        let text = text.trim_matches(' ');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(CouponCode(text.to_ascii_uppercase())) } else { Err(BadCode) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_count_and_homoglyphs_are_refused() {
        assert_eq!(CouponCode::parse(" summer-26_x "), CouponCode::parse("SUMMER-26_X"));
        assert_eq!(CouponCode::parse("a").unwrap().as_str(), "A");
        for bad in
            ["", " ", "SUMMER 26", "SUММER", "ＳＡＬＥ", "save１0", "ı", "ſale", "A\u{200b}", "A\n", &"x".repeat(41)]
        {
            assert_eq!(CouponCode::parse(bad), Err(BadCode), "{bad}");
        }
    }
}
