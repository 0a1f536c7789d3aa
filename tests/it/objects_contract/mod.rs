//! What the objects port promises of every place: memory, a folder, and a container of Azure Blob Storage as Azurite
//! plays it.
pub(crate) mod azurite;
mod faults;
mod publishing;
mod victim;

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use bytes::Bytes;
use offpeak::shared::{
    adapters::{
        http_client::HttpClient,
        object_storage::{PATIENCE, Place, StoredObjects},
    },
    app::App,
    config::Config,
    ports::{
        documents::ETag,
        objects::{ObjectError, ObjectName, Objects, POINTER_MAX_BYTES},
    },
};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

/// More than one part of what the adapter hands over.
const LARGE_BYTES: usize = 10 * 1024 * 1024 + 7;
const CHUNK_BYTES: usize = 700_001;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

fn stored(place: Place) -> Arc<dyn Objects> {
    Arc::new(StoredObjects::new(place, HttpClient::default(), PATIENCE))
}

/// Bytes that no two places of share, told apart by `seed`.
fn content(seed: u8, bytes: usize) -> Bytes {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

async fn upload(objects: &dyn Objects, at: &ObjectName, content: &Bytes) -> Result<u64, ObjectError> {
    let mut upload = objects.upload(at).await?;
    for from in (0..content.len()).step_by(CHUNK_BYTES) {
        upload.write(content.slice(from..content.len().min(from + CHUNK_BYTES))).await?;
    }
    upload.finish().await
}

async fn read(
    objects: &dyn Objects,
    at: &ObjectName,
    range: Option<Range<u64>>,
) -> Result<(u64, Vec<u8>), ObjectError> {
    let mut object = objects.read(at, range).await?;
    let mut read = Vec::new();
    while let Some(chunk) = object.body.chunk().await? {
        read.extend_from_slice(&chunk);
    }
    Ok((object.bytes, read))
}

async fn names(objects: &dyn Objects, folder: &str) -> Vec<String> {
    let listing = objects.list(&name(folder), None, usize::MAX).await.unwrap();
    listing.entries.iter().map(|it| it.name.to_string()).collect()
}

/// Asks everything of one place. Each case keeps to names of its own.
async fn objects_contract(objects: &Arc<dyn Objects>) {
    an_object_is_whole_and_never_changes(objects.as_ref(), "small", 1_000).await;
    an_object_is_whole_and_never_changes(objects.as_ref(), "large", LARGE_BYTES).await;
    an_object_may_be_empty(objects.as_ref()).await;
    what_is_not_finished_is_not_there(objects.as_ref()).await;
    of_two_uploads_of_one_name_one_wins(objects, 1_000).await;
    of_two_uploads_of_one_name_one_wins(objects, LARGE_BYTES).await;
    a_listing_has_each_once_and_in_order(objects.as_ref()).await;
    what_is_deleted_is_gone(objects.as_ref()).await;
    a_pointer_is_replaced_by_who_has_seen_it(objects.as_ref()).await;
    of_many_who_have_seen_a_pointer_one_replaces_it(objects).await;
}

async fn an_object_is_whole_and_never_changes(objects: &dyn Objects, folder: &str, bytes: usize) {
    let at = name(&format!("{folder}/a"));
    assert!(matches!(objects.read(&at, None).await, Err(ObjectError::Missing(missing)) if missing == at));
    let written = content(1, bytes);
    assert_eq!(upload(objects, &at, &written).await.unwrap(), bytes as u64);
    assert_eq!(read(objects, &at, None).await.unwrap(), (bytes as u64, written.to_vec()));

    let other = content(2, bytes);
    assert!(matches!(upload(objects, &at, &other).await, Err(ObjectError::Taken(taken)) if taken == at));
    assert!(matches!(objects.put(&at, Bytes::from_static(b"x")).await, Err(ObjectError::Taken(_))));
    assert_eq!(read(objects, &at, None).await.unwrap().1, written);

    let end = bytes as u64;
    for range in [0..1, 3..400, end - 5..end, end - 5..end + 10] {
        let (all, part) = read(objects, &at, Some(range.clone())).await.unwrap();
        let within = usize::try_from(range.start).unwrap()..usize::try_from(range.end.min(end)).unwrap();
        assert_eq!((all, &part[..]), (end, &written[within]), "{range:?}");
    }
    for beyond in [end..end + 1, end + 7..end + 9, 5..5] {
        let refused = read(objects, &at, Some(beyond.clone())).await;
        assert!(matches!(refused, Err(ObjectError::Refused(_))), "{beyond:?}: {refused:?}");
    }
}

async fn an_object_may_be_empty(objects: &dyn Objects) {
    let at = name("empty/a");
    objects.put(&at, Bytes::new()).await.unwrap();
    assert_eq!(read(objects, &at, None).await.unwrap(), (0, Vec::new()));
    assert!(matches!(read(objects, &at, Some(0..1)).await, Err(ObjectError::Refused(_))));
}

async fn what_is_not_finished_is_not_there(objects: &dyn Objects) {
    let at = name("unfinished/a");
    let mut begun = objects.upload(&at).await.unwrap();
    begun.write(content(1, LARGE_BYTES)).await.unwrap();
    assert!(matches!(objects.read(&at, None).await, Err(ObjectError::Missing(_))));
    assert_eq!(names(objects, "unfinished").await, Vec::<String>::new());
    drop(begun);
    let second = content(2, LARGE_BYTES);
    upload(objects, &at, &second).await.unwrap();
    assert_eq!(read(objects, &at, None).await.unwrap().1, second);
}

async fn of_two_uploads_of_one_name_one_wins(objects: &Arc<dyn Objects>, bytes: usize) {
    let at = name(&format!("race/{bytes}"));
    let mut callers = JoinSet::new();
    for seed in 0..3 {
        let (objects, at) = (Arc::clone(objects), at.clone());
        callers.spawn(async move { upload(objects.as_ref(), &at, &content(seed, bytes)).await.map(|_| seed) });
    }
    let outcomes = callers.join_all().await;
    let winners: Vec<u8> = outcomes.iter().filter_map(|it| it.as_ref().ok().copied()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let found = read(objects.as_ref(), &at, None).await.unwrap().1;
    assert_eq!(Sha256::digest(&found), Sha256::digest(content(winners[0], bytes)));
}

async fn a_listing_has_each_once_and_in_order(objects: &dyn Objects) {
    let mut written = BTreeSet::new();
    for n in 0..23 {
        // A folder within, a name that begins with another, and none in the order in which they are written.
        let at = format!("list/{}{:02}", if n % 3 == 0 { "inner/" } else { "n-" }, n * 7 % 23);
        objects.put(&name(&at), content(1, n)).await.unwrap();
        written.insert(at);
    }
    objects.put(&name("lists/other"), Bytes::new()).await.unwrap();
    assert_eq!(names(objects, "list").await, written.iter().cloned().collect::<Vec<_>>());
    let (mut found, mut page, mut pages) = (Vec::new(), None, 0);
    loop {
        let listing = objects.list(&name("list"), page.as_deref(), 5).await.unwrap();
        assert!(listing.entries.len() <= 5);
        found.extend(listing.entries.iter().map(|it| it.name.to_string()));
        (page, pages) = (listing.next, pages + 1);
        if page.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (written.into_iter().collect(), 5));
    assert_eq!(names(objects, "list/inner").await.len(), 8);
    let sizes = objects.list(&name("list/inner"), None, 1).await.unwrap();
    assert_eq!((sizes.entries[0].bytes, sizes.entries[0].name.as_str()), (0, "list/inner/00"));
    assert_eq!(names(objects, "nowhere").await, Vec::<String>::new());
}

async fn what_is_deleted_is_gone(objects: &dyn Objects) {
    let at = name("delete/a");
    objects.put(&at, content(1, 10)).await.unwrap();
    objects.delete(&at).await.unwrap();
    objects.delete(&at).await.unwrap();
    assert!(matches!(objects.read(&at, None).await, Err(ObjectError::Missing(_))));
    objects.put(&at, content(2, 10)).await.unwrap();
}

async fn a_pointer_is_replaced_by_who_has_seen_it(objects: &dyn Objects) {
    let at = name("pointer/current");
    let changed = |outcome: Result<ETag, ObjectError>| matches!(outcome, Err(ObjectError::Changed(it)) if it == name("pointer/current"));
    assert_eq!(objects.pointer(&at).await.unwrap(), None);
    assert!(changed(objects.point(&at, "a", Some(&ETag("\"1\"".to_owned()))).await), "it was not there");
    let first = objects.point(&at, "a", None).await.unwrap();
    assert!(changed(objects.point(&at, "b", None).await), "it is there");
    let second = objects.point(&at, "b", Some(&first)).await.unwrap();
    let third = objects.point(&at, "a", Some(&second)).await.unwrap();
    for stale in [&first, &second] {
        assert!(changed(objects.point(&at, "c", Some(stale)).await), "an older version, though of the same text");
    }
    let found = objects.pointer(&at).await.unwrap().unwrap();
    assert_eq!((found.text.as_str(), &found.etag), ("a", &third));
    let long = "x".repeat(POINTER_MAX_BYTES + 1);
    assert!(matches!(objects.point(&at, &long, Some(&third)).await, Err(ObjectError::Refused(_))));
    objects.point(&at, &long[1..], Some(&third)).await.unwrap();
}

async fn of_many_who_have_seen_a_pointer_one_replaces_it(objects: &Arc<dyn Objects>) {
    let at = name("pointer/crowded");
    let mut seen = None;
    for round in 0..5 {
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let (objects, at, seen) = (Arc::clone(objects), at.clone(), seen.clone());
            let text = format!("{round} {caller}");
            callers.spawn(async move { objects.point(&at, &text, seen.as_ref()).await.map(|etag| (text, etag)) });
        }
        let outcomes = callers.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|it| matches!(it, Ok(_) | Err(ObjectError::Changed(_)))), "{outcomes:?}");
        let found = objects.pointer(&at).await.unwrap().unwrap();
        assert_eq!((&found.text, &found.etag), (&winners[0].0, &winners[0].1));
        seen = Some(found.etag);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    objects_contract(&stored(Place::Memory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("made/when/needed");
    objects_contract(&stored(Place::Folder(place.clone()))).await;
    assert_eq!(std::fs::read_dir(place.join(".drafts")).unwrap().count(), 0, "no draft is left");
}

/// Two processes on one folder, as two adapters: locks are between files, not between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pointer_in_a_folder_is_replaced_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let processes = [0, 1].map(|_| stored(Place::Folder(folder.path().to_owned())));
    let at = name("series/current");
    let mut callers = JoinSet::new();
    for (process, objects) in processes.iter().enumerate() {
        let (objects, at) = (Arc::clone(objects), at.clone());
        callers.spawn(async move {
            let mut done = 0;
            while done < 25 {
                let seen = objects.pointer(&at).await.unwrap();
                let count = seen.as_ref().map_or(0, |it| it.text.parse::<u32>().unwrap());
                match objects.point(&at, &(count + 1).to_string(), seen.as_ref().map(|it| &it.etag)).await {
                    Ok(_) => done += 1,
                    Err(ObjectError::Changed(_)) => {}
                    Err(other) => panic!("{process}: {other}"),
                }
            }
        });
    }
    callers.join_all().await;
    assert_eq!(processes[0].pointer(&at).await.unwrap().unwrap().text, "50");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_keeps_the_contract() {
    let azurite = azurite::Azurite::start().await;
    objects_contract(&stored(azurite.place())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_alone_choose_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let azurite = azurite::Azurite::start().await;
    let own = [("OFFPEAK_MODE", "local"), ("OFFPEAK_DATA", folder.path().to_str().unwrap())];
    let own: Vec<_> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    for settings in [own.clone(), [own, azurite.settings()].concat()] {
        let read = |name: &str| settings.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let app = App::build(&Config::read(&read).unwrap()).unwrap();
        let objects = app.shop.ports.objects;
        objects.put(&name("chosen/a"), content(1, 10)).await.unwrap();
        let in_folder = folder.path().join("objects/chosen/a").is_file();
        let in_azurite = stored(azurite.place()).read(&name("chosen/a"), None).await.is_ok();
        let local = settings.len() == 2;
        assert_eq!((in_folder, in_azurite), (local, !local));
        objects.delete(&name("chosen/a")).await.unwrap();
    }
}
