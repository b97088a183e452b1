//! The server is killed while many send: what was acknowledged is there, once.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mllp::frame::Event;
use rotunda::engine::MessageState;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinSet,
};

use super::{
    fixture::{Fixture, Plan, home},
    wire::{Wire, adt, read},
};
use crate::fixture::Database;

on_both_databases!(what_was_acknowledged_is_there_once);

const ROUNDS: usize = 3;
const SENDERS: usize = 12;

async fn start(url: &str, folder: &Path) -> (Child, SocketAddr) {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("server.log"))
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["serve", "--open", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--log", "json"])
        .args(["--mllp", "127.0.0.1:0", "--store", url])
        .env("ROTUNDA__AUDIT__ANCHORS", folder.join("anchors.jsonl"))
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
    let line = line.await.unwrap().unwrap().unwrap();
    let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = announced["mllp"][0].as_str().unwrap().parse().unwrap();
    (child, address)
}

/// Sends until the connection ends; the control ids that were acknowledged.
async fn send(
    address: SocketAddr,
    sender: usize,
    numbers: Arc<AtomicUsize>,
    acknowledged: Arc<Mutex<HashMap<String, String>>>,
    stop: Arc<AtomicBool>,
) {
    let Ok(stream) = TcpStream::connect(address).await else {
        return;
    };
    let acks = if sender.is_multiple_of(2) {
        ("AL", "NE")
    } else {
        ("", "")
    };
    let mut wire = Wire::over(stream);
    let mut again = None;
    while !stop.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let control = format!("K{number}");
        let message = adt(&control, &(number % 50).to_string(), acks);
        // Now and then what was acknowledged comes again.
        for message in again.take().into_iter().chain([message.clone()]) {
            let frame = mllp::frame::encode(String::as_bytes(&message));
            if wire.stream.write_all(&frame).await.is_err() {
                return;
            }
            let Some(Event::Frame(answer)) = wire.event(Duration::from_secs(20)).await else {
                return;
            };
            let answer = read(answer);
            assert!(answer.code.is_success(), "{answer:?}");
            acknowledged
                .lock()
                .unwrap()
                .insert(answer.control_id, answer.code.as_str().to_owned());
        }
        again = number.is_multiple_of(10).then_some(message);
    }
}

async fn what_was_acknowledged_is_there_once(database: Database) {
    let home = home(database).await;
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Mutex::new(HashMap::new()));
    let numbers = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let (mut child, address) = start(&home.url, folder.path()).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send(
                address,
                sender,
                Arc::clone(&numbers),
                Arc::clone(&acknowledged),
                Arc::clone(&stop),
            ));
        }
        tokio::time::sleep(Duration::from_millis(700 + 400 * round as u64)).await;
        child.kill().await.unwrap();
        stop.store(true, Ordering::Relaxed);
        while let Some(done) = senders.join_next().await {
            done.unwrap();
        }
    }
    // What is stored has its effect after the next start.
    let f = Fixture::at(home, Plan::default()).await;
    let all = f.settled().await;
    let mut found: HashSet<&str> = HashSet::new();
    for message in &all {
        let control = message.head.control.as_str();
        assert!(found.insert(control), "{control} is there twice");
        assert_eq!(message.state, MessageState::Done, "{control}");
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(
        acknowledged.len() > 20,
        "{} were acknowledged",
        acknowledged.len()
    );
    for (control, code) in &acknowledged {
        assert!(
            found.contains(control.as_str()),
            "{code} of {control} was a lie"
        );
    }
    f.stop().await;
}
