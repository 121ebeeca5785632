//! The folder of segments (floor 2): append, rotate, read back, remove. Blocking; only the spool's thread calls it.
//!
//! What must stay true: bytes that were not synced are cut off again when a sync fails, so that "not accepted" is true;
//! a segment with damage is renamed, never deleted; a new process never appends to an old segment.

mod opening;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::active::{Active, Segment};
use super::reader::{Chunk, Mark, Reading};
use super::replayed::Replayed;
use super::segment::HEADER;
use super::spare::Spare;
use super::{Records, SpoolError, SpoolStatus, oldest_of};
use crate::db::LogGeneration;

/// A segment is closed at this size.
const SEGMENT_BYTES: u64 = 8 << 20;

/// The folder.
pub(super) struct Shelf {
    folder: PathBuf,
    max_bytes: u64,
    closed: Vec<Segment>,
    active: Option<Active>,
    spare: Spare,
    pub(super) replayed: Replayed,
    reading: Option<Reading>,
    next_number: u64,
    corrupt: u64,
    kept_aside: u64,
    lost_before_start: u64,
    last_error: Option<String>,
}

impl Shelf {
    /// Whether the active segment is to be synced and closed before anything more is written.
    pub(super) fn is_due(&self) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| active.spoiled || active.segment.bytes >= SEGMENT_BYTES)
    }

    /// Writes without syncing. On an error nothing of it stays, and what was written before stays as it is.
    pub(super) fn write(&mut self, records: &Records) -> Result<(), SpoolError> {
        let size = records.bytes.len() as u64;
        let needed = self.bytes() + size + HEADER.len() as u64;
        let with_replayed = needed + self.replayed.bytes();
        if needed <= self.max_bytes && with_replayed > self.max_bytes {
            self.replayed.give_way(with_replayed - self.max_bytes);
        }
        if needed > self.max_bytes {
            self.last_error = Some(format!("the limit of {} bytes is reached", self.max_bytes));
            return Err(SpoolError::Full);
        }
        let written = match &mut self.active {
            Some(active) => active.append(records),
            None => self
                .begin()
                .and_then(|active| self.active.insert(active).append(records)),
        };
        written.map_err(|error| self.failed("write", &error))
    }

    /// Makes everything that was written durable. On an error what was not durable is cut off again.
    pub(super) fn sync(&mut self) -> Result<(), SpoolError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let Err(error) = active.sync() else {
            self.last_error = None;
            return Ok(());
        };
        let told = self.failed("sync", &error);
        // After a failed sync the kernel may have forgotten the pages: this file is not written to again.
        self.close_active();
        Err(told)
    }

    /// Begins a segment, whose name is durable before anything is written to it.
    fn begin(&mut self) -> io::Result<Active> {
        let number = self.next_number;
        self.next_number += 1;
        let (path, tally) = (self.path(number), self.tally(number));
        let begun = Active::create(&path, &tally, number)
            .or_else(|error| match error.kind() {
                // The folder itself was removed: what waits is worth a new one.
                io::ErrorKind::NotFound => {
                    fs::create_dir_all(&self.folder)?;
                    Active::create(&path, &tally, number)
                }
                _ => Err(error),
            })
            .and_then(|active| self.sync_folder().map(|()| active))
            .inspect_err(|_| {
                let _ = self.remove_files(number);
            })?;
        self.spare.make();
        Ok(begun)
    }

    /// The disk is full: goes on in the segment that was held back for that. What was written before must have been synced.
    /// Whether there was one.
    pub(super) fn begin_spare(&mut self) -> bool {
        self.close_active();
        let number = self.next_number;
        let (path, tally) = (self.path(number), self.tally(number));
        if !self.spare.become_segment(&path) {
            return false;
        }
        self.next_number += 1;
        let begun = Active::take_over(&path, &tally, number).and_then(|active| self.sync_folder().map(|()| active));
        match begun {
            Ok(active) => {
                self.active = Some(active);
                true
            }
            Err(error) => {
                self.failed("write", &error);
                let _ = self.remove_files(number);
                false
            }
        }
    }

    /// Closes the active segment, which must have been synced.
    pub(super) fn close_active(&mut self) {
        let Some(active) = self.active.take() else { return };
        let segment = active.finish();
        if segment.events > 0 {
            self.closed.push(segment);
        } else {
            let _ = self.remove_files(segment.number);
        }
    }

    /// The next events to replay, from the oldest segment; closes the active one, which must have been synced, when it
    /// is the only one.
    pub(super) fn read(&mut self, from: Option<Mark>, limit: usize) -> Option<Chunk> {
        if self.closed.is_empty() {
            self.close_active();
        }
        let number = self.closed.first()?.number;
        let start = from
            .filter(|mark| mark.segment == number)
            .unwrap_or(Mark::start_of(number));
        if self.reading.as_ref().is_none_or(|reading| reading.number != number) {
            match fs::read(self.path(number)) {
                Ok(content) => self.reading = Some(Reading { number, content }),
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // Too many open files, a bad moment of the disk: it stays where it is and is tried again.
                    self.failed("read", &error);
                    return None;
                }
                Err(_) => {
                    let lost = self.forget(number, false);
                    return Some(Chunk {
                        events: Vec::new(),
                        next: start,
                        end: true,
                        lost,
                        gone: true,
                    });
                }
            }
        }
        Some(self.reading.as_ref()?.chunk(self.closed.first_mut()?, start, limit))
    }

    /// Removes a segment from the account and from the folder; gives the events that it was counted for.
    pub(super) fn forget(&mut self, number: u64, keep_aside: bool) -> u64 {
        let Some(at) = self.closed.iter().position(|segment| segment.number == number) else {
            return 0;
        };
        let segment = self.closed.remove(at);
        self.reading = None;
        if keep_aside || segment.damaged {
            self.keep_aside(number);
        } else if let Err(error) = self.remove_files(number) {
            // It will be found again at the next start, and replayed without harm.
            self.failed("remove", &error);
        } else {
            // There is room again: what was refused before is history.
            self.last_error = None;
            self.spare.make();
        }
        let _ = self.sync_folder();
        segment.events
    }

    /// Removes a segment from the account; its file stays for as long as the log holds what was in it.
    pub(super) fn retire(&mut self, number: u64, in_log: Option<LogGeneration>) {
        let is_sound = |segment: &&Segment| segment.number == number && !segment.damaged;
        let bytes = self.closed.iter().find(is_sound).map(|segment| segment.bytes);
        let is_empty = in_log.is_some_and(LogGeneration::is_empty);
        let kept = bytes.filter(|_| !is_empty).map(|bytes| {
            // The tally first: one that is left behind would tell of a loss.
            let _ = fs::remove_file(self.tally(number));
            let file = self.path(number);
            self.replayed.keep(&file, number, bytes, in_log)
        });
        if let Some(Err(error)) = kept {
            self.failed("rename", &error);
        }
        // What has another name now is gone from here.
        self.forget(number, false);
    }

    fn keep_aside(&mut self, number: u64) {
        let _ = fs::remove_file(self.tally(number));
        match fs::rename(self.path(number), self.folder.join(format!("{number:08}.damaged"))) {
            Ok(()) => self.kept_aside += 1,
            Err(error) => {
                self.failed("rename", &error);
            }
        }
    }

    /// Removes a segment, its tally first: one that is left behind would tell of a loss. A file that is gone is removed.
    fn remove_files(&self, number: u64) -> io::Result<()> {
        let _ = fs::remove_file(self.tally(number));
        match fs::remove_file(self.path(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn status(&self) -> SpoolStatus {
        let all = || {
            self.closed
                .iter()
                .chain(self.active.as_ref().map(|active| &active.segment))
        };
        SpoolStatus {
            events: all().map(|segment| segment.events).sum(),
            bytes: self.bytes(),
            max_bytes: self.max_bytes,
            spare_bytes: self.spare.bytes(),
            replayed_bytes: self.replayed.bytes(),
            segments: all().count() as u64,
            oldest: oldest_of(all().filter_map(|segment| segment.oldest_ms).min()),
            corrupt: self.corrupt,
            kept_aside: self.kept_aside,
            lost_before_start: self.lost_before_start,
            last_error: self.last_error.clone(),
        }
    }

    fn bytes(&self) -> u64 {
        self.closed.iter().map(|segment| segment.bytes).sum::<u64>()
            + self.active.as_ref().map_or(0, |active| active.segment.bytes)
    }

    /// Notes a failure for people, without the path that the error may hold.
    fn failed(&mut self, what: &str, error: &io::Error) -> SpoolError {
        let code = error
            .raw_os_error()
            .map_or_else(String::new, |code| format!(" (os error {code})"));
        self.last_error = Some(format!("{what}: {}{code}", error.kind()));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SpoolError::DiskFull,
            _ => SpoolError::Failed,
        }
    }

    /// Makes new, renamed and removed names durable.
    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.spool"))
    }

    fn tally(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.tally"))
    }
}
