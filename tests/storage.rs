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
    client::{Base, Connection},
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

async fn status(base: &Base, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
    let mut connection = Connection::new(base, &[]);
    let body = body.map(str::to_owned);
    let reply = connection.send(method, path, body, &[]).await.unwrap();
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    (reply.status.as_u16(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_is_full_is_not_ready_until_it_can_write_again() {
    let folder = tempfile::tempdir().unwrap();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_rotunda"));
    let log = folder.path().join("server.log");
    let store = drill::sqlite(folder.path());
    let server = Server::start(&binary, &store, &log).await.unwrap();
    let patient = r#"{"resourceType":"Patient"}"#;
    let ready = || status(&server.admin, "GET", "/health/ready", None);
    let create = || status(&server.base, "POST", "/Patient", Some(patient));
    assert_eq!(create().await.0, 201);
    assert_eq!(ready().await.0, 200);
    NoSpace.strike(&server).unwrap();
    let mut refused = 0;
    while create().await.0 != 503 {
        refused += 1;
        assert!(refused < 1_000, "the disk is never full");
    }
    for _ in 0..2 {
        let (code, text) = ready().await;
        assert_eq!(code, 503);
        assert!(text.contains("takes no writes"), "{text}");
    }
    let (_, metrics) = status(&server.admin, "GET", "/metrics", None).await;
    assert!(
        metrics.contains("rotunda_store_takes_writes 0"),
        "{metrics}"
    );
    NoSpace.mend(&server).unwrap();
    // Nobody but the probe writes.
    assert_eq!(ready().await.0, 200);
    assert_eq!(create().await.0, 201);
    server.stop().await.unwrap();
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
