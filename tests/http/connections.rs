//! What the listener does with connections, whatever they ask for.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Extension, Router, routing::get};
use rotunda::{
    http::{Connections, PeerAddress, serve},
    limits::Limits,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::client::Client;

struct Listener {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<usize>,
}

/// Serves `/`, at once, and `/slow`, after a while.
async fn listen(change: impl FnOnce(&mut Connections)) -> Listener {
    start(TcpListener::bind("127.0.0.1:0").await.unwrap(), change)
}

fn start(listener: TcpListener, change: impl FnOnce(&mut Connections)) -> Listener {
    let address = listener.local_addr().unwrap();
    let slow = async || {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "late"
    };
    let router = Router::new()
        .route("/", get("now"))
        .route("/slow", get(slow));
    let mut bounds = Connections::from(&Limits::default());
    change(&mut bounds);
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(serve(listener, router, bounds, async {
        let _ = stopped.await;
    }));
    Listener {
        address,
        stop,
        running,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_carries_the_address_that_it_came_from() {
    let told = async |Extension(PeerAddress(peer)): Extension<PeerAddress>| peer.to_string();
    let router = Router::new().route("/", get(told));
    for (bind, expected) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1")] {
        let Ok(listener) = TcpListener::bind(bind).await else {
            continue; // There is no IPv6 here.
        };
        let mut client = Client::connect(listener.local_addr().unwrap()).await;
        let bounds = Connections::from(&Limits::default());
        tokio::spawn(serve(
            listener,
            router.clone(),
            bounds,
            std::future::pending(),
        ));
        for _ in 0..2 {
            let answer = client
                .send("GET", "/", &[("X-Forwarded-For", "1.1.1.1")], b"")
                .await;
            assert_eq!(answer.text(), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_closes_the_connection() {
    let listener = listen(|bounds| bounds.header_time = Duration::from_millis(200)).await;
    let mut silent = Client::connect(listener.address).await;
    let mut slow = Client::connect(listener.address).await;
    slow.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        .await
        .unwrap();
    assert!(silent.is_closed(Duration::from_secs(5)).await);
    slow.receive(false).await;
    assert!(slow.is_closed(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room_for_new_ones() {
    let listener = listen(|bounds| bounds.most = 50).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(Client::connect(listener.address).await);
    }
    let asked = Instant::now();
    let mut client = Client::connect(listener.address).await;
    assert_eq!(client.send("GET", "/", &[], b"").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn more_connections_at_work_than_there_may_be_cost_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut busy = Vec::new();
        for _ in 0..6 {
            let mut client = Client::connect(listener.local_addr().unwrap()).await;
            let request = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send_raw(request).await.unwrap();
            busy.push(client);
        }
        let _listener = start(listener, |bounds| bounds.most = 2);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.worker_total_busy_duration(0);
        tokio::time::sleep(Duration::from_millis(250)).await;
        let worked = metrics.worker_total_busy_duration(0) - before;
        assert!(worked < Duration::from_millis(60), "{worked:?}");
        for client in &mut busy {
            assert_eq!(client.receive(false).await.unwrap().status, 200);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_senders_do_not_keep_others_from_being_answered() {
    let listener = listen(|_| {}).await;
    let mut senders = Vec::new();
    for _ in 0..200 {
        let mut sender = Client::connect(listener.address).await;
        sender.send_raw(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        senders.push(sender);
    }
    let asked = Instant::now();
    let mut client = Client::connect(listener.address).await;
    assert_eq!(client.send("GET", "/", &[], b"").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_in_flight_and_takes_nothing_new() {
    let listener = listen(|_| {}).await;
    let mut idle = Client::connect(listener.address).await;
    let mut used = Client::connect(listener.address).await;
    assert_eq!(used.send("GET", "/", &[], b"").await.status, 200);
    let mut busy = Client::connect(listener.address).await;
    busy.send_raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    listener.stop.send(()).unwrap();

    assert!(idle.is_closed(Duration::from_millis(250)).await);
    assert!(used.is_closed(Duration::from_millis(250)).await);
    let answer = busy.receive(false).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert!(
        tokio::net::TcpStream::connect(listener.address)
            .await
            .is_err()
    );
    assert_eq!(listener.running.await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_ever() {
    let listener = listen(|bounds| bounds.shutdown_time = Duration::from_millis(100)).await;
    let mut busy = Client::connect(listener.address).await;
    busy.send_raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    listener.stop.send(()).unwrap();
    assert_eq!(listener.running.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_head_is_cut_off() {
    let listener = listen(|bounds| bounds.head_bytes = 16 << 10).await;
    let mut client = Client::connect(listener.address).await;
    client
        .send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n")
        .await
        .unwrap();
    let line = format!("X-Long: {}\r\n", "a".repeat(1_000));
    for _ in 0..200 {
        if client.send_raw(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = client
        .receive(false)
        .await
        .expect("an answer before the end");
    assert_eq!(answer.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_requests_pipelined() {
    let listener = listen(|_| {}).await;
    let mut client = Client::connect(listener.address).await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send_raw(&request.repeat(3)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.receive(false).await.unwrap().text(), "now");
    }
}
