//! File systems of our own, which take the right to mount: root has it, and so has everybody in a user namespace of their
//! own, where the kernel allows those.
//!
//! What must stay true: a test that can't have its file system fails, unless `MAINSTAY_TEST_MAY_SKIP=1` says that it may
//! be skipped; nothing is skipped in silence.

use std::process::Command;

/// Set in the namespace, where nobody looks for another one.
const INSIDE: &str = "MAINSTAY_TEST_IN_NAMESPACE";
const MAY_SKIP: &str = "MAINSTAY_TEST_MAY_SKIP";

/// The test can't be made here: fails, or says on standard error that it was skipped.
pub fn cannot(test: &str, needed: &str) {
    let may = std::env::var(MAY_SKIP).is_ok_and(|value| value == "1");
    assert!(
        may,
        "{test} needs {needed}; run the tests with that, or let it be skipped with {MAY_SKIP}=1"
    );
    eprintln!("{test} was skipped: it needs {needed}");
}

/// A test's name as the test binary knows it.
pub fn name_of<F: Fn()>(_: F) -> &'static str {
    let path = std::any::type_name::<F>();
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Runs the test in a user and mount namespace of its own, where it has passed when this returns; `false`: there is none.
pub fn passed_in_namespace(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let inside = |program: &std::ffi::OsStr, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("-Urm").arg(program).args(arguments).env(INSIDE, "1");
        command.output()
    };
    // Whether it may mount at all there is asked first, so that what fails afterwards is the test itself.
    let mounts = inside("mount".as_ref(), &["-t", "tmpfs", "tmpfs", "/tmp"]);
    if !mounts.is_ok_and(|tried| tried.status.success()) {
        return false;
    }
    let this = std::env::current_exe().expect("this test");
    let ran = inside(this.as_os_str(), &["--exact", test, "--nocapture", "--test-threads=1"]).expect("it runs");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(
        ran.status.success() && told.contains("1 passed"),
        "in a namespace: {told}"
    );
    println!("{told}");
    true
}
