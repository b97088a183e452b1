//! A disk that is full, or fails: nothing is acknowledged and lost, reads go on, and writes do
//! again as soon as they can.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use conformance::{
    drill::{self, Fault, Plan, Report},
    server::Server,
};

/// The server as a script that sets something up before.
fn wrapped(folder: &Path, before: &str) -> PathBuf {
    let path = folder.join("rotunda.sh");
    let program = env!("CARGO_BIN_EXE_rotunda");
    fs::write(
        &path,
        format!("#!/bin/sh\n{before}\nexec {program} \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn plan(folder: &Path, binary: PathBuf) -> Plan {
    Plan {
        binary,
        store: drill::sqlite(folder),
        log: folder.join("server.log"),
        writers: 16,
        rounds: 3,
        longest: Duration::from_millis(700),
        seed: 11,
    }
}

fn held(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.acknowledged > 0, "nothing was written");
    assert!(report.in_doubt > 0, "nothing was refused");
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// No file may be written beyond its first part.
struct NoSpace;

impl NoSpace {
    fn limit(server: &Server, bytes: &str) -> Result<(), String> {
        let pid = server.pid().ok_or("the server has ended")?;
        run(Command::new("prlimit")
            .arg(format!("--pid={pid}"))
            .arg(format!("--fsize={bytes}:")))
    }
}

impl Fault for NoSpace {
    fn strike(&self, server: &Server) -> Result<(), String> {
        Self::limit(server, "65536")
    }

    fn mend(&self, server: &Server) -> Result<(), String> {
        Self::limit(server, "unlimited")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_rotunda"));
    held(
        &drill::refusal(&plan(folder.path(), binary), &NoSpace)
            .await
            .unwrap(),
    );
}

/// Replaces the calls that make writes durable: they fail while a file is there.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void) {
    const char *trigger = getenv("FAIL_SYNC");
    return trigger && access(trigger, F_OK) == 0;
}

int fsync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (fails()) { errno = EIO; return -1; }
    return real(file);
}

int fdatasync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (fails()) { errno = EIO; return -1; }
    return real(file);
}
"#;

/// Syncing fails while the file is there.
struct NoSync(PathBuf);

impl Fault for NoSync {
    fn strike(&self, _: &Server) -> Result<(), String> {
        fs::write(&self.0, "").map_err(|error| error.to_string())
    }

    fn mend(&self, _: &Server) -> Result<(), String> {
        fs::remove_file(&self.0).map_err(|error| error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_sync_refuses_writes_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let [source, shim, trigger] =
        ["shim.c", "shim.so", "fail"].map(|name| folder.path().join(name));
    fs::write(&source, SHIM).unwrap();
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .arg("-ldl"))
    .unwrap();
    let before = format!(
        "export LD_PRELOAD={} FAIL_SYNC={}",
        shim.display(),
        trigger.display()
    );
    let binary = wrapped(folder.path(), &before);
    let fault = NoSync(trigger);
    held(
        &drill::refusal(&plan(folder.path(), binary), &fault)
            .await
            .unwrap(),
    );
}
