//! Stopping the program: what is in flight gets its time, and not more.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

struct Running {
    child: Child,
    address: String,
}

fn serve(folder: &Path, shutdown_ms: &str) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["serve", "--open", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--log", "json"])
        .args(["--store", "sqlite:a.db"])
        .env("ROTUNDA__LIMITS__SHUTDOWN_MS", shutdown_ms)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    Running {
        child,
        address: announced["listen"].as_str().unwrap().to_owned(),
    }
}

impl Running {
    /// A request whose body does not come to its end.
    fn stuck(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = "POST /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/fhir+json\r\nContent-Length: 100\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        stream
    }

    fn create(&self) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = "POST /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/fhir+json\r\nContent-Length: 26\r\n\r\n{\"resourceType\":\"Patient\"}";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    fn signal(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    /// How it ends, and after how long.
    fn end(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            if started.elapsed() > Duration::from_secs(20) {
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// SQLite takes its log into the database when the last connection closes as it should.
fn is_closed(folder: &Path) -> bool {
    !folder.join("a.db-wal").exists()
}

#[test]
fn a_client_that_hangs_is_cut_off_and_the_store_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "300");
    server.create();
    let _stuck = server.stuck();
    server.signal();
    let (status, took) = server.end();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(is_closed(folder.path()));
}

#[test]
fn a_second_signal_ends_what_is_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "60000");
    server.create();
    let _stuck = server.stuck();
    server.signal();
    std::thread::sleep(Duration::from_millis(300));
    server.signal();
    let (status, took) = server.end();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(is_closed(folder.path()));
}
