//! What shows that we hold a policy's key. Source: Event Hubs, "Authenticate access by shared access signatures":
//! base64 of the HMAC-SHA256 of the encoded address, a line break and the end of its validity.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use time::OffsetDateTime;

/// A signature is made for one send.
const VALID: time::Duration = time::Duration::minutes(5);

pub(super) fn sign(url: &str, policy: &str, key: &str, now: OffsetDateTime) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (resource, end) = (encode(url), (now + VALID).unix_timestamp());
    let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("any key will do"));
    code.update(format!("{resource}\n{end}").as_bytes());
    let signature = encode(&STANDARD.encode(code.finalize().into_bytes()));
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={end}&skn={}", encode(policy))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The signature was worked out apart from this code:
    /// `printf '%s\n%s' "$ENCODED_URL" 1763856300 | openssl dgst -sha256 -hmac key -binary | base64`.
    #[test]
    fn a_signature_is_what_the_broker_works_out() {
        let signed =
            sign("https://a.servicebus.windows.net/clicks/messages", "send", "key", datetime!(2025-11-23 0:00 UTC));
        let resource = "https%3A%2F%2Fa%2Eservicebus%2Ewindows%2Enet%2Fclicks%2Fmessages";
        let signature = "OwO64BW8ViVlfvNKmARN30aRFeo1zluZ0E5RttaVTIM%3D";
        assert_eq!(signed, format!("SharedAccessSignature sr={resource}&sig={signature}&se=1763856300&skn=send"));
    }
}
