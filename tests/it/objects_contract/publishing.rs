//! What is published is seen whole or not at all, whoever else publishes and wherever a publisher stops.
use std::{
    io::{BufRead as _, BufReader},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use offpeak::shared::{
    adapters::{object_storage::Place, system::RandomIds},
    operations::publications::{Publication, PublishError, current, open, prune, publish},
    ports::{
        Ports,
        clock::Ids,
        objects::{ObjectError, Objects},
    },
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use ulid::Ulid;

use super::{
    azurite::Azurite,
    content, name, names, stored,
    victim::{self, Kind},
};
use crate::catalogue::stand::Stand;

pub(super) const SERIES: &str = "recommend/index";

pub(super) fn ports(objects: Arc<dyn Objects>) -> Ports {
    Ports { objects, ids: Arc::new(RandomIds), ..Stand::new().ports }
}

pub(super) async fn published(ports: &Ports, content: &Bytes) -> Result<Publication, PublishError> {
    let mut publishing = publish(ports, &name(SERIES)).await?;
    publishing.write(content.clone()).await?;
    publishing.finish().await
}

/// What a reader finds now; it must be what its pointer says.
async fn found(ports: &Ports) -> Option<Vec<u8>> {
    let publication = current(ports, &name(SERIES)).await.unwrap()?;
    let mut object = open(ports, &publication).await.unwrap();
    let mut read = Vec::new();
    while let Some(chunk) = object.body.chunk().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert_eq!(format!("{:x}", Sha256::digest(&read)), publication.sha256);
    Some(read)
}

async fn versions(ports: &Ports) -> usize {
    names(ports.objects.as_ref(), &format!("{SERIES}/versions")).await.len()
}

/// Publications are minutes apart; here each has a millisecond of its own, so that later ones sort later.
#[derive(Default)]
struct InTurn(AtomicU64);

impl Ids for InTurn {
    fn ulid(&self) -> Ulid {
        Ulid::from_parts(self.0.fetch_add(1, Ordering::SeqCst), 7)
    }

    fn token(&self) -> String {
        unreachable!("no secret is drawn")
    }
}

async fn publications_contract(objects: Arc<dyn Objects>) {
    let ports = Ports { ids: Arc::new(InTurn::default()), ..ports(objects) };
    assert_eq!(found(&ports).await, None);
    assert_eq!(prune(&ports, &name(SERIES), 0).await.unwrap(), 0);
    let first = content(1, 50_000);
    published(&ports, &first).await.unwrap();
    assert_eq!(found(&ports).await.unwrap(), first);

    // Two who begin with the same one: the first to finish wins, and the other is told by whom.
    let mut one = publish(&ports, &name(SERIES)).await.unwrap();
    let mut other = publish(&ports, &name(SERIES)).await.unwrap();
    one.write(content(2, 9_000_000)).await.unwrap();
    other.write(content(3, 100)).await.unwrap();
    let winner = other.finish().await.unwrap();
    match one.finish().await {
        Err(PublishError::Overtaken(by)) => assert_eq!(by, winner),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(found(&ports).await.unwrap(), content(3, 100));
    assert_eq!(versions(&ports).await, 2, "what lost is not kept");

    for n in 4..8 {
        published(&ports, &content(n, 100)).await.unwrap();
    }
    let before = current(&ports, &name(SERIES)).await.unwrap().unwrap();
    assert_eq!(prune(&ports, &name(SERIES), 2).await.unwrap(), 3);
    assert_eq!((found(&ports).await.unwrap(), versions(&ports).await), (content(7, 100).to_vec(), 3));
    published(&ports, &content(8, 100)).await.unwrap();
    assert_eq!(prune(&ports, &name(SERIES), 0).await.unwrap(), 3);
    assert!(matches!(open(&ports, &before).await, Err(ObjectError::Missing(_))));
    assert_eq!(found(&ports).await.unwrap(), content(8, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_in_memory_or_a_folder_is_seen_whole() {
    publications_contract(stored(Place::Memory)).await;
    let folder = TempDir::new().unwrap();
    publications_contract(stored(Place::Folder(folder.path().to_owned()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_in_azure_is_seen_whole() {
    let azurite = Azurite::start().await;
    publications_contract(stored(azurite.place())).await;
}

/// Kills a publisher where `kind` stops; then readers see what they saw, and the next one publishes.
async fn killed(place: &Place, argument: &str, kind: Kind, objects_left: usize) {
    let ports = ports(stored(place.clone()));
    let first = content(1, 1_000);
    if found(&ports).await.is_none() {
        published(&ports, &first).await.unwrap();
    }
    let (before, there) = (found(&ports).await, versions(&ports).await);
    let mut publisher = victim::command(kind, argument).spawn().unwrap();
    let mut lines = BufReader::new(publisher.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|it| it == victim::STOPPED), "the publisher came to where it is killed");
    publisher.kill().unwrap();
    publisher.wait().unwrap();
    assert_eq!(found(&ports).await, before, "{kind:?}");
    assert_eq!(versions(&ports).await, there + objects_left, "{kind:?}");
    let next = content(9, 2_000);
    published(&ports, &next).await.unwrap();
    assert_eq!(found(&ports).await.unwrap(), next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_killed_anywhere_leaves_what_was_published() {
    let folder = TempDir::new().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    killed(&place, folder.path().to_str().unwrap(), Kind::StopsInUpload, 0).await;
    killed(&place, folder.path().to_str().unwrap(), Kind::StopsBeforePointer, 1).await;
    let azurite = Azurite::start().await;
    killed(&azurite.place(), &azurite.endpoint, Kind::StopsInUpload, 0).await;
    killed(&azurite.place(), &azurite.endpoint, Kind::StopsBeforePointer, 1).await;
}

/// 96 MiB in and out again, in pieces: the process that does it never holds a third of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_passes_through_in_pieces() {
    let folder = TempDir::new().unwrap();
    let azurite = Azurite::start().await;
    for argument in [folder.path().to_str().unwrap(), &azurite.endpoint] {
        let output = victim::command(Kind::Weighs, argument).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let grown = text.lines().find_map(|it| it.strip_prefix("grown ")).expect("it says how much it grew");
        let grown_kib: u64 = grown.parse().unwrap();
        assert!(grown_kib < 32 * 1024, "{grown_kib} KiB in {argument}");
    }
}
