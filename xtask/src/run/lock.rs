//! One platform for each data folder: two dev hosts would share one broker's file and deliver everything twice.
use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use crate::failure::Failure;

const NAME: &str = "run.lock";

/// Held until dropped, and given back by the system if we are killed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Makes the folder and takes it for ourselves.
pub(crate) fn take(data: &Path) -> Result<Lock, Failure> {
    fs::create_dir_all(data).map_err(Failure::file("make", data))?;
    let path = data.join(NAME);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(Failure::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message; a name that cannot be read changes nothing.
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { format!(" (process {})", holder.trim()) } else { String::new() };
            return Err(Failure::new(format!(
                "another run uses {}{holder}; end it first, or choose another folder with --data",
                data.display()
            )));
        }
        Err(TryLockError::Error(cause)) => return Err(Failure::file("lock", &path)(cause)),
    }
    let named = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map_err(Failure::file("write", &path))?;
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_lent_once() {
        let place = tempfile::tempdir().unwrap();
        let held = take(&place.path().join("new")).unwrap();
        let refusal = take(&place.path().join("new")).unwrap_err().to_string();
        assert!(refusal.contains(&std::process::id().to_string()) && refusal.contains("--data"), "{refusal}");
        drop(held);
        take(&place.path().join("new")).unwrap();
    }
}
