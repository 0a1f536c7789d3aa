//! The process that `publishing.rs` kills or weighs: this very test binary, started again with one test named and
//! variables set. In an ordinary run they are absent and the test is over at once.
use std::{
    fs,
    io::Write as _,
    ops::Range,
    process::{Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::{
    adapters::object_storage::{Account, Credential, Place},
    operations::publications::{current, open, publish},
    ports::{
        documents::ETag,
        objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
    },
};

use super::{azurite, content, name, publishing, stored};

const KIND: &str = "OFFPEAK_TEST_PUBLISHER_KIND";
const PLACE: &str = "OFFPEAK_TEST_PUBLISHER_PLACE";
/// Printed where it waits to be killed.
pub(super) const STOPPED: &str = "stopped";
const PIECE_BYTES: usize = 1024 * 1024;
const PIECES: usize = 96;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// When some parts of the object are handed over.
    StopsInUpload,
    /// When the object is there.
    StopsBeforePointer,
    /// Not at all: it publishes and reads, and says how much memory that took.
    Weighs,
}

const KINDS: [Kind; 3] = [Kind::StopsInUpload, Kind::StopsBeforePointer, Kind::Weighs];

/// `place`: a folder, or an emulator's address.
pub(super) fn command(kind: Kind, place: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "objects_contract::victim::publisher_process", "--nocapture"])
        .env(KIND, format!("{kind:?}"))
        .env(PLACE, place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

#[expect(clippy::disallowed_methods, reason = "how the test speaks to its own second process")]
fn asked() -> Option<(Kind, String)> {
    let kind = std::env::var(KIND).ok()?;
    let kind = KINDS.into_iter().find(|it| format!("{it:?}") == kind).unwrap();
    Some((kind, std::env::var(PLACE).unwrap()))
}

fn place(argument: String) -> Place {
    if !argument.starts_with("http") {
        return Place::Folder(argument.into());
    }
    let credential = Credential::Key(azurite::KEY.to_owned());
    Place::Azure(Account { endpoint: argument.parse().unwrap(), container: azurite::CONTAINER.to_owned(), credential })
}

#[tokio::test]
async fn publisher_process() {
    let Some((kind, argument)) = asked() else { return };
    let objects = stored(place(argument));
    match kind {
        Kind::StopsInUpload => {
            let ports = publishing::ports(objects);
            let mut publishing = publish(&ports, &name(publishing::SERIES)).await.unwrap();
            publishing.write(content(2, 20 * PIECE_BYTES)).await.unwrap();
            stop().await;
        }
        Kind::StopsBeforePointer => {
            let ports = publishing::ports(Arc::new(Stops(objects)));
            publishing::published(&ports, &content(2, 20 * PIECE_BYTES)).await.unwrap();
        }
        Kind::Weighs => weigh(objects).await,
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// Waits for the kill.
async fn stop() {
    say(STOPPED);
    std::future::pending().await
}

async fn weigh(objects: Arc<dyn Objects>) {
    let ports = publishing::ports(objects);
    // What every first call costs, certificates and all, is not what is weighed.
    publishing::published(&ports, &Bytes::from_static(b"small")).await.unwrap();
    let before = peak_kib();
    let piece = |n: usize| Bytes::from(vec![u8::try_from(n).unwrap(); PIECE_BYTES]);
    let mut publishing = publish(&ports, &name(publishing::SERIES)).await.unwrap();
    for n in 0..PIECES {
        publishing.write(piece(n)).await.unwrap();
    }
    publishing.finish().await.unwrap();
    let publication = current(&ports, &name(publishing::SERIES)).await.unwrap().unwrap();
    let mut object = open(&ports, &publication).await.unwrap();
    let mut at = 0;
    while let Some(chunk) = object.body.chunk().await.unwrap() {
        for byte in chunk {
            assert_eq!(usize::from(byte), at / PIECE_BYTES);
            at += 1;
        }
    }
    assert_eq!(at, PIECES * PIECE_BYTES);
    say(&format!("grown {}", peak_kib() - before));
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Objects whose pointers are never replaced.
struct Stops(Arc<dyn Objects>);

#[async_trait]
impl Objects for Stops {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        self.0.upload(name).await
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        self.0.read(name, range).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.0.list(folder, page, max).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.0.delete(name).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.0.pointer(name).await
    }

    async fn point(&self, _: &ObjectName, _: &str, _: Option<&ETag>) -> Result<ETag, ObjectError> {
        stop().await;
        unreachable!("it waits for ever")
    }
}
