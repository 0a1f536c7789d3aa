//! Mail over SMTP. Each letter opens a connection of its own, at the time it is sent: mail is rare, it is sent
//! from a queue, and start-up waits for no mail server. SMTP cannot promise "once": a repeat carries the same
//! Message-ID.
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use super::mail_message::Sender;
use crate::shared::ports::{
    clock::Clock,
    mail::{Letter, Mail, MailError},
    reach::{Reach, Unreached},
};

/// How long one letter may take unless the caller says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(15);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// How the connection is protected. There is no falling back from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain text: for a server on this machine.
    None,
    /// Begins in plain text and must switch to TLS before anything is said.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

impl Security {
    /// From a setting: `none`, `starttls` or `implicit`.
    pub fn parse(text: &str) -> Option<Security> {
        match text {
            "none" => Some(Security::None),
            "starttls" => Some(Security::StartTls),
            "implicit" => Some(Security::Implicit),
            _ => None,
        }
    }
}

/// Where mail is handed over.
#[derive(Clone)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

impl fmt::Debug for Relay {
    /// Never shows a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("Relay")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

pub struct Smtp {
    relay: Relay,
    sender: Sender,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// Made at the first letter, since TLS reads the machine's certificates.
    transport: Mutex<Option<Transport>>,
}

impl Smtp {
    /// Connects to nothing yet.
    pub fn new(relay: Relay, sender: Sender, clock: Arc<dyn Clock>, patience: Duration) -> Smtp {
        Smtp { relay, sender, clock, patience, transport: Mutex::default() }
    }

    fn transport(&self) -> Result<Transport, Error> {
        let mut transport = self.transport.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = &*transport {
            return Ok(transport.clone());
        }
        let parameters = || TlsParameters::new(self.relay.host.clone());
        let tls = match self.relay.security {
            Security::None => Tls::None,
            Security::StartTls => Tls::Required(parameters()?),
            Security::Implicit => Tls::Wrapper(parameters()?),
        };
        let mut builder = Transport::builder_dangerous(self.relay.host.clone())
            .port(self.relay.port)
            .tls(tls)
            .timeout(Some(self.patience));
        if let Some((user, password)) = &self.relay.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(transport.insert(builder.build()).clone())
    }
}

#[async_trait]
impl Mail for Smtp {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.sender.message(letter, self.clock.now())?;
        let transport = self.transport().map_err(|error| MailError::Unavailable(Box::new(error)))?;
        match tokio::time::timeout(self.patience, transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(translate(letter, error)),
            Err(slow) => Err(MailError::Unavailable(Box::new(slow))),
        }
    }
}

#[async_trait]
impl Reach for Smtp {
    /// As far as a letter would go: greeting, TLS, user and password.
    async fn reach(&self) -> Result<(), Unreached> {
        let transport = self.transport()?;
        let greeted = tokio::time::timeout(self.patience, transport.test_connection()).await?;
        match greeted.map_err(|error| Explained { advice: advice(&error), source: error })? {
            true => Ok(()),
            false => Err("the mail server has hung up; see OFFPEAK_SMTP_HOST".into()),
        }
    }
}

/// `{advice}`, with the client's own words as its source.
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
struct Explained {
    advice: &'static str,
    #[source]
    source: Error,
}

fn advice(error: &Error) -> &'static str {
    // RFC 4954 section 6: authentication required (530), too weak (534), invalid (535), encryption required (538).
    match error.status().map(u16::from) {
        Some(530 | 534 | 535 | 538) => "the mail server wants OFFPEAK_SMTP_USER and OFFPEAK_SMTP_PASSWORD to be others",
        _ => "no mail server can be used; see OFFPEAK_SMTP_HOST, OFFPEAK_SMTP_PORT and OFFPEAK_SMTP_SECURITY",
    }
}

/// A lasting no to this letter is a refusal; a lasting no to us, such as a wrong password, is not.
fn translate(letter: &Letter, error: Error) -> MailError {
    // RFC 5321 section 4.2.3: mailbox unavailable (550), not local (551), too large (552), name not allowed (553).
    const ABOUT_THE_LETTER: [u16; 4] = [550, 551, 552, 553];
    match error.status().map(u16::from) {
        Some(status) if error.is_permanent() && ABOUT_THE_LETTER.contains(&status) => {
            MailError::Refused(format!("event {}: the mail server answers {status}", letter.event_id))
        }
        _ => MailError::Unavailable(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let credentials = Some(("user".into(), "pass".into()));
        let relay = Relay { host: "mail".into(), port: 587, security: Security::StartTls, credentials };
        assert_eq!(
            format!("{relay:?}"),
            r#"Relay { host: "mail", port: 587, security: StartTls, user: Some("user"), .. }"#
        );
    }
}
