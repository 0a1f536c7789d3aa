//! A change of one SKU that shares its batch with nobody: read, decide, write; again while others are faster.
use std::time::Duration;

use offpeak_domain::{
    sku::Sku,
    stock::{Kind, Levels},
};
use time::OffsetDateTime;

use super::{
    PATIENCE, PAUSE_MAX, StockError, TURN,
    gate::gate,
    sold_out::{self, is_any_left},
};
use crate::shared::{
    documents::{
        Seen,
        stock::{self, LEVEL_ID},
    },
    ports::{
        Ports,
        documents::{Container, ETag, StoreError, Write},
    },
};

pub(super) struct Change {
    pub(super) levels: Levels,
    /// What is written with them.
    pub(super) writes: Vec<Write>,
}

/// `work` names a movement: if it is there already, the work was done and nothing is to do.
pub(super) async fn change<D>(
    ports: &Ports,
    sku: &Sku,
    work: Option<(Kind, &str)>,
    decide: D,
) -> Result<Seen<Levels>, StockError>
where
    D: Fn(Option<&Seen<Levels>>, OffsetDateTime) -> Result<Change, StockError>,
{
    let gate = gate(ports, sku);
    let tries = async {
        // Without a turn one goes on all the same.
        let _turn = tokio::time::timeout(TURN, gate.turn.lock()).await;
        let mut pause = Duration::from_millis(1);
        loop {
            match attempt(ports, sku, work, &decide).await {
                Err(StockError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                done => return done,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, tries).await {
        Ok(done) => done,
        Err(late) => Err(StockError::Store(StoreError::Unavailable(Box::new(late)))),
    }
}

async fn attempt<D>(
    ports: &Ports,
    sku: &Sku,
    work: Option<(Kind, &str)>,
    decide: &D,
) -> Result<Seen<Levels>, StockError>
where
    D: Fn(Option<&Seen<Levels>>, OffsetDateTime) -> Result<Change, StockError>,
{
    let documents = ports.documents.as_ref();
    let (seen, now) = (stock::read_levels(documents, sku).await?, ports.clock.now());
    let change = match decide(seen.as_ref(), now) {
        Ok(change) => change,
        Err(refused) => return was_done(ports, sku, work, seen).await?.ok_or(refused),
    };
    let mut writes = vec![stock::put_levels(sku, &change.levels, seen.as_ref().map(|it| &it.etag))?];
    writes.extend(change.writes);
    match documents.write(Container::Stock, sku.as_str(), writes).await {
        Ok(etags) => {
            let etag = etags.into_iter().next().unwrap_or(ETag(String::new()));
            if is_any_left(&change.levels, now) && !seen.is_some_and(|it| is_any_left(&it.value, now)) {
                sold_out::clear(ports, sku).await;
            }
            Ok(Seen { value: change.levels, etag })
        }
        Err(StoreError::Exists { id }) if id != LEVEL_ID => {
            let exists = StoreError::Exists { id };
            was_done(ports, sku, work, seen).await?.ok_or(StockError::Store(exists))
        }
        Err(err) => Err(err.into()),
    }
}

/// The levels as they are, if the work was done before.
async fn was_done(
    ports: &Ports,
    sku: &Sku,
    work: Option<(Kind, &str)>,
    seen: Option<Seen<Levels>>,
) -> Result<Option<Seen<Levels>>, StockError> {
    let Some((kind, key)) = work else { return Ok(None) };
    let done = stock::read_movement(ports.documents.as_ref(), sku, kind, key).await?;
    Ok(done.and(seen))
}
