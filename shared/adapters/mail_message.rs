//! A letter as an e-mail message (RFC 5322 and MIME), the same for every way of delivery: text and HTML as
//! alternatives, in UTF-8. Nothing in a letter can add a header or a recipient.
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::shared::ports::mail::{Letter, MailError};

/// Bytes of a name made from an event id; a longer id is named by its digest.
const NAME_MAX_BYTES: usize = 200;
/// What stays as it is in a name: enough for every id that we make.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a mail sender like `Shop <shop@example.com>`")]
pub struct BadSender(String);

/// Who the mail is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// # Errors
    /// `BadSender` for anything but an address, with or without a name before it.
    pub fn parse(text: &str) -> Result<Sender, BadSender> {
        text.parse().map(Sender).map_err(|_| BadSender(text.to_owned()))
    }

    /// The message to hand over at `now`.
    ///
    /// # Errors
    /// `Refused` if it cannot be addressed.
    pub fn message(&self, letter: &Letter, now: OffsetDateTime) -> Result<Message, MailError> {
        // Only an address: with a name before it, a second address could hide in the name.
        let to: Address =
            letter.to.parse().map_err(|_| MailError::Refused(format!("event {}: no mail address", letter.event_id)))?;
        // One letter has one id however often it is sent, so that mailboxes can tell a repeat.
        let id = format!("<{}@{}>", name(&letter.event_id), self.0.email.domain());
        Message::builder()
            .from(self.0.clone())
            .to(Mailbox::new(None, to))
            .subject(one_line(&letter.subject))
            .message_id(Some(id))
            .date(now.into())
            // RFC 3834: an answering machine stays silent.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()))
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| MailError::Refused(format!("event {}: {error}", letter.event_id)))
    }
}

/// A header's text: control characters, line ends above all, become spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

/// A name for an event id that is safe in a file name and in a Message-ID. Different ids have different names.
pub fn name(event_id: &str) -> String {
    let mut name = utf8_percent_encode(event_id, PLAIN).to_string();
    if name.starts_with('.') {
        // A leading dot hides a file and means a folder.
        name.replace_range(..1, "%2E");
    }
    if name.is_empty() || name.len() > NAME_MAX_BYTES {
        let digest = Sha256::digest(event_id.as_bytes());
        // No encoded id begins with a percent sign and two letters that are no digits.
        return digest.iter().fold("%sha256-".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            event_id: "evt_1".into(),
            to: "ada@example.test".into(),
            subject: "Your order".into(),
            text: "text".into(),
            html: "<p>html</p>".into(),
        }
    }

    fn formatted(letter: &Letter) -> Result<String, MailError> {
        let sender = Sender::parse("Offpeak <shop@example.test>").unwrap();
        let message = sender.message(letter, OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap())?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_message_says_who_what_and_when() {
        let text = formatted(&letter()).unwrap();
        for line in [
            "From: Offpeak <shop@example.test>\r\n",
            "To: ada@example.test\r\n",
            "Subject: Your order\r\n",
            "Message-ID: <evt_1@example.test>\r\n",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn no_letter_adds_a_header_or_a_recipient() {
        let attack = "Hello\r\nBcc: eve@example.test\n\nbody\0\u{85}";
        let text = formatted(&Letter { subject: attack.into(), event_id: attack.into(), ..letter() }).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.split("\r\n").any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{head}");
        assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head:?}");
        for to in ["", "ada", "a@b, eve@c", "Ada <ada@b.test>", "ada@b.test\r\nBcc: eve@c.test", "a b@c.test"] {
            let refused = formatted(&Letter { to: to.into(), ..letter() }).unwrap_err();
            assert!(matches!(refused, MailError::Refused(_)), "{to}");
            assert!(to.is_empty() || !refused.to_string().contains(to), "an address is not for the log");
        }
    }

    #[test]
    fn names_are_safe_and_differ() {
        let long = "x".repeat(201);
        let ids = ["evt_1", "evt/1", "evt%2F1", "../etc", "..", ".", "", "a\0", "Ä", long.as_str(), "evt_1.placed"];
        let names: Vec<String> = ids.iter().map(|it| name(it)).collect();
        for (n, it) in names.iter().enumerate() {
            assert!(!it.is_empty() && it.len() <= NAME_MAX_BYTES && !it.starts_with('.'), "{it}");
            assert!(it.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%".contains(&b)), "{it}");
            assert!(!names[..n].contains(it), "{it} twice");
        }
        assert_eq!((names[0].as_str(), names[10].as_str()), ("evt_1", "evt_1.placed"));
    }

    #[test]
    fn a_sender_is_an_address() {
        assert!(Sender::parse("shop@example.test").is_ok());
        for bad in ["", "shop", "Shop <shop>", "a@b.test, c@d.test"] {
            assert!(Sender::parse(bad).is_err(), "{bad}");
        }
    }
}
