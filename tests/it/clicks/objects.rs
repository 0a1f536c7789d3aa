//! Object storage that is lost at any call: before it is carried out, or with its answer.
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use offpeak::shared::ports::{
    documents::ETag,
    objects::{Listing, Object, ObjectError, ObjectName, Objects, Pointer, Upload},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Call,
    Answer,
}

/// Calls are carried out until none is left.
pub(super) struct Cut {
    pub(super) inner: Arc<dyn Objects>,
    pub(super) left: AtomicI64,
    pub(super) loss: Loss,
}

impl Cut {
    async fn call<T>(&self, call: impl Future<Output = Result<T, ObjectError>>) -> Result<T, ObjectError> {
        let gone = self.left.fetch_sub(1, Ordering::SeqCst) <= 0;
        let lost = || Err(ObjectError::Unavailable("the storage was taken away".into()));
        if gone && self.loss == Loss::Call {
            return lost();
        }
        let answer = call.await;
        if gone { lost() } else { answer }
    }
}

#[async_trait]
impl Objects for Cut {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        self.inner.upload(name).await
    }

    async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), ObjectError> {
        self.call(self.inner.put(name, content)).await
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        self.call(self.inner.read(name, range)).await
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        self.call(self.inner.list(folder, page, max)).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.call(self.inner.delete(name)).await
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        self.call(self.inner.pointer(name)).await
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        self.call(self.inner.point(name, text, seen)).await
    }
}
