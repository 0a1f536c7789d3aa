//! Signed webhooks: `t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 over `t.body`. Stripe's scheme
//! (docs.stripe.com/webhooks, "Verify manually"), which the sandbox provider uses too.
//!
//! What must stay true: nothing of a body is read before its signature fits; comparing takes the same time
//! however much fits; each of several secrets may fit, so that a secret can be exchanged without a gap.
use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::shared::ports::payments::WebhookError;

/// How old, or how far ahead of our clock, a signature may be. Source: Stripe's libraries' default.
pub const TOLERANCE_S: i64 = 300;
/// Signatures looked at in one header; a sender that exchanges its secret sends two.
const SIGNATURES_MAX: usize = 8;

/// Whether `header` signs `body` with one of `secrets`, lately.
///
/// # Errors
/// `Unsigned`, `TooOld` or `Forged`.
pub fn check(header: Option<&str>, body: &[u8], secrets: &[Vec<u8>], now: OffsetDateTime) -> Result<(), WebhookError> {
    let header = header.ok_or(WebhookError::Unsigned)?;
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let mut moments = parts().filter(|(name, _)| *name == "t").map(|(_, text)| text);
    let (Some(moment), None) = (moments.next(), moments.next()) else { return Err(WebhookError::Unsigned) };
    let signatures: Vec<Vec<u8>> =
        parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| unhex(hex)).take(SIGNATURES_MAX).collect();
    if signatures.is_empty() {
        return Err(WebhookError::Unsigned);
    }
    let fits = |secret: &Vec<u8>| {
        signatures
            .iter()
            .any(|signature| tag(secret, moment, body).is_some_and(|it| it.verify_slice(signature).is_ok()))
    };
    if !secrets.iter().any(fits) {
        return Err(WebhookError::Forged);
    }
    // Only now is the moment the sender's own word.
    let moment: i64 = moment.parse().map_err(|_| WebhookError::Unsigned)?;
    let age_s = now.unix_timestamp().saturating_sub(moment);
    if age_s.saturating_abs() > TOLERANCE_S {
        return Err(WebhookError::TooOld { age_s, max_s: TOLERANCE_S });
    }
    Ok(())
}

fn tag(secret: &[u8], moment: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut tag = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    tag.update(moment.as_bytes());
    tag.update(b".");
    tag.update(body);
    Some(tag)
}

/// `None` for anything but pairs of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Reckoned by: printf '1492774577.{}' | openssl dgst -sha256 -hmac secret
    const HEX: &str = "2ddb0fdc1ad242a0eece9d964270ad86442b7381d25d1f99cd41a46999919e32";
    const MOMENT: i64 = 1_492_774_577;

    fn judge(header: &str, body: &[u8], secrets: &[&str], now: i64) -> Result<(), WebhookError> {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|it| it.as_bytes().to_vec()).collect();
        check(Some(header), body, &secrets, OffsetDateTime::from_unix_timestamp(now).unwrap())
    }

    #[test]
    fn what_is_signed_lately_by_one_of_the_secrets_is_believed() {
        let signed = format!("t={MOMENT},v1={HEX}");
        for now in [MOMENT - 300, MOMENT, MOMENT + 300] {
            assert!(judge(&signed, b"{}", &["secret"], now).is_ok(), "{now}");
        }
        assert!(judge(&signed, b"{}", &["newer", "secret"], MOMENT).is_ok(), "the older of two secrets");
        let two = format!("t={MOMENT}, v0=abc, v1={}, v1={HEX}", "00".repeat(32));
        assert!(judge(&two, b"{}", &["secret"], MOMENT).is_ok(), "one of two signatures");
    }

    #[test]
    fn what_is_forged_old_or_unsigned_is_not() {
        let signed = format!("t={MOMENT},v1={HEX}");
        for (body, secrets) in [(&b"{ }"[..], &["secret"][..]), (b"{}", &["other"]), (b"{}", &[]), (b"", &["secret"])] {
            assert!(matches!(judge(&signed, body, secrets, MOMENT), Err(WebhookError::Forged)), "{body:?} {secrets:?}");
        }
        let moved = format!("t={},v1={HEX}", MOMENT + 1);
        assert!(matches!(judge(&moved, b"{}", &["secret"], MOMENT), Err(WebhookError::Forged)));
        for now in [MOMENT - 301, MOMENT + 301, i64::MAX / 1_000_000_000] {
            assert!(matches!(judge(&signed, b"{}", &["secret"], now), Err(WebhookError::TooOld { .. })), "{now}");
        }
        let unsigned =
            ["", "t", "t=1", &format!("v1={HEX}"), "t=1,v1=", "t=1,v1=zz", "t=1,v1=abc", &format!("{signed},t=2")];
        for header in unsigned {
            assert!(matches!(judge(header, b"{}", &["secret"], MOMENT), Err(WebhookError::Unsigned)), "{header}");
        }
        assert!(matches!(check(None, b"{}", &[], OffsetDateTime::UNIX_EPOCH), Err(WebhookError::Unsigned)));
    }
}
