//! What another system says is on the shelf, applied once and in any order. The level, what its sources said
//! and the movement are one batch.
use std::time::Duration;

use offpeak_domain::{
    sku::Sku,
    stock::{
        Entry, Kind, Levels, Location,
        sources::{Applied, SourceRefusal, Update},
    },
};

use super::{PATIENCE, PAUSE_MAX, StockError, TURN, gate::gate};
use crate::shared::{
    documents::stock::{self, MovementId},
    ports::{
        Ports,
        documents::{Container, StoreError},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error(transparent)]
    Refused(#[from] SourceRefusal),
    #[error(transparent)]
    Stock(#[from] StockError),
}

impl From<StoreError> for UpdateError {
    fn from(err: StoreError) -> UpdateError {
        UpdateError::Stock(err.into())
    }
}

/// Repeating it, or applying it after later ones, changes nothing that they said.
///
/// # Errors
/// `Refused` for an update that makes no sense or is too old to tell, `Stock`.
pub async fn update(ports: &Ports, sku: &Sku, location: &Location, update: &Update) -> Result<Applied, UpdateError> {
    let gate = gate(ports, sku);
    let tries = async {
        // Without a turn one goes on all the same.
        let _turn = tokio::time::timeout(TURN, gate.turn.lock()).await;
        let mut pause = Duration::from_millis(1);
        loop {
            match attempt(ports, sku, location, update).await {
                Err(UpdateError::Stock(StockError::Store(StoreError::Changed { .. } | StoreError::Exists { .. }))) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                done => return done,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, tries).await {
        Ok(done) => done,
        Err(late) => Err(StoreError::Unavailable(Box::new(late)).into()),
    }
}

async fn attempt(ports: &Ports, sku: &Sku, location: &Location, update: &Update) -> Result<Applied, UpdateError> {
    let documents = ports.documents.as_ref();
    let seen = stock::read_levels(documents, sku).await?;
    let heard = stock::read_sources(documents, sku, location).await?;
    let mut levels: Levels = seen.as_ref().map(|it| it.value.clone()).unwrap_or_default();
    let mut sources = heard.as_ref().map(|it| it.value.clone()).unwrap_or_default();
    let before = levels.by_location.get(location).map_or(0, |level| level.on_hand);
    let Applied::OnHand(on_hand) = sources.apply(before, update)? else { return Ok(Applied::Nothing) };

    let change = levels.set_on_hand(location, on_hand).map_err(StockError::from)?;
    let mut writes = vec![
        stock::put_levels(sku, &levels, seen.as_ref().map(|it| &it.etag))?,
        stock::put_sources(location, &sources, heard.as_ref().map(|it| &it.etag))?,
    ];
    if change.on_hand != 0 {
        let cause = format!("{}:{}", update.source.as_str(), update.version);
        let entry = Entry { seq: levels.seq, kind: Kind::Update, cause, at: ports.clock.now(), changes: vec![change] };
        writes.push(stock::create_movement(MovementId::Numbered, &entry)?);
    }
    documents.write(Container::Stock, sku.as_str(), writes).await?;
    Ok(Applied::OnHand(on_hand))
}
