//! Whatever the bytes are, they are refused or read; nothing panics.
use proptest::prelude::*;

use super::{
    super::{
        build::{Builder, Stage},
        click::Click,
        params::Params,
        score::{Live, Prepared, Scratch, Seen, hybrid, vmis},
    },
    IndexError, Item, Layout, seal,
};

fn file() -> Vec<u8> {
    let mut builder = Builder::new(&Params::default());
    builder.describe("mug", "kitchen", ["mug", "blue"]);
    builder.describe("cup", "kitchen", ["cup", "blue"]);
    for (ended, items) in [(10, ["mug", "tea", "pot"]), (20, ["tea", "pot", "tea"]), (30, ["pot", "mug", "jam"])] {
        builder.add(ended, items.map(Click::view));
    }
    builder.finish(Stage::Whole)
}

/// Asks for all there is.
fn read(bytes: &[u8]) -> Result<(), IndexError> {
    let layout = Layout::read(bytes)?;
    let model = layout.model(bytes);
    let prepared = Prepared::new(&model, &model.params(Seen::Shown));
    let mut scratch = Scratch::default();
    for item in (0..model.items() + 2).map(Item) {
        let id = model.id(item);
        let found = model.find(id).unwrap_or(item);
        for seen in [Seen::Shown, Seen::Hidden, Seen::Only] {
            hybrid(&Live::new(model), &prepared, &[item, found], seen, 5, &mut scratch);
            vmis(&model, &prepared, &[item, found], seen, 5, &mut scratch);
        }
        let lists = model.bought(item.0).chain(model.basket(item.0)).chain(model.alike(item.0));
        assert!(lists.chain(model.trend(model.category(item.0))).count() < bytes.len());
    }
    Ok(())
}

#[test]
fn what_is_written_is_read() {
    let file = file();
    let layout = Layout::read(&file).unwrap();
    layout.verify(&file).unwrap();
    let model = layout.model(&file);
    assert_eq!((model.items(), model.sessions(), model.newest()), (5, 3, 30));
    let ids: Vec<&str> = (0..5).map(|it| model.id(Item(it))).collect();
    assert_eq!(ids, ["cup", "jam", "mug", "pot", "tea"]);
    assert_eq!(model.find("pot"), Some(Item(3)));
    assert_eq!(model.find("po"), None);
    assert_eq!(model.session(1).collect::<Vec<_>>(), [4, 3, 4]);
    assert_eq!(model.postings(4).map(|it| it.session()).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(model.category(2).map(|it| model.category_name(it)), Some("kitchen"));
    assert_eq!(model.category(3), None);
    // One step of six goes back to what its session has seen: the second session's last.
    assert!((model.returns() - 1.0 / 6.0).abs() < 1e-6);
    assert_eq!(model.params(Seen::Hidden), Params::default());
}

#[test]
fn the_same_sessions_make_the_same_file() {
    assert!(file() == file());
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let file = file();
    for at in 0..file.len() {
        assert!(read(&file[..at]).is_err(), "cut at {at}");
        // Even if whoever cut it had put the length and the checksums right.
        let mut cut = file[..at].to_vec();
        seal(&mut cut);
        read(&cut).ok();
    }
}

#[test]
fn another_version_says_so_and_other_files_are_none_of_ours() {
    let mut other = file();
    other[8] = 9;
    assert_eq!(read(&other), Err(IndexError::Version { found: 9 }));
    assert!(read(&other).unwrap_err().to_string().contains("version 9"));
    assert_eq!(read(b"SQLite format 3"), Err(IndexError::NotAnIndex));
    assert_eq!(read(&[]), Err(IndexError::NotAnIndex));
    let mut longer = file();
    longer.push(0);
    assert!(matches!(read(&longer), Err(IndexError::Length { .. })));
}

#[test]
fn a_changed_byte_is_found_by_the_checksums() {
    let file = file();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let found = Layout::read(&changed).and_then(|it| it.verify(&changed));
        assert!(found.is_err(), "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Heads, tables and bodies that lie, sealed as if they were right.
    #[test]
    fn nothing_that_is_changed_makes_it_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12),
        cut in proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = file();
        for (at, byte, early) in edits {
            // The head and the table are small and matter most.
            let within = if early { 480.min(bytes.len()) } else { bytes.len() };
            let at = at.index(within);
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes).ok();
        seal(&mut bytes);
        read(&bytes).ok();
    }
}
