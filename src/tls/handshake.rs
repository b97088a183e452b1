//! Handshakes: bounded in time and number, so that those who never finish one keep nobody out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Notify, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Tls, farewell};

/// Time for a handshake.
const TIME: Duration = Duration::from_secs(10);
/// Handshakes at a time, as a part of all connections and at most; beyond them the oldest makes
/// room.
const PART: usize = 4;
const MOST: usize = 512;

/// The handshakes of a listener.
pub struct Handshakes {
    tls: Arc<Tls>,
    most: usize,
    going_on: AtomicUsize,
    /// Asks the oldest to go.
    make_room: Notify,
}

impl Handshakes {
    /// None as yet, on a listener with this many connections at most.
    pub fn new(tls: Arc<Tls>, connections: usize) -> Self {
        Self {
            tls,
            most: (connections / PART).clamp(1, MOST),
            going_on: AtomicUsize::new(0),
            make_room: Notify::new(),
        }
    }

    /// A secured stream; `None` if the client makes none in time, or has to make room.
    pub async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let going_on = self.going_on.fetch_add(1, AcqRel) + 1;
        let _counted = Counted(&self.going_on);
        if going_on > self.most {
            self.make_room.notify_one();
        }
        tokio::select! {
            made = timeout(TIME, secure(self.tls.current(), stream)) => made.ok().flatten(),
            () = self.make_room.notified() => None,
        }
    }
}

async fn secure(config: Arc<ServerConfig>, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    stream.peek(&mut first).await.ok()?;
    // Handshakes begin with 22. Most who begin with a method have mistyped a URL.
    if first[0].is_ascii_uppercase() {
        stream.write_all(NO_TLS).await.ok()?;
        farewell(stream, true).await;
        return None;
    }
    TlsAcceptor::from(config).accept(stream).await.ok()
}

const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\nContent-Length: 35\r\n\r\nHere is TLS: begin with https://.\r\n";

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}
