//! The folder as an earlier process left it (floor 2): which segments wait in it, and what of them is lost. Blocking.
//!
//! What must stay true: what was replayed into a log that lost commits waits again; a segment that can't be read stops the start; what is lost is counted, never passed over.

use std::fs;
use std::io;
use std::path::Path;

use super::{SEGMENT_BYTES, Shelf};
use crate::events::spool::reader::{Survey, survey};
use crate::events::spool::replayed::Replayed;
use crate::events::spool::spare::Spare;
use crate::events::spool::tally::Tally;

impl Shelf {
    /// Opens the folder, making it where it is missing. Replayed segments wait again when `after_gap`.
    pub(in crate::events::spool) fn open(folder: &Path, max_bytes: u64, after_gap: bool) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut shelf = Self {
            folder: folder.to_owned(),
            max_bytes,
            closed: Vec::new(),
            active: None,
            spare: Spare::in_folder(folder, SEGMENT_BYTES.min(max_bytes)),
            replayed: Replayed::in_folder(folder),
            reading: None,
            next_number: 1,
            corrupt: 0,
            kept_aside: 0,
            lost_before_start: 0,
            last_error: None,
        };
        let (mut numbers, mut tallies, mut replayed) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let Some((stem, extension)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            let Ok(number) = stem.parse::<u64>() else { continue };
            shelf.next_number = shelf.next_number.max(number + 1);
            match extension {
                "spool" => numbers.push(number),
                "tally" => tallies.push(number),
                "replayed" => replayed.push(number),
                _ => {}
            }
        }
        replayed.sort_unstable();
        for number in replayed {
            if after_gap && shelf.replay_again(number) {
                numbers.push(number);
            } else {
                shelf.replayed.adopt(number);
            }
        }
        numbers.sort_unstable();
        tallies.retain(|number| numbers.binary_search(number).is_err());
        tallies.into_iter().for_each(|number| shelf.miss(number));
        for number in numbers {
            // An event in it may have been acknowledged: better not to start than to start without it.
            let content = fs::read(shelf.path(number))?;
            shelf.adopt(number, &content);
        }
        Ok(shelf)
    }

    /// Whether a replayed segment waits again. Where it can't be renamed it stays what it is, for another start: its events
    /// were stored once, and the service is worth more than their second replay.
    fn replay_again(&self, number: u64) -> bool {
        let renamed = fs::rename(self.replayed.path(number), self.path(number));
        if let Err(error) = &renamed {
            tracing::warn!(segment = number, %error, "a replayed segment of the spool can't be replayed again");
        }
        renamed.is_ok()
    }

    /// Counts a segment of an earlier process; an empty one goes.
    fn adopt(&mut self, number: u64, content: &[u8]) {
        let Survey { segment, corrupt, lost } = survey(number, content, Tally::read(&self.tally(number)));
        self.corrupt += corrupt;
        self.lost_before_start += lost;
        match (segment.events, segment.damaged) {
            (0, false) => {
                let _ = self.remove_files(number);
            }
            (0, true) => self.keep_aside(number),
            _ => self.closed.push(segment),
        }
    }

    /// Counts what a segment held that is gone.
    fn miss(&mut self, number: u64) {
        let held = Tally::read(&self.tally(number)).map_or(0, |tally| tally.events);
        self.corrupt += u64::from(held > 0);
        self.lost_before_start += held;
        let _ = fs::remove_file(self.tally(number));
    }
}
