//! Many who connect and say nothing (DS-14). The server is a process of its own, so that it and
//! the crowd have files of their own.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use super::program::{Place, Server};

/// How many the attack is.
const CROWD: usize = 10_000;

/// Files that this process needs beside the connections.
const OTHERS: u64 = 500;

/// As many of the crowd as the operating system lets this process be, and the server serve.
fn crowd() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = CROWD as u64 + OTHERS;
    let possible = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if limit.current.is_some_and(|current| current < possible) {
        let raised = Rlimit {
            current: Some(possible),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
    usize::try_from(possible - OTHERS).unwrap()
}

async fn all(server: &Server, many: usize) -> Vec<TcpStream> {
    let address = server.root().strip_prefix("http://").unwrap();
    let mut crowd = Vec::with_capacity(many);
    for _ in 0..many {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    crowd
}

async fn is_alive(server: &Server, what: &str) {
    let asked = Instant::now();
    assert_eq!(
        server.status("", "/fhir/metadata").await,
        200,
        "DS-14 {what}"
    );
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(3), "DS-14 {what}: {took:?}");
}

/// True if the server has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; 1]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let many = crowd();
    // A computer that has fewer files tests with what it has; a thousand are always tried.
    assert!(
        many >= 1_000,
        "DS-14: only {many} connections can be made here"
    );
    for (what, bound) in [
        // The oldest make room for the newest.
        ("more than there may be", many / 5),
        ("as many as there may be", many + 100),
    ] {
        let place = Place::new();
        let settings = format!("[limits]\nconnections = {bound}\nheader_ms = 120000\n");
        std::fs::write(place.path("rotunda.toml"), settings).unwrap();
        let server = place.serve(&["--config", "rotunda.toml"]);
        let crowd = all(&server, many).await;
        is_alive(&server, what).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let open = crowd.iter().filter(|stream| is_open(stream)).count();
        assert!(open <= bound, "DS-14 {what}: {open} of {many}");
        assert!(
            open >= bound.min(many) * 9 / 10,
            "DS-14 {what}: {open} of {many}"
        );
        is_alive(&server, what).await;
        drop(crowd);
        is_alive(&server, what).await;
        server.stop();
    }
}
