//! Handshakes: bounded in time and number, so that those who never finish one keep nobody out.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Notify, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Tls;

/// Time for a handshake.
const TIME: Duration = Duration::from_secs(10);
/// Handshakes at a time; beyond them the oldest makes room.
const AT_A_TIME: usize = 512;

/// The handshakes of a listener.
pub struct Handshakes {
    tls: Arc<Tls>,
    going_on: AtomicUsize,
    /// Asks the oldest to go.
    make_room: Notify,
}

impl Handshakes {
    /// None as yet.
    pub fn new(tls: Arc<Tls>) -> Self {
        Self {
            tls,
            going_on: AtomicUsize::new(0),
            make_room: Notify::new(),
        }
    }

    /// A secured stream; `None` if the client makes none in time, or has to make room.
    pub async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let going_on = self.going_on.fetch_add(1, AcqRel) + 1;
        let _counted = Counted(&self.going_on);
        if going_on > AT_A_TIME {
            self.make_room.notify_one();
        }
        let accept = TlsAcceptor::from(self.tls.current()).accept(stream);
        let made = tokio::select! {
            made = timeout(TIME, accept.into_fallible()) => made.ok()?,
            () = self.make_room.notified() => return None,
        };
        match made {
            Ok(stream) => Some(stream),
            Err((error, stream)) => {
                if is_plain(&error) {
                    explain(stream).await;
                }
                None
            }
        }
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// What came was no TLS.
fn is_plain(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType
        ))
    )
}

/// Most who speak something else have mistyped a URL.
async fn explain(mut stream: TcpStream) {
    const TOLD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
        Connection: close\r\nContent-Length: 35\r\n\r\nHere is TLS: begin with https://.\r\n";
    let _ = timeout(Duration::from_secs(1), stream.write_all(TOLD)).await;
}
