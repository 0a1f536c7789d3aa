//! A folder as a zip: entries in order of their names, no times, and the modes that matter.
use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::failure::Failure;

/// Packs everything in `folder` into `zip`, which appears whole or not at all.
pub(super) fn pack(folder: &Path, zip: &Path) -> Result<(), Failure> {
    let draft = zip.with_extension("zip.new");
    let file = File::create(&draft).map_err(Failure::file("write", &draft))?;
    let mut writer = ZipWriter::new(io::BufWriter::new(file));
    let unwritten = |err: zip::result::ZipError| Failure::new(format!("cannot write {}: {err}", zip.display()));
    for name in files(folder)? {
        let path = folder.join(&name);
        let mut content = File::open(&path).map_err(Failure::file("read", &path))?;
        let mode = content.metadata().map_err(Failure::file("read", &path))?.permissions().mode();
        // Only whether it can be run: what else this machine allows is not the host's business.
        let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(mode);
        writer.start_file(name, options).map_err(unwritten)?;
        io::copy(&mut content, &mut writer).map_err(Failure::file("pack", &path))?;
    }
    let written = writer.finish().map_err(unwritten)?;
    let file = written.into_inner().map_err(|err| Failure::new(format!("cannot write {}: {err}", draft.display())))?;
    file.sync_all().map_err(Failure::file("write", &draft))?;
    fs::rename(&draft, zip).map_err(Failure::file("replace", zip))
}

/// Every file below `folder`, by its path from there with `/`, in order.
pub(super) fn files(folder: &Path) -> Result<Vec<String>, Failure> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        let place = folder.join(&inner);
        let entries = fs::read_dir(&place).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(Failure::file("read", &place))? {
            let name = inner.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(name);
            } else {
                let text = name.to_str().ok_or_else(|| Failure::new(format!("{} is not UTF-8", name.display())))?;
                found.push(text.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(place: &Path, mode: u32) {
        fs::create_dir_all(place.join("cart")).unwrap();
        // In another order than that of their names.
        for (name, text) in [("host.json", "{}"), ("cart/function.json", "{\"bindings\":[]}"), ("handler", "program")] {
            fs::write(place.join(name), text.repeat(100)).unwrap();
        }
        fs::set_permissions(place.join("handler"), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_same_stage_is_the_same_zip_wherever_and_whenever() {
        let place = tempfile::tempdir().unwrap();
        let packed = ["one", "other"].map(|name| {
            let mode = if name == "one" { 0o755 } else { 0o700 };
            stage(&place.path().join(name), mode);
            let zip = place.path().join(format!("{name}.zip"));
            pack(&place.path().join(name), &zip).unwrap();
            fs::read(zip).unwrap()
        });
        assert_eq!(packed[0], packed[1]);
        let names = files(&place.path().join("one")).unwrap();
        assert_eq!(names, ["cart/function.json", "handler", "host.json"]);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 4, "no draft is left");
    }

    #[test]
    fn what_changes_changes_the_zip() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("stage");
        let zip = place.path().join("stage.zip");
        let pack = || {
            super::pack(&folder, &zip).unwrap();
            fs::read(&zip).unwrap()
        };
        stage(&folder, 0o755);
        let first = pack();
        fs::set_permissions(folder.join("handler"), fs::Permissions::from_mode(0o644)).unwrap();
        let second = pack();
        fs::write(folder.join("host.json"), "{ }").unwrap();
        let third = pack();
        assert!(first != second && second != third);
    }
}
