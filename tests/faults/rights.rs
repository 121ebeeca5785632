//! Files that may only be read: by their file system or by their rights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::work::await_breaker;
use crate::common::{SHORT, Server, bound_by_permissions, eventually};
use crate::mounts::{cannot, name_of};
use crate::{assert_refused, await_reason, create, one_document, until_well, with_notes};

/// A file system of our own on a file, which can be made to fail.
struct Ext4 {
    folder: tempfile::TempDir,
    trigger: PathBuf,
}

impl Ext4 {
    /// `None`, where the test may be skipped, without the right to mount or the tools to make one. No namespace gives
    /// that right.
    fn mounted(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        fs::File::create(&image)
            .expect("made")
            .set_len(128 << 20)
            .expect("sized");
        fs::create_dir(&mount).expect("made");
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let done = Command::new(program).args(arguments).output();
            done.ok().filter(|done| done.status.success())
        };
        let made = run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()]);
        let options = "loop,errors=remount-ro".as_ref();
        let trigger = made
            .and_then(|_| run("mount", &["-o".as_ref(), options, image.as_os_str(), mount.as_os_str()]))
            .and_then(|_| {
                run(
                    "findmnt",
                    &["-n".as_ref(), "-o".as_ref(), "SOURCE".as_ref(), mount.as_os_str()],
                )
            })
            .and_then(|found| String::from_utf8(found.stdout).ok())
            .map(|device| {
                Path::new("/sys/fs/ext4")
                    .join(device.trim().trim_start_matches("/dev/"))
                    .join("trigger_fs_error")
            });
        let this = Self {
            folder,
            trigger: trigger.unwrap_or_default(),
        };
        if this.trigger.exists() {
            return Some(this);
        }
        cannot(
            test,
            "a file system on a file that can be made to fail: root, loop devices and mkfs.ext4",
        );
        None
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path().join("mount"))
            .status();
    }
}

#[test]
fn fault_18_a_file_system_that_turned_read_only_keeps_reading() {
    let test = name_of(fault_18_a_file_system_that_turned_read_only_keeps_reading);
    let Some(disk) = Ext4::mounted(test) else { return };
    let data_dir = disk.folder.path().join("mount/data");
    let settings = [SHORT, &[("MAINSTAY_DATA_DIR", data_dir.to_str().expect("a path"))]].concat();
    let server = Server::start(&settings);
    let client = with_notes(&server);
    let document = one_document(&client);
    fs::write(&disk.trigger, "1").expect("failed");
    let refused = eventually("writes are refused", || {
        Some(create(&client, "never")).filter(|answer| answer.status != 201)
    });
    assert_refused(refused, &["database_read_only"]);
    await_reason(&client, &["app.write", "READONLY"]);
    for _ in 0..20 {
        client.get(&document).expect(200);
        assert_refused(create(&client, "never"), &["database_read_only"]);
    }
    // The kernel lets nobody make such a file system writable again while its files are open.
}

#[test]
fn fault_19_files_without_permission_keep_reading_and_recover() {
    use std::os::unix::fs::PermissionsExt;
    // Connections open for long keep their rights, as descriptors do; new ones have those of now.
    let server = Server::start_by(bound_by_permissions, &[SHORT, &[("DB_MAX_LIFETIME", "1")]].concat());
    let client = with_notes(&server);
    let document = one_document(&client);
    let permit = |mode: u32, folder_mode: u32| {
        let set = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
        set(&server.data_dir().join("app.db"), mode);
        set(&server.data_dir(), folder_mode);
    };
    permit(0o444, 0o555);
    let refused = eventually("writes are refused", || {
        Some(create(&client, "never")).filter(|answer| answer.status != 201)
    });
    assert_refused(refused, &["database_read_only"]);
    client.get(&document).expect(200);
    permit(0o644, 0o755);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    until_well(&client);
}
