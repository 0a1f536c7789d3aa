//! An object that is handed over in parts, so that one part at most waits in memory.
//!
//! What has room in one part is created by one call. More is written where nobody looks and appears under its name in
//! one step that fails if the name is taken: Azure keeps blocks until they are listed; the other two get a draft under
//! a hidden name and a second name for it.
use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{CopyMode, CopyOptions, MultipartUpload, ObjectStoreExt, PutMode, PutOptions, path::Path};

use super::{Backend, path, within};
use crate::shared::ports::objects::{OBJECT_MAX_BYTES, ObjectError, ObjectName, Upload};

pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;
/// Source: Azure Blob Storage, "Scalability targets", blocks of a block blob.
pub(super) const PARTS_MAX: u64 = 50_000;
/// Nothing that is named by callers begins with a dot.
pub(super) const DRAFTS: &str = ".drafts";

/// Tells the drafts of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

pub(super) struct InParts {
    backend: Arc<Backend>,
    name: ObjectName,
    patience: Duration,
    /// What waits for its part to be full.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    bytes: u64,
    parts: Option<Parts>,
}

/// Once there is more than one part.
struct Parts {
    upload: Box<dyn MultipartUpload>,
    /// Where it is written to, if that is not its own name.
    draft: Option<Path>,
}

impl InParts {
    pub(super) fn new(backend: Arc<Backend>, name: ObjectName, patience: Duration) -> InParts {
        InParts { backend, name, patience, waiting: Vec::new(), waiting_bytes: 0, bytes: 0, parts: None }
    }

    /// Hands over what waits.
    async fn hand_over(&mut self) -> Result<(), ObjectError> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(begin(&self.backend, &self.name, self.patience).await?),
        };
        let part = std::mem::take(&mut self.waiting).into_iter().collect();
        self.waiting_bytes = 0;
        within(self.patience, &self.name, parts.upload.put_part(part)).await
    }
}

async fn begin(backend: &Backend, name: &ObjectName, patience: Duration) -> Result<Parts, ObjectError> {
    let draft = match backend {
        Backend::Azure(_) => None,
        _ => {
            let own = NEXT.fetch_add(1, Ordering::Relaxed);
            Some(Path::from_iter([DRAFTS.to_owned(), format!("{}-{own}", process::id())]))
        }
    };
    let place = draft.clone().unwrap_or_else(|| path(name));
    let upload = within(patience, name, backend.store().put_multipart(&place)).await?;
    Ok(Parts { upload, draft })
}

#[async_trait]
impl Upload for InParts {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), ObjectError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > OBJECT_MAX_BYTES {
            return Err(ObjectError::Refused(format!("{} is longer than {OBJECT_MAX_BYTES} bytes", self.name)));
        }
        while !bytes.is_empty() {
            // A full part goes only when more follows: what has room in one needs no second call.
            if self.waiting_bytes == PART_BYTES {
                self.hand_over().await?;
            }
            let piece = bytes.split_to(bytes.len().min(PART_BYTES - self.waiting_bytes));
            self.waiting_bytes += piece.len();
            self.waiting.push(piece);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, ObjectError> {
        let place = path(&self.name);
        if self.parts.is_none() {
            let content = std::mem::take(&mut self.waiting).into_iter().collect();
            let created = self.backend.store().put_opts(&place, content, PutOptions::from(PutMode::Create));
            within(self.patience, &self.name, created).await?;
            return Ok(self.bytes);
        }
        self.hand_over().await?;
        if let Some(Parts { mut upload, draft }) = self.parts.take() {
            within(self.patience, &self.name, upload.complete()).await?;
            if let Some(draft) = draft {
                let options = CopyOptions::new().with_mode(CopyMode::Create);
                let named = within(self.patience, &self.name, self.backend.store().copy_opts(&draft, &place, options));
                let named = named.await;
                within(self.patience, &self.name, self.backend.store().delete(&draft)).await?;
                named?;
            }
        }
        Ok(self.bytes)
    }
}
