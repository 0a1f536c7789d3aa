//! Large things by name: models, indexes, exports. What lies under a name never changes, and nothing is seen under it
//! before it is whole; which of several is the current one is said by a pointer, a small text that is replaced only by
//! who has seen it as it is.
use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;

use super::documents::ETag;

/// Bytes of one object.
pub const OBJECT_MAX_BYTES: u64 = 1 << 30;
/// Bytes of what a pointer says.
pub const POINTER_MAX_BYTES: usize = 4 * 1024;
/// Entries of one page of a listing.
pub const PAGE_MAX: usize = 1_000;
const NAME_MAX_BYTES: usize = 200;

/// Where an object or a pointer lies: segments of lower-case letters, digits, `_`, `.` and `-`, with `/` between; none
/// begins with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot name an object: segments of a-z, 0-9, `_`, `.` and `-`, at most {NAME_MAX_BYTES} bytes in all")]
pub struct ObjectNameError(String);

impl ObjectName {
    /// # Errors
    /// [`ObjectNameError`].
    pub fn parse(text: impl Into<String>) -> Result<ObjectName, ObjectNameError> {
        let text = text.into();
        let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'_' | b'.' | b'-');
        let segment = |it: &str| !it.is_empty() && !it.starts_with('.') && it.bytes().all(plain);
        let good = text.len() <= NAME_MAX_BYTES && text.split('/').all(segment);
        if good { Ok(ObjectName(text)) } else { Err(ObjectNameError(text)) }
    }

    /// `name` in this folder.
    ///
    /// # Errors
    /// [`ObjectNameError`].
    pub fn child(&self, name: &str) -> Result<ObjectName, ObjectNameError> {
        ObjectName::parse(format!("{self}/{name}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Nothing lies under this name.
    #[error("there is no object {0}")]
    Missing(ObjectName),
    /// The name is taken; a call whose answer was lost finds its own object.
    #[error("there is an object {0} already")]
    Taken(ObjectName),
    /// The pointer is not as the caller has seen it.
    #[error("the pointer {0} was replaced by someone else")]
    Changed(ObjectName),
    /// Trying this again can never succeed.
    #[error("the object storage refuses: {0}")]
    Refused(String),
    /// Try again later.
    #[error("the object storage is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An object that begins to arrive.
pub struct Object {
    /// Of the whole object, whatever part of it was asked for.
    pub bytes: u64,
    pub body: Box<dyn ObjectBody>,
}

#[async_trait]
pub trait ObjectBody: Send {
    /// The next bytes; `None` only at the true end, never where it broke off.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn chunk(&mut self) -> Result<Option<Bytes>, ObjectError>;
}

/// An object in the making. Dropped unfinished, it leaves nothing under its name.
#[async_trait]
pub trait Upload: Send {
    /// Bytes that follow what was written before. They are handed on in parts, so that no more than one part waits here.
    ///
    /// # Errors
    /// `Unavailable`; `Refused` beyond [`OBJECT_MAX_BYTES`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError>;

    /// Makes it seen under its name, durably, and answers its size.
    ///
    /// # Errors
    /// `Taken`, `Unavailable`.
    async fn finish(self: Box<Self>) -> Result<u64, ObjectError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: ObjectName,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What a pointer says, and which version of it that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub text: String,
    pub etag: ETag,
}

#[async_trait]
pub trait Objects: Send + Sync {
    /// Begins an object; the name must be free until it is finished.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError>;

    /// A whole object at once.
    ///
    /// # Errors
    /// As [`Upload::write`] and [`Upload::finish`].
    async fn put(&self, name: &ObjectName, content: Bytes) -> Result<(), ObjectError> {
        let mut upload = self.upload(name).await?;
        upload.write(content).await?;
        upload.finish().await.map(drop)
    }

    /// An object, or these bytes of it; a range that ends beyond the object ends with it.
    ///
    /// # Errors
    /// `Missing`, `Unavailable`; `Refused` if the range begins beyond the object.
    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError>;

    /// What lies in a folder, at any depth, at most `max` and [`PAGE_MAX`] at a time; `page` is what the page before
    /// named as next.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError>;

    /// Removes an object or a pointer; that there is none is well.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError>;

    /// # Errors
    /// `Unavailable`.
    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError>;

    /// Replaces a pointer that is still as it was `seen`; `None`: that was not there.
    ///
    /// # Errors
    /// `Changed`, also when this very call was carried out and its answer was lost; `Unavailable`; `Refused` beyond
    /// [`POINTER_MAX_BYTES`].
    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for good in ["a", "recommend/index/01k5", "a.b/c_d-e"] {
            assert_eq!(ObjectName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(NAME_MAX_BYTES + 1);
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", ".drafts/a", "A", "a b", "a#1", "a%2f", "ä", "a\\b", &long]
        {
            assert!(ObjectName::parse(bad).is_err(), "{bad}");
        }
        let folder = ObjectName::parse("recommend").unwrap();
        assert_eq!(folder.child("index").unwrap().as_str(), "recommend/index");
        assert!(folder.child("../x").is_err());
    }
}
