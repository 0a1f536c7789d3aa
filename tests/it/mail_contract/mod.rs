//! What the mail port promises of every way of delivery, as an independent reader of mail sees it: Python's own
//! parser, and `aiosmtpd` as the server.
use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use offpeak::shared::{
    adapters::{
        mail_files::MailFiles,
        mail_message::Sender,
        smtp::{Relay, Security, Smtp},
    },
    ports::mail::{Letter, Mail, MailError},
};
use serde_json::{Value, json};

use crate::{documents_contract::HandClock, given};

const SCRIPT: &str = include_str!("server.py");
const PATIENCE: Duration = Duration::from_secs(10);

fn sender() -> Sender {
    Sender::parse("Öffpeak Shop <shop@example.test>").unwrap()
}

fn letter(event_id: &str) -> Letter {
    Letter {
        event_id: event_id.into(),
        to: "ada@example.test".into(),
        subject: "Bestellung 12 bestätigt: danke für alles, was man so in einem langen Betreff sagen kann 🛒".into(),
        text: format!("Grüße\n.\n..\nFrom here\n{}\nEnde", "lang ".repeat(400)),
        html: "<p>Grüße &amp; Küsse 🛒</p>\n.\n<p>Ende</p>".into(),
    }
}

/// Asks everything of one adapter; `delivered` answers the next message that a reader sees.
async fn mail_contract(mail: &dyn Mail, mut delivered: impl FnMut(&str) -> Value) {
    let sent = letter("evt_1");
    mail.send(&sent).await.unwrap();
    let seen = delivered("evt_1");
    assert_eq!((&seen["to"], &seen["from"]), (&json!("ada@example.test"), &json!("Öffpeak Shop <shop@example.test>")));
    assert_eq!(seen["subject"], sent.subject);
    assert_eq!((&seen["text"], &seen["html"]), (&json!(sent.text), &json!(sent.html)));
    assert_eq!(seen["type"], "multipart/alternative");
    assert_eq!(seen["id"], "<evt_1@example.test>");
    assert_eq!(seen["date"], "Fri, 15 Jan 2027 08:00:00 +0000");
    assert_eq!(seen["defects"], json!([]));

    let attack = Letter { subject: "Hi\r\nBcc: eve@example.test\r\n\r\nHi".into(), ..letter("evt_2") };
    mail.send(&attack).await.unwrap();
    let seen = delivered("evt_2");
    assert_eq!((&seen["bcc"], &seen["to"]), (&Value::Null, &json!("ada@example.test")));
    assert_eq!(seen["text"], attack.text);

    for to in ["", "nobody", "a@b.test, c@d.test", "ada@b.test\r\nRCPT TO:<eve@c.test>"] {
        let refused = mail.send(&Letter { to: to.into(), ..letter("evt_3") }).await.unwrap_err();
        assert!(matches!(refused, MailError::Refused(_)), "{to:?}: {refused}");
    }
}

fn python() -> Command {
    let mut command = Command::new(given::path(given::PYTHON));
    command.args(["-c", SCRIPT]);
    command
}

/// What a mail program sees in a file.
fn parse(file: &Path) -> Value {
    let output = python().arg("parse").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn files_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mail");
    let mail = MailFiles::new(place.clone(), sender(), HandClock::new(), PATIENCE);
    mail_contract(&mail, |event_id| parse(&place.join(format!("{event_id}.eml")))).await;
    let mut names: Vec<_> = fs::read_dir(&place).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["evt_1.eml", "evt_2.eml"], "no draft is left, and what was refused left nothing");
}

#[tokio::test]
async fn an_event_delivered_again_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let mail = Arc::new(MailFiles::new(folder.path().to_owned(), sender(), HandClock::new(), PATIENCE));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mail = Arc::clone(&mail);
        callers.spawn(async move { mail.send(&letter("evt_1")).await.unwrap() });
    }
    callers.join_all().await;
    let before = fs::read(folder.path().join("evt_1.eml")).unwrap();
    mail.send(&Letter { subject: "another".into(), ..letter("evt_1") }).await.unwrap();
    assert_eq!(fs::read(folder.path().join("evt_1.eml")).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    mail.send(&letter("../evt/2")).await.unwrap();
    assert!(folder.path().join("%2E.%2Fevt%2F2.eml").exists(), "no event leaves the folder");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_delay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let mail = MailFiles::new(file.join("mail"), sender(), HandClock::new(), PATIENCE);
    assert!(matches!(mail.send(&letter("evt_1")).await, Err(MailError::Unavailable(_))));
}

/// A real mail server on loopback, ended with the test.
pub(crate) struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Server {
        let mut child = python().arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the mail server has started").unwrap().parse().unwrap();
        Server { child, lines, port }
    }

    fn relay(&self, security: Security) -> Relay {
        Relay { host: "127.0.0.1".into(), port: self.port, security, credentials: None }
    }

    pub(crate) fn seen(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait().map(drop)).unwrap();
    }
}

fn smtp(relay: Relay, patience: Duration) -> Smtp {
    Smtp::new(relay, sender(), HandClock::new(), patience)
}

#[tokio::test]
async fn smtp_keeps_the_contract() {
    let mut server = Server::start();
    let mail = smtp(server.relay(Security::None), PATIENCE);
    mail_contract(&mail, |_| {
        let seen = server.seen();
        assert_eq!(seen["envelopeTo"], json!(["ada@example.test"]), "nobody else gets it");
        seen
    })
    .await;
}

#[tokio::test]
async fn what_the_server_says_to_an_address_is_a_refusal_or_a_delay() {
    let mut server = Server::start();
    let mail = smtp(server.relay(Security::None), PATIENCE);
    let to = |who: &str| Letter { to: format!("{who}@example.test"), ..letter("evt_1") };
    for never in ["nobody", "greedy"] {
        assert!(matches!(mail.send(&to(never)).await, Err(MailError::Refused(_))), "{never}");
    }
    assert!(matches!(mail.send(&to("later")).await, Err(MailError::Unavailable(_))));
    mail.send(&to("ada")).await.unwrap();
    assert_eq!(server.seen()["to"], "ada@example.test");
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_that_needs_it() {
    let server = Server::start();
    for security in [Security::StartTls, Security::Implicit] {
        let mail = smtp(server.relay(security), Duration::from_secs(2));
        assert!(matches!(mail.send(&letter("evt_1")).await, Err(MailError::Unavailable(_))), "{security:?}");
    }
}

#[tokio::test]
async fn a_silent_or_absent_server_does_not_hold_the_caller() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [silent.local_addr().unwrap().port(), 9] {
        let relay = Relay { host: "127.0.0.1".into(), port, security: Security::None, credentials: None };
        let since = Instant::now();
        let outcome = smtp(relay, Duration::from_millis(300)).send(&letter("evt_1")).await;
        assert!(matches!(outcome, Err(MailError::Unavailable(_))));
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    }
}
