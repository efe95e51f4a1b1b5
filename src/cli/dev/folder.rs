//! The folder of a run's storage.
//!
//! The emulated targets start empty, so the ledger must too: a run's folder is made anew.

use std::path::{Path, PathBuf};

use super::Error;
use crate::chance::Chance;

/// A folder, absolute; a temporary one goes with its owner.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// A new folder among the machine's temporary files.
    pub(super) fn temporary(chance: &Chance) -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("concord-dev-{}", chance.uuid()));
        std::fs::create_dir_all(&path)
            .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
        Ok(Self { path, temporary: true })
    }

    /// A folder that somebody named; refused when something is in it.
    pub(super) fn named(path: &Path) -> Result<Self, Error> {
        let folder = Self::kept(path)?;
        let entries = std::fs::read_dir(&folder.path)
            .map_err(|source| Error::Unreadable { path: folder.path.clone(), source })?;
        if entries.count() > 0 {
            return Err(Error::NotEmpty { path: folder.path.clone() });
        }
        Ok(folder)
    }

    /// The run's own folder `.concord/dev`; what an earlier run left there is removed.
    pub(super) fn own(root: &Path) -> Result<Self, Error> {
        let path = root.join(".concord").join("dev");
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
        }
        Self::kept(&path)
    }

    fn kept(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(unreadable)?;
        let path = path.canonicalize().map_err(unreadable)?;
        Ok(Self { path, temporary: false })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed is left to the machine's own cleaning.
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_with_its_owner_and_a_kept_one_stays() {
        let folder = Folder::temporary(&Chance::from_system()).unwrap();
        let path = folder.path.clone();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_own_folder_starts_empty_and_a_named_one_must_be() {
        let root = tempfile::tempdir().unwrap();
        let own = Folder::own(root.path()).unwrap();
        std::fs::write(own.path.join("left"), "x").unwrap();
        assert!(matches!(Folder::named(&own.path), Err(Error::NotEmpty { .. })));
        let again = Folder::own(root.path()).unwrap();
        assert!(!again.path.join("left").exists());
    }
}
