//! The daily file of the log (floor 7). Where somebody removed it, or its folder, it begins anew: what goes into a removed
//! file is read by nobody.
//!
//! What must stay true: at most [`KEPT_FILES`] days are kept. Used by the thread of its output alone.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing_appender::rolling::{RollingFileAppender, Rotation};

/// Days that are kept.
pub(super) const KEPT_FILES: usize = 14;
/// Between two looks whether the file is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The file.
pub(super) struct Daily {
    folder: PathBuf,
    file: RollingFileAppender,
    next_look: Instant,
}

impl Daily {
    /// Today's file in this folder, which is made where it isn't there.
    ///
    /// # Errors
    /// What the system said, in words.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, String> {
        Ok(Self {
            folder: folder.to_owned(),
            file: roll(folder)?,
            next_look: Instant::now() + LOOK,
        })
    }

    fn look(&mut self, now: Instant) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        let today = jiff::Timestamp::now().strftime("mainstay.%Y-%m-%d.json").to_string();
        if !self.folder.join(today).is_file()
            && let Ok(anew) = roll(&self.folder)
        {
            self.file = anew;
        }
    }
}

impl Write for Daily {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.look(Instant::now());
        self.file.write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn roll(folder: &Path) -> Result<RollingFileAppender, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("mainstay")
        .filename_suffix("json")
        .max_log_files(KEPT_FILES)
        .build(folder);
    file.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(folder: &Path) -> String {
        let mut files = std::fs::read_dir(folder).expect("there again");
        let file = files.next().expect("a file").expect("read").path();
        std::fs::read_to_string(file).expect("read")
    }

    #[test]
    fn a_removed_file_or_folder_is_made_again_with_the_next_line() {
        let above = tempfile::tempdir().expect("folder");
        let folder = above.path().join("logs");
        let mut daily = Daily::in_folder(&folder).expect("made");
        daily.write_all(b"one\n").expect("written");
        std::fs::remove_dir_all(&folder).expect("removed");
        daily.look(Instant::now() + LOOK);
        daily.write_all(b"two\n").expect("written");
        assert_eq!(lines_of(&folder), "two\n");
        let file = std::fs::read_dir(&folder)
            .expect("there")
            .next()
            .expect("a file")
            .expect("read");
        std::fs::remove_file(file.path()).expect("removed");
        daily.look(Instant::now() + 2 * LOOK);
        daily.write_all(b"three\n").expect("written");
        assert_eq!(lines_of(&folder), "three\n");
        daily.look(Instant::now() + 4 * LOOK);
        daily.write_all(b"four\n").expect("written");
        assert_eq!(lines_of(&folder), "three\nfour\n", "the same goes on");
    }
}
