//! One segment of the spool as a file that is written to (floor 2). Blocking; only the shelf calls it.
//!
//! What must stay true: a failed append leaves the file as long as it was, a failed sync as long as it was when it was last
//! durable; where even that can't be done the file is spoiled and closed; nothing counts as durable in a file that was
//! removed or moved away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Records;
use super::segment::HEADER;
use super::tally::{Tally, TallyFile};

/// What is known of a segment.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) oldest_ms: Option<i64>,
    /// It holds something that can't be read, so it is kept for people.
    pub(super) damaged: bool,
}

/// The segment that is written to.
pub(super) struct Active {
    file: File,
    path: PathBuf,
    pub(super) segment: Segment,
    /// Its tail may not be where we think: nothing more is appended.
    pub(super) spoiled: bool,
    durable_bytes: u64,
    durable_events: u64,
    /// Missing when the disk had no room for it: damage is then found by the records alone.
    tally: Option<TallyFile>,
}

impl Active {
    /// Makes the file with its header, durable but for its name.
    pub(super) fn create(path: &Path, tally: &Path, number: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Self::begin(file, path, tally, number)
    }

    /// The same with an empty file that has its room and its name already.
    pub(super) fn take_over(path: &Path, tally: &Path, number: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        Self::begin(file, path, tally, number)
    }

    fn begin(mut file: File, path: &Path, tally: &Path, number: u64) -> io::Result<Self> {
        file.write_all(&HEADER)?;
        file.sync_all()?;
        let bytes = HEADER.len() as u64;
        let segment = Segment {
            number,
            bytes,
            events: 0,
            oldest_ms: None,
            damaged: false,
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            segment,
            spoiled: false,
            durable_bytes: bytes,
            durable_events: 0,
            tally: TallyFile::create(tally, Tally { bytes, events: 0 }).ok(),
        })
    }

    /// Appends without syncing.
    pub(super) fn append(&mut self, records: &Records) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&records.bytes) {
            self.spoiled = self.file.set_len(self.segment.bytes).is_err();
            return Err(error);
        }
        self.segment.bytes += records.bytes.len() as u64;
        self.segment.events += records.events;
        self.segment.oldest_ms = self.segment.oldest_ms.or(Some(records.oldest_ms));
        Ok(())
    }

    /// Makes what was appended durable, or cuts it off again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.durable_bytes == self.segment.bytes {
            return Ok(());
        }
        if let Err(error) = self.file.sync_data().and_then(|()| self.still_named()) {
            let _ = self.file.set_len(self.durable_bytes);
            self.segment.bytes = self.durable_bytes;
            self.segment.events = self.durable_events;
            self.spoiled = true;
            return Err(error);
        }
        self.durable_bytes = self.segment.bytes;
        self.durable_events = self.segment.events;
        if let Some(tally) = &mut self.tally {
            // Without it the events are as safe; only their loss would be harder to tell.
            let _ = tally.write(Tally {
                bytes: self.durable_bytes,
                events: self.durable_events,
            });
        }
        Ok(())
    }

    /// Nothing more comes: what was counted is made durable.
    pub(super) fn finish(self) -> Segment {
        if let Some(tally) = &self.tally {
            let _ = tally.finish();
        }
        self.segment
    }

    /// An error when the path names no file or another one: what goes into a removed file can't be read back.
    #[cfg(unix)]
    fn still_named(&self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let (ours, named) = (self.file.metadata()?, std::fs::metadata(&self.path)?);
        if (ours.dev(), ours.ino()) == (named.dev(), named.ino()) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Without inodes only whether the path names anything can be told.
    #[cfg(not(unix))]
    fn still_named(&self) -> io::Result<()> {
        std::fs::metadata(&self.path).map(drop)
    }
}
