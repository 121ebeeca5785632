//! This process (floor 3): what the operating system says of it.

use serde::Serialize;

/// The process. A number the system doesn't give is `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// CPU time used in seconds.
    pub cpu_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
}

impl ProcessStatus {
    /// Reads it now. Linux tells; other systems don't yet.
    #[cfg(target_os = "linux")]
    pub fn now() -> Self {
        let Ok(process) = procfs::process::Process::myself() else {
            return Self::default();
        };
        let stat = process.stat().ok();
        let ticks = procfs::ticks_per_second();
        Self {
            resident_bytes: stat.as_ref().map(|s| s.rss.saturating_mul(procfs::page_size())),
            cpu_seconds: stat.as_ref().map(|s| (s.utime + s.stime) as f64 / ticks as f64),
            threads: stat.as_ref().and_then(|s| u64::try_from(s.num_threads).ok()),
            open_files: process.fd_count().ok().map(|count| count as u64),
        }
    }

    /// Reads it now. Linux tells; other systems don't yet.
    #[cfg(not(target_os = "linux"))]
    pub fn now() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_threads_and_files() {
        let seen = ProcessStatus::now();
        assert!(
            seen.resident_bytes > Some(1 << 20) && seen.threads >= Some(1) && seen.open_files >= Some(3),
            "{seen:?}"
        );
    }
}
