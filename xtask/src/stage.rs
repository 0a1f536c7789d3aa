//! `stage` lays the app out as the Functions host wants it: `host.json` and the executable at the top,
//! one `function.json` one level below. Run and deployment both start from this folder.
//!
//! What must stay true: a host may be watching the folder, so a file is replaced in one step and only
//! when its content changed, and nothing of a function that is gone stays behind.
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser};

use crate::{build, failure::Failure, workspace};

const HELP: &str = "usage: cargo xtask stage [--profile dev|release|dist]\n";

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let mut profile = "dev".to_owned();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("profile") => profile = args.value()?.to_string_lossy().into_owned(),
            Arg::Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let handler = build::build(build::HANDLER, &profile)?.program("handler")?;
    let stage = workspace::target().join("stage");
    lay_out(workspace::root(), &handler, &stage)?;
    println!("{}", stage.display());
    Ok(())
}

/// Makes `stage` hold exactly the app of the checkout at `root` with this handler.
pub(crate) fn lay_out(root: &Path, handler: &Path, stage: &Path) -> Result<(), Failure> {
    fs::create_dir_all(stage).map_err(Failure::file("make", stage))?;
    let mut kept = BTreeSet::from([OsString::from("host.json"), OsString::from("handler")]);
    put(&root.join("host.json"), &stage.join("host.json"))?;
    put(handler, &stage.join("handler"))?;
    for (name, binding) in functions(&root.join("functions"))? {
        let folder = stage.join(&name);
        fs::create_dir_all(&folder).map_err(Failure::file("make", &folder))?;
        put(&binding, &folder.join("function.json"))?;
        sweep(&folder, &BTreeSet::from([OsString::from("function.json")]))?;
        kept.insert(name);
    }
    sweep(stage, &kept)
}

/// Every folder with a `function.json`, by name.
fn functions(rooms: &Path) -> Result<Vec<(OsString, PathBuf)>, Failure> {
    let entries = fs::read_dir(rooms).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Failure::file("read", rooms))?;
    let mut found: Vec<_> = entries
        .into_iter()
        .map(|entry| (entry.file_name(), entry.path().join("function.json")))
        .filter(|(_, binding)| binding.is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// Copies content and mode by way of a temporary name, if the copy there is not the same already.
fn put(from: &Path, to: &Path) -> Result<(), Failure> {
    if same(from, to).map_err(Failure::file("compare", from))? {
        return Ok(());
    }
    let mut name = OsString::from(".new-");
    name.push(to.file_name().unwrap_or_default());
    let temporary = to.with_file_name(name);
    fs::copy(from, &temporary).map_err(Failure::file("copy", from))?;
    fs::rename(&temporary, to).map_err(Failure::file("replace", to))
}

fn same(from: &Path, to: &Path) -> io::Result<bool> {
    let there = match fs::metadata(to) {
        Ok(there) => there,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(err) => return Err(err),
    };
    let here = fs::metadata(from)?;
    Ok(here.len() == there.len() && here.permissions() == there.permissions() && fs::read(from)? == fs::read(to)?)
}

fn sweep(folder: &Path, kept: &BTreeSet<OsString>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(Failure::file("read", folder))? {
        if !kept.contains(&entry.file_name()) {
            let path = entry.path();
            let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.map_err(Failure::file("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: PathBuf, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_stage_holds_the_app_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (root, stage) = (place.path().join("root"), place.path().join("stage"));
        write(root.join("host.json"), "{}");
        write(root.join("functions/mod.rs"), "");
        write(root.join("functions/cart/mod.rs"), "");
        write(root.join("functions/cart/function.json"), r#"{"bindings":[]}"#);
        let handler = root.join("built");
        write(handler.clone(), "program");
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).unwrap();
        write(stage.join("gone/function.json"), "{}");
        write(stage.join("cart/stale.txt"), "");

        lay_out(&root, &handler, &stage).unwrap();

        assert_eq!(fs::read_to_string(stage.join("cart/function.json")).unwrap(), r#"{"bindings":[]}"#);
        assert_eq!(fs::metadata(stage.join("handler")).unwrap().permissions().mode() & 0o111, 0o111);
        assert!(
            !stage.join("gone").exists() && !stage.join("cart/stale.txt").exists() && !stage.join("mod.rs").exists()
        );
        let names: Vec<_> = fs::read_dir(&stage).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn only_what_changed_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let (root, stage) = (place.path().join("root"), place.path().join("stage"));
        write(root.join("host.json"), "{}");
        write(root.join("functions/mod.rs"), "");
        write(root.join("built"), "program");
        lay_out(&root, &root.join("built"), &stage).unwrap();
        let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(stage.join(name)).unwrap());
        let (host, handler) = (inode("host.json"), inode("handler"));
        write(root.join("built"), "program, changed");
        lay_out(&root, &root.join("built"), &stage).unwrap();
        assert_eq!(inode("host.json"), host);
        assert_ne!(inode("handler"), handler);
    }
}
