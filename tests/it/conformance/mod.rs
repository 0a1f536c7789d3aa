//! The conformance cases between the Functions host and its custom handler, one golden file each.
//!
//! The ids and the SHA-256 of every file stand here, in the test, so that no case can be dropped and no
//! byte of a file changed unseen. An id's letter says who must pass it: H the handler, D the dev host,
//! B both. Not here, because no function needs them yet: B12-B15, D11, D16, D21, B23-D32, D44, D46, D49.
//!
//! A golden file is `golden/<id>.txt`: parts, each a line `--- name` and the text up to the next such
//! line, its last line feed left out. The part `note` is the case as the protocol note words it (the
//! numbers in brackets are the note's sections), every other part is a literal piece of wire text that
//! stands in it, named so that a run can use it. `…` in a piece stands for what is not under test. The
//! files are copied from the note and never written by a program, least of all by one under test.
//!
//! To add a run, write `async fn name(case: &Case)` and put `B3 => name,` in the `runs!` list of
//! `handler.rs` (against `shared::host` on a socket) or of `devhost/mod.rs` (against the dev host's binary with
//! the stub handler). The list is both: the registry that is checked here, and the tests themselves.
mod devhost;
mod handler;

use std::{collections::BTreeSet, fs, path::Path};

use sha2::{Digest, Sha256};

/// Every case, with the SHA-256 of its golden file.
const CASES: &[(&str, &str)] = &[
    ("B1", "1fe1212df34e20ecf881ecfecb3b7c5c01b814fee132565ad5e7fbcbb5dee3eb"),
    ("B2", "39718c208c057163f74b4252f589160e8aa5f20b81599a11b8ea85d6853ec9b9"),
    ("B3", "59de0dc3423c8f186e1b7f9e37715af4749be1199748370ec1a3eed0edece067"),
    ("B4", "c5bb2dbc192eba31c6a1bdcd94cb356b859c909b9d4ac6d4a7de45f24b4103b3"),
    ("B5", "b1ea84dec529d5d249aff666f72465a814cee9a166f65dc928faec50097c3627"),
    ("B6", "478198d0ef7679c039342f2e82b9aeb4eeecb274587351fb758edd507d791c1a"),
    ("B7", "59a948400408f57f7a0d848c6cfea181d24e419c430405a65b760ff3c22f981d"),
    ("B8", "a39a26b4061555bb207c304999e082e49f02ad17bf0858beae6efde4d0b8773b"),
    ("B9", "3bc35bf925899c48cd4fb0ece02142634b21df1394e193f236f687dc3e63e56d"),
    ("B10", "73d876139c47c4e2e457cff15edcc05b00c908411289bc0434e937b11349979a"),
    ("B17", "d24ddb18cfdc5d40e2a5290b86b91c8df54cbc022480c371cf9c395fe962f0c2"),
    ("B22", "8156ef83df6394c82a9fd813782700f91ad2f9940a0d02ba5955d93e01a20f8a"),
    ("B33", "7859e5037a57246e72cee004844166991e53ee5f61a9c4ebd0e49310b495ceda"),
    ("B34", "0ffeef6f215d3d1a3701e1b18059b480dae0207266a26171383ba6d2b28b7f1f"),
    ("B35", "72bc78d8585ed06743b230c4aff5b24922c07beee606290df5a887533244466a"),
    ("D18", "c3a120010a017bb6b8cd710c3611e9e687f752f7d2fd47a6711696a9c67adbc5"),
    ("D19", "fc3e829e0a9c28c2bb8172cd35cff7d03e4b3d8358ebc1baf15eb79978eedab2"),
    ("D20", "a80bcaba63bf76e5cb0e94015eac308b26bf81ee26293c69e615b44bcd498877"),
    ("D38", "0027870244eadeb6a93e4ba439ff4754eb6ba0d4e8b301da4f3c0109b2e335d4"),
    ("D39", "2491edc9600fc1e9470eedd88a7a6d524ce26d898e652e56cb46fce45f7dd868"),
    ("D40", "286112b421223db1f292aef0e28a844277b56210d6436974b4f2be202b59b40e"),
    ("D41", "f4f92bceee9570bece2a82685c0cb5811951a553a4a44fca79960bc7c4dc1dd9"),
    ("D42", "225c4c6cea7bf7b05c08c4dfbef13840ef8446b5240556f71ce74f1ea0444483"),
    ("D43", "0dbf5776c7ed4cc0c06e59d3883d6d8c1193901cef3c6392a10bcd7d1d83dfaa"),
    ("D45", "1c5e94ab6f9febe5f3df7e3b6142dc99b18ed164433c68def2c3f7447a496912"),
    ("D47", "d888a58723032c7ac4f1c53fc8aa9ee36119ca3e06783102d95394a3977e3261"),
    ("D48", "73d1b61972bc756ac92775d0eda7484a11788fe37fd06cc45f285bf6bd83cd85"),
    ("H36", "957d808f905c7241c5458333404781bfa1cb5c9a2c2c3a9211c89240c0c87342"),
    ("H37", "49ab31d5ad08de36cab196184e6334259761deedc2ff92d62275fac2e25760e2"),
];

/// Where the golden files are.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance/golden");

/// One golden file, read.
pub(crate) struct Case {
    id: String,
    parts: Vec<(String, String)>,
}

impl Case {
    /// Reads `golden/<id>.txt`.
    pub(crate) fn load(id: &str) -> Case {
        let text = fs::read_to_string(Path::new(GOLDEN).join(format!("{id}.txt")))
            .unwrap_or_else(|err| panic!("no golden file for {id}: {err}"));
        Case { id: id.to_owned(), parts: parts(&text) }
    }

    /// The part of this name, to the letter.
    pub(crate) fn part(&self, name: &str) -> &str {
        let found = self.parts.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("{} has no part {name:?}", self.id), |(_, text)| text)
    }
}

/// Declares runs of cases: each becomes a test named after its case, and `IDS` lists them.
macro_rules! runs {
    ($($id:ident => $run:path),* $(,)?) => {
        /// The cases that have a run here.
        pub(crate) const IDS: &[&str] = &[$(stringify!($id)),*];
        $(
            #[tokio::test]
            #[expect(non_snake_case, reason = "the test is named after its case")]
            async fn $id() {
                $run(&super::Case::load(stringify!($id))).await;
            }
        )*
    };
}
pub(crate) use runs;

fn parts(text: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("--- ") {
            parts.push((name.to_owned(), String::new()));
        } else if let Some((_, body)) = parts.last_mut() {
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(line);
        }
    }
    parts
}

/// What is wrong with the golden files in `golden`, and with the registries that are given.
fn faults(golden: &Path, handler: Option<&[&str]>, devhost: Option<&[&str]>) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, digest) in CASES {
        match fs::read(golden.join(format!("{id}.txt"))) {
            Err(_) => faults.push(format!("{id}: no golden file")),
            Ok(bytes) if hex(&Sha256::digest(&bytes)) != *digest => faults.push(format!("{id}: golden file altered")),
            Ok(_) => {}
        }
        for (who, ids, letters) in [("handler", handler, ['B', 'H']), ("dev host", devhost, ['B', 'D'])] {
            if ids.is_some_and(|ids| id.starts_with(letters) && !ids.contains(id)) {
                faults.push(format!("{id}: no run against the {who}"));
            }
        }
    }
    let known: BTreeSet<&str> = CASES.iter().map(|(id, _)| *id).collect();
    for id in handler.into_iter().chain(devhost).flatten() {
        if !known.contains(id) {
            faults.push(format!("{id}: a run of no known case"));
        }
    }
    for entry in fs::read_dir(golden).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.strip_suffix(".txt").is_some_and(|id| known.contains(id)) {
            faults.push(format!("{name}: a file of no known case"));
        }
    }
    faults
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_case_has_its_golden_file_unaltered_and_its_runs() {
    let found = faults(Path::new(GOLDEN), Some(handler::IDS), Some(devhost::IDS));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_part_stands_to_the_letter_in_its_case() {
    for (id, _) in CASES {
        let case = Case::load(id);
        for (name, text) in &case.parts {
            assert!(case.part("note").contains(text.as_str()), "{id}: part {name:?} is not the note's text");
        }
    }
}

/// The check above is itself checked: on copies, each of three spoilt in each of its ways.
#[test]
fn a_missing_file_a_missing_run_and_an_altered_byte_are_found() {
    let every: Vec<&str> = CASES.iter().map(|(id, _)| *id).collect();
    for (id, at) in [("B3", 0), ("D41", 40), ("H37", 80)] {
        let copy = tempfile::tempdir().unwrap();
        for (other, _) in CASES {
            let name = format!("{other}.txt");
            fs::copy(Path::new(GOLDEN).join(&name), copy.path().join(&name)).unwrap();
        }
        assert_eq!(faults(copy.path(), Some(&every), Some(&every)), Vec::<String>::new());

        let file = copy.path().join(format!("{id}.txt"));
        let bytes = fs::read(&file).unwrap();
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        fs::write(&file, &altered).unwrap();
        assert_eq!(faults(copy.path(), None, None), [format!("{id}: golden file altered")]);

        fs::remove_file(&file).unwrap();
        assert_eq!(faults(copy.path(), None, None), [format!("{id}: no golden file")]);
        fs::write(&file, &bytes).unwrap();

        let rest: Vec<&str> = every.iter().copied().filter(|other| *other != id).collect();
        let (who, found) = match id {
            "D41" => ("dev host", faults(copy.path(), None, Some(&rest))),
            _ => ("handler", faults(copy.path(), Some(&rest), None)),
        };
        assert_eq!(found, [format!("{id}: no run against the {who}")]);
    }
}
