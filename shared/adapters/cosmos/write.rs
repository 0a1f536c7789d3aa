//! Conditional writes: one by itself, or a transactional batch whose every answer is looked at, because a batch
//! that was rolled back is answered with success.
use std::{collections::HashMap, time::Duration};

use azure_data_cosmos::{
    ContainerClient, CosmosError, TransactionalBatch,
    models::ItemResponse,
    options::{BatchDeleteOptions, BatchReplaceOptions, ItemWriteOptions, Precondition},
};
use serde_json::Value;

use super::{
    Reads, charged,
    failure::{failed, refused_in_batch},
    item::{self, condition, etag, expires, matching, stored},
    retry::Failed,
    unavailable,
};
use crate::shared::ports::{
    documents::{Container, ETag, StoreError, Write},
    limits::CheckedWrite,
};

/// How often a write is made again because an expired document stood where one is created.
const EXPIRED_MAX: usize = 3;
/// An operation that failed only because another one of its batch did. Source: Cosmos DB, "Transactional batch".
const FAILED_DEPENDENCY: u16 = 424;

/// One operation as the service is asked for it.
struct Operation<'a> {
    write: &'a CheckedWrite,
    /// The item to store; none for a delete.
    item: Option<Value>,
    /// What must still be there; none for a create.
    condition: Option<Precondition>,
}

/// What became of it.
struct Done {
    status: u16,
    /// What a refusal inside a batch says beside it.
    sub: u16,
    /// The service's; none where nothing is left.
    version: Option<String>,
    /// How long the service asks to wait before it is asked again.
    wait: Option<Duration>,
}

pub(super) async fn write(
    client: &ContainerClient,
    container: Container,
    partition: &str,
    writes: &[CheckedWrite],
    now: i64,
) -> Result<Vec<ETag>, Failed> {
    // Versions of expired documents that creates may put theirs in the place of.
    let mut expired = HashMap::new();
    for _ in 0..EXPIRED_MAX {
        let operations = operations(container, partition, writes, &expired, now)?;
        let done = send(client, container, partition, &operations).await?;
        let Some(index) = done.iter().position(|it| !is_success(it.status) && it.status != FAILED_DEPENDENCY) else {
            return Ok(answered(writes, &done, now)?);
        };
        let (failed, write) = (&done[index], &writes[index].write);
        let id = write.id().to_owned();
        match (failed.status, write) {
            (409, Write::Create { .. }) => match item::read(client, container, Reads::Committed, partition, &id).await?
            {
                Some(found) if found.is_there(now) => return Err(StoreError::Exists { id }.into()),
                Some(found) => expired.insert(id, found.version),
                // It was removed in between.
                None => expired.remove(&id),
            },
            // An expired document was replaced or removed by someone else just now.
            (404 | 412, Write::Create { .. }) => expired.remove(&id),
            (404 | 412, _) => return Err(StoreError::Changed { id }.into()),
            (413, _) => return Err(StoreError::Refused(format!("document {id} is too large for the service")).into()),
            (status, _) => return Err(refused_in_batch(&id, status, failed.sub, failed.wait)),
        };
    }
    Err(unavailable(Contended).into())
}

#[derive(Debug, thiserror::Error)]
#[error("expired documents kept changing")]
struct Contended;

#[derive(Debug, thiserror::Error)]
#[error("the service did not say what became of each write")]
struct Incomplete;

fn operations<'a>(
    container: Container,
    partition: &str,
    writes: &'a [CheckedWrite],
    expired: &HashMap<String, String>,
    now: i64,
) -> Result<Vec<Operation<'a>>, StoreError> {
    let operation = |it: &'a CheckedWrite| {
        let item = |body| Some(stored(container, partition, it, body, now));
        let guard = |etag| condition(etag, now).ok_or_else(|| StoreError::Changed { id: it.write.id().to_owned() });
        let (item, condition) = match &it.write {
            Write::Create { id, body, .. } => (item(body), expired.get(id).map(|it| matching(it))),
            Write::Replace { body, etag, .. } => (item(body), Some(guard(etag)?)),
            Write::Delete { etag, .. } => (None, Some(guard(etag)?)),
        };
        Ok(Operation { write: it, item, condition })
    };
    writes.iter().map(operation).collect()
}

async fn send(
    client: &ContainerClient,
    container: Container,
    partition: &str,
    operations: &[Operation<'_>],
) -> Result<Vec<Done>, Failed> {
    match operations {
        [one] => Ok(vec![send_one(client, container, partition, one).await?]),
        many => send_batch(client, container, partition, many).await,
    }
}

async fn send_one(
    client: &ContainerClient,
    container: Container,
    partition: &str,
    operation: &Operation<'_>,
) -> Result<Done, Failed> {
    let id = operation.write.write.id();
    let mut options = ItemWriteOptions::default();
    if let Some(condition) = &operation.condition {
        options = options.with_precondition(condition.clone());
    }
    let (key, options) = (partition.to_owned(), Some(options));
    let answer = match (&operation.item, &operation.condition) {
        (None, _) => client.delete_item(key, id, options).await,
        (Some(item), Some(_)) => client.replace_item(key, id, item, options).await,
        (Some(item), None) => client.create_item(key, id, item, options).await,
    };
    done(container, answer)
}

/// An answer to a point write. What the port has a name for is no failure of the call.
fn done(container: Container, answer: Result<ItemResponse, CosmosError>) -> Result<Done, Failed> {
    match answer {
        Ok(answer) => {
            charged(answer.headers());
            let version = answer.headers().etag().map(|it| it.to_string());
            Ok(Done { status: u16::from(answer.status().status_code()), sub: 0, version, wait: None })
        }
        Err(err) => {
            let status = err.status();
            let told = status.is_conflict() || status.is_precondition_failed() || status.is_not_found();
            if told {
                Ok(Done { status: u16::from(status.status_code()), sub: 0, version: None, wait: None })
            } else {
                Err(failed(container.name(), &err))
            }
        }
    }
}

async fn send_batch(
    client: &ContainerClient,
    container: Container,
    partition: &str,
    operations: &[Operation<'_>],
) -> Result<Vec<Done>, Failed> {
    let mut batch = TransactionalBatch::new(partition.to_owned());
    for it in operations {
        let id = it.write.write.id().to_owned();
        batch = match (&it.item, &it.condition) {
            (None, condition) => {
                let options = condition.clone().map(|it| BatchDeleteOptions::default().with_precondition(it));
                batch.delete_item(id, options)
            }
            (Some(item), Some(condition)) => {
                let options = BatchReplaceOptions::default().with_precondition(condition.clone());
                batch.replace_item(id, item, Some(options)).map_err(unavailable)?
            }
            (Some(item), None) => batch.create_item(item).map_err(unavailable)?,
        };
    }
    let answer = client.execute_transactional_batch(batch, None).await.map_err(|err| failed(container.name(), &err))?;
    charged(answer.headers());
    let answer = answer.into_model().map_err(unavailable)?;
    let done: Vec<_> = answer
        .results()
        .iter()
        .map(|it| Done {
            status: it.status_code(),
            sub: it.substatus_code().and_then(|it| it.try_into().ok()).unwrap_or(0),
            version: it.etag().map(str::to_owned),
            wait: it.retry_after(),
        })
        .collect();
    // Nothing is known of writes that the service says nothing of.
    if done.len() == operations.len() { Ok(done) } else { Err(unavailable(Incomplete).into()) }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn answered(writes: &[CheckedWrite], done: &[Done], now: i64) -> Result<Vec<ETag>, StoreError> {
    let one = |(write, done): (&CheckedWrite, &Done)| match (&write.write, &done.version) {
        (Write::Delete { .. }, _) => Ok(ETag(String::new())),
        (_, Some(version)) => Ok(etag(version, expires(write, now))),
        (it, None) => {
            let reason = "the service answered without its version".to_owned();
            Err(StoreError::Unreadable { id: it.id().to_owned(), reason })
        }
    };
    writes.iter().zip(done).map(one).collect()
}
