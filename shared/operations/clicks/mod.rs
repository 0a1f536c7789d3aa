//! What shoppers do, from the request that tells of it to the places where recommendations learn from it: the session
//! itself at once, the last hour by segments, and all of it by batches that are kept.
pub mod batches;
pub mod collect;
pub mod ingest;
pub mod live;
pub mod sessions;

use offpeak_domain::recommend::SegmentError;

use crate::shared::{
    documents::clicks::stored::BadBatch,
    ports::objects::{ObjectError, ObjectName, ObjectNameError},
};

pub use crate::shared::documents::clicks::event::{ClickEvent, Clicks, What, session_key};

/// Why clicks are not kept, or not read.
#[derive(Debug, thiserror::Error)]
pub enum ClicksError {
    #[error(transparent)]
    Name(#[from] ObjectNameError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the segment {0} is refused")]
    Segment(ObjectName, #[source] SegmentError),
    #[error("the batch {0} is refused")]
    Batch(ObjectName, #[source] BadBatch),
    #[error("the clicks have no form to be kept in")]
    Form(#[from] std::io::Error),
}
