//! Mail as files: one `.eml` for each event, for a machine without a mail server. A file with the final name
//! is a whole message, and a repeated event leaves the first file as it is.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::mail_message::{self, Sender};
use crate::shared::ports::{
    clock::Clock,
    mail::{Letter, Mail, MailError},
    reach::{Reach, Unreached},
};

/// How long one delivery may take unless the caller says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Tells the writers within this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

pub struct MailFiles {
    folder: Arc<Path>,
    sender: Sender,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl MailFiles {
    /// The folder is made at the first delivery.
    pub fn new(folder: PathBuf, sender: Sender, clock: Arc<dyn Clock>, patience: Duration) -> MailFiles {
        MailFiles { folder: folder.into(), sender, clock, patience }
    }
}

#[async_trait]
impl Mail for MailFiles {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.sender.message(letter, self.clock.now())?.formatted();
        let (folder, name) = (Arc::clone(&self.folder), mail_message::name(&letter.event_id));
        let writing = tokio::task::spawn_blocking(move || deliver(&folder, &name, &message));
        let unavailable = |error: Box<dyn std::error::Error + Send + Sync>| MailError::Unavailable(error);
        tokio::time::timeout(self.patience, writing)
            .await
            .map_err(|slow| unavailable(slow.into()))?
            .map_err(|lost| unavailable(lost.into()))?
            .map_err(|error| unavailable(error.into()))
    }
}

#[async_trait]
impl Reach for MailFiles {
    async fn reach(&self) -> Result<(), Unreached> {
        let folder = Arc::clone(&self.folder);
        let trying = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&folder)?;
            let draft = folder.join(format!(".check.{}.tmp", process::id()));
            File::create(&draft)?;
            fs::remove_file(&draft)
        });
        Ok(tokio::time::timeout(self.patience, trying).await???)
    }
}

/// Under a name of its own until it is whole and on the disk, then renamed. A writer that is killed leaves a
/// hidden file behind that nobody reads.
fn deliver(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    let place = folder.join(format!("{name}.eml"));
    if place.try_exists()? {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    let draft = folder.join(format!(".{name}.{}-{own}.tmp", process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
    file.write_all(message)?;
    file.sync_all()?;
    fs::rename(&draft, &place)?;
    // The new name is on the disk only when its folder is.
    File::open(folder)?.sync_all()
}
