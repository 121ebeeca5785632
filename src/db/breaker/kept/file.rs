//! The file of the kept states on the disk (floor 1).
//!
//! What must stay true: a reader sees the old file or the new one, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{Document, FORMAT, VERSION, beside};
#[cfg(test)]
use crate::db::simulation;

/// Two breakers need a few hundred bytes.
const MOST_BYTES: u64 = 64 << 10;

/// What the file says; `None` when there is none.
pub fn read(path: &Path) -> io::Result<Option<Document>> {
    #[cfg(test)]
    if let Some(content) = simulation::content(path) {
        let is_there = !content.is_empty();
        return Ok(is_there.then(|| serde_json::from_slice(&content)).transpose()?);
    }
    let file = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    if !file.is_file() || file.len() > MOST_BYTES {
        return Err(invalid(format!("not a file of at most {MOST_BYTES} bytes")));
    }
    let document: Document = serde_json::from_slice(&fs::read(path)?)?;
    if document.format != FORMAT || document.version != VERSION {
        return Err(invalid(format!("not \"{FORMAT}\" version {VERSION}")));
    }
    Ok(Some(document))
}

/// Writes the whole file anew: beside it, to the disk, into its place.
pub fn replace(path: &Path, document: &Document) -> io::Result<()> {
    #[cfg(test)]
    if let Some(done) = simulation::replace(path, || serde_json::to_vec(document)) {
        return done;
    }
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(document)?)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// No file any more.
pub fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    if simulation::remove(path) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| sync_folder(path)),
    }
}

/// A name is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
