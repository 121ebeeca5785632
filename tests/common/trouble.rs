//! events.db in trouble, for reporters that don't try again: locked by another party, full, damaged.
//!
//! What must stay true: the trouble is met before the report is made, and is over when the handle is dropped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::process::{Pid, Resource, Rlimit};
use serde_json::json;

use super::{Server, WriteLock, eventually};

const PAGE_BYTES: usize = 4096;

/// A trouble that lasts until it is dropped.
pub enum Trouble {
    Locked(WriteLock),
    Full(FileLimit),
    Damaged(Damage),
}

impl Trouble {
    /// What the tests go through, by its mark.
    pub const MARKS: [&'static str; 3] = ["locked", "full", "damaged"];

    /// Makes events.db as `mark` says.
    pub fn make(server: &Server, mark: &str) -> Self {
        match mark {
            "locked" => Self::Locked(server.hold_write_lock("events.db")),
            "full" => Self::Full(FileLimit::of(server)),
            "damaged" => Self::Damaged(Damage::of(server)),
            _ => panic!("{mark} is none of {:?}", Self::MARKS),
        }
    }
}

/// Lets `report` report under each mark, while events.db is as the mark says; each of the reports must have been spooled
/// when it returns, and `check` finds it afterwards.
pub fn in_each(server: &Server, report: impl Fn(&str), check: impl Fn(&str)) {
    for mark in Trouble::MARKS {
        let trouble = Trouble::make(server, mark);
        report(mark);
        assert!(
            spooled(server) >= 2,
            "{mark}: the reports are elsewhere than in the spool"
        );
        drop(trouble);
        check(mark);
    }
}

fn spooled(server: &Server) -> u64 {
    let stats = server.client().get("/api/monitoring/stats").expect(200).json();
    stats["spool"]["events"].as_u64().expect("a number")
}

/// Bounds the size of every file that a server writes; past it each write fails as on a full disk.
pub fn limit_files(server_pid: u32, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server_pid).expect("a pid"));
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    rustix::process::prlimit(pid, Resource::Fsize, limit).expect("set");
}

/// Files are bounded for this server.
pub struct FileLimit(u32);

impl FileLimit {
    /// The database and its log are past the limit, the spool isn't.
    fn of(server: &Server) -> Self {
        let client = server.client();
        for _ in 0..3 {
            let large = json!({ "message": "large", "details": "x".repeat(200 << 10) });
            client.post("/api/monitoring/errors", &large).expect(201);
        }
        let limit = Self(server.pid());
        limit_files(limit.0, Some(256 << 10));
        eventually("events go to the spool", || {
            let answer = client
                .post("/api/monitoring/errors", &json!({ "message": "small" }))
                .expect(201);
            (answer.json()["stored"] == "spool").then_some(())
        });
        limit
    }
}

impl Drop for FileLimit {
    fn drop(&mut self) {
        limit_files(self.0, None);
    }
}

/// Where the root page of a table begins in its file.
pub fn root_page_of(server: &Server, file: &str, table: &str) -> u64 {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = server
        .other_party(file)
        .query_row(sql, [table], |row| row.get(0))
        .expect("a page");
    u64::try_from(page - 1).expect("a page") * PAGE_BYTES as u64
}

/// A page of the table of events is overwritten.
pub struct Damage {
    file: File,
    right: Vec<u8>,
    offset: u64,
}

impl Damage {
    fn of(server: &Server) -> Self {
        let path = server.data_dir().join("events.db");
        let mut damage = Self {
            file: File::options().read(true).write(true).open(path).expect("opens"),
            right: Vec::new(),
            offset: root_page_of(server, "events.db", "events"),
        };
        // A probe's write may have the page in the log again, so it is tried until the damage is met.
        eventually("the damage is met", || {
            damage.do_it(server);
            (server.client().get("/api/monitoring/errors?limit=500").status != 200).then_some(())
        });
        damage
    }

    /// Overwrites the page once the log is empty.
    fn do_it(&mut self, server: &Server) {
        let busy: i64 = server
            .other_party("events.db")
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .expect("tried");
        if busy != 0 {
            return;
        }
        let mut found = vec![0; PAGE_BYTES];
        self.file.read_exact_at(&mut found, self.offset).expect("read");
        if found != WRONG {
            self.right = found;
            self.file.write_all_at(&WRONG, self.offset).expect("written");
        }
    }
}

const WRONG: [u8; PAGE_BYTES] = [0xA5; PAGE_BYTES];

impl Drop for Damage {
    fn drop(&mut self) {
        self.file.write_all_at(&self.right, self.offset).expect("written");
    }
}
