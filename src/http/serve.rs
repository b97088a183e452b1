//! Connections: accepted up to a bound, dropped when they hang, finished when the server stops.

use std::{
    future::{Future, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    time::timeout,
};
use tower::Service;

use super::{client::PeerAddress, files, stall::StallBound};
use crate::{
    limits::Limits,
    network,
    tls::{Handshakes, Tls, farewell},
};

/// The bounds of a listener.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Open connections. When all are taken, the oldest idle one makes room.
    pub most: usize,
    /// Time for the head of a request to arrive; also the time that a connection may be idle.
    pub header_time: Duration,
    /// Bytes of a head at which the connection is cut off. The bound that the client is told of
    /// is lower.
    pub head_bytes: usize,
    /// Time that a client may take nothing of an answer that waits for it.
    pub stall_time: Duration,
    /// Time that requests in flight get when the server stops.
    pub shutdown_time: Duration,
}

impl From<&Limits> for Connections {
    fn from(limits: &Limits) -> Self {
        Self {
            most: limits.connections,
            header_time: Duration::from_millis(limits.header_ms),
            head_bytes: 2 * (limits.url_bytes + limits.header_bytes) + 8_192,
            stall_time: Duration::from_millis(limits.request_ms.min(30_000)),
            shutdown_time: Duration::from_millis(limits.shutdown_ms),
        }
    }
}

/// What the acceptor and all connections share.
struct Shared {
    router: Router,
    /// If the listener has TLS.
    handshakes: Option<Handshakes>,
    http: http1::Builder,
    stall_time: Duration,
    open: AtomicUsize,
    /// Asks an idle connection to close, the oldest first.
    make_room: Notify,
    /// Says when to finish; when its sender is gone, there is no more time for that.
    stop: watch::Receiver<bool>,
}

/// Serves `router` on `listener` until `shutdown` is done, then finishes what is in flight.
/// Gives the number of connections that had to be cut off. If the future is dropped, all are.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Connections,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_with(listener, None, router, bounds, shutdown).await
}

/// As [`serve`]; with TLS, if there is any.
pub async fn serve_with(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    bounds: Connections,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let most = files::connections(bounds.most);
    let (stop, stopped) = watch::channel(false);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time)
        .max_header_size(bounds.head_bytes)
        .max_buf_size(bounds.head_bytes.max(64 << 10));
    let shared = Arc::new(Shared {
        router,
        handshakes: tls.map(|tls| Handshakes::new(tls, most)),
        http,
        stall_time: bounds.stall_time,
        open: AtomicUsize::new(0),
        make_room: Notify::new(),
        stop: stopped,
    });
    tokio::select! {
        () = accept_all(&listener, &shared, most) => {}
        () = shutdown => {}
    }
    drop(listener);
    let _ = stop.send(true);
    let all_closed = async {
        while shared.open.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(bounds.shutdown_time, all_closed).await;
    drop(stop);
    shared.open.load(Ordering::Acquire)
}

/// Done when there is no more time to finish.
async fn out_of_time(mut stop: watch::Receiver<bool>) {
    while stop.changed().await.is_ok() {}
}

/// Idle connections that close when the operating system gives no more.
const MANY: usize = 64;

async fn accept_all(listener: &TcpListener, shared: &Arc<Shared>, most: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                let open = shared.open.fetch_add(1, Ordering::AcqRel) + 1;
                let counted = Open(shared.clone());
                let cut_off = out_of_time(shared.stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = welcome(counted, stream, peer.ip()) => {}
                        () = cut_off => {}
                    }
                });
                if open > most {
                    shared.make_room.notify_one();
                }
                if open > most + most / 4 {
                    // They do not close fast enough: let new ones wait in the kernel.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            Err(error) if network::is_about_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                for _ in 0..MANY {
                    shared.make_room.notify_one();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a connection does at the moment.
#[derive(Default)]
struct Activity {
    requests: AtomicUsize,
    in_flight: AtomicBool,
    /// The latest answer refused the request, whose body may still be on its way.
    refused: AtomicBool,
}

/// Secures the connection, if it has to be, and serves it.
async fn welcome(open: Open, stream: TcpStream, peer: IpAddr) {
    let Some(handshakes) = &open.0.handshakes else {
        return connection(open, stream, peer).await;
    };
    let mut stop = open.0.stop.clone();
    let secured = tokio::select! {
        secured = handshakes.shake(stream) => secured,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    if let Some(stream) = secured {
        connection(open, stream, peer).await;
    }
}

async fn connection<S>(open: Open, stream: S, peer: IpAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let shared = &open.0;
    let activity = Activity::default();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(peer));
        let mut router = shared.router.clone();
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.store(true, Ordering::Relaxed);
        let activity = &activity;
        Box::pin(async move {
            let answer = router.call(request.map(Body::new)).await;
            activity.in_flight.store(false, Ordering::Relaxed);
            let refused = answer
                .as_ref()
                .is_ok_and(|answer| !answer.status().is_success());
            activity.refused.store(refused, Ordering::Relaxed);
            answer
        })
    });
    let io = TokioIo::new(StallBound::new(stream, shared.stall_time));
    let mut http = shared.http.serve_connection(io, service);
    let mut stop = shared.stop.clone();
    let mut closing = false;
    let mut asked_to_go = None;
    let ended = loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(ended) = http.poll_without_shutdown(cx) {
                return Poll::Ready(Some(ended));
            }
            // A connection at work does not wait to be asked: the request to make room stays for
            // the next one that is idle.
            if closing || activity.in_flight.load(Ordering::Relaxed) {
                asked_to_go = None;
                return Poll::Pending;
            }
            asked_to_go
                .get_or_insert_with(|| Box::pin(shared.make_room.notified()))
                .as_mut()
                .poll(cx)
                .map(|()| None)
        });
        tokio::select! {
            biased;
            ended = step => if let Some(ended) = ended {
                break ended;
            },
            _ = stop.wait_for(|stop| *stop), if !closing => {}
        }
        asked_to_go = None;
        if activity.requests.load(Ordering::Relaxed) == 0 {
            // hyper would wait for a first request.
            return;
        }
        closing = true;
        Pin::new(&mut http).graceful_shutdown();
    };
    let refused = activity.refused.load(Ordering::Relaxed);
    let more_to_come = ended.is_err() || (!closing && refused);
    let stream = http.into_parts().io.into_inner().into_inner();
    farewell(stream, more_to_come).await;
}
