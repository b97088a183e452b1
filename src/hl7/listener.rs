//! A listener: connections accepted up to a bound, secured if they have to be.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_lc_rs::digest;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    channel::Channel,
    connection::{self, Bounds, Open, Shared},
    inbox::{Inbox, Peer},
    meters,
};
use crate::{
    network::{self, Network},
    tls::Tls,
};

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a listener is.
pub struct Listener {
    /// Where it listens.
    pub socket: TcpListener,
    /// TLS, with certificates of clients; none: plain.
    pub tls: Option<Arc<Tls>>,
    /// Addresses that may connect; none: all.
    pub peers: Vec<Network>,
    /// The channels that messages may come through, in this order.
    pub channels: Vec<Arc<Channel>>,
    /// MLLP release 2.
    pub commits: bool,
    /// A frame may end in FS alone.
    pub tolerant: bool,
}

/// Serves a listener until `stop` says so; then answers what has come. How many connections were
/// cut off.
pub async fn serve(
    listener: Listener,
    inbox: Arc<Inbox>,
    (bounds, memory): (Bounds, Arc<Semaphore>),
    mut stop: watch::Receiver<bool>,
    shutdown_time: Duration,
) -> usize {
    let shared = Arc::new(Shared {
        inbox,
        bounds,
        memory,
        open: 0.into(),
        make_room: tokio::sync::Notify::new(),
        stop: stop.clone(),
        commits: listener.commits,
        tolerant: listener.tolerant,
    });
    let (cut, cut_off) = watch::channel(());
    let channels: Arc<[Arc<Channel>]> = listener.channels.into();
    tokio::select! {
        () = accept_all(&listener.socket, (&listener.tls, &listener.peers), &channels, &shared, &cut_off) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop((listener.socket, cut_off));
    let all_closed = async {
        while shared.open.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = timeout(shutdown_time, all_closed).await;
    drop(cut);
    shared.open.load(Ordering::Acquire)
}

async fn accept_all(
    socket: &TcpListener,
    (tls, peers): (&Option<Arc<Tls>>, &[Network]),
    channels: &Arc<[Arc<Channel>]>,
    shared: &Arc<Shared>,
    cut_off: &watch::Receiver<()>,
) {
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) if network::is_about_the_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "an HL7 connection could not be accepted");
                shared.make_room.notify_one();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let is_known = peers.is_empty()
            || peer.to_canonical().is_loopback()
            || peers.iter().any(|network| network.contains(peer));
        if !is_known {
            meters::odd("unknown address");
            tracing::warn!(%peer, "an HL7 connection from an address that is not configured");
            continue;
        }
        let _ = stream.set_nodelay(true);
        let open = shared.open.fetch_add(1, Ordering::AcqRel) + 1;
        meters::connections(open);
        let counted = Open(Arc::clone(shared));
        let (tls, channels) = (tls.clone(), Arc::clone(channels));
        let mut cut_off = cut_off.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = welcome(&counted.0, stream, tls, (peer, channels)) => {}
                // Its sender is gone when there is no more time.
                _ = cut_off.changed() => {}
            }
        });
        if open > shared.bounds.connections {
            shared.make_room.notify_one();
            if open > shared.bounds.connections + shared.bounds.connections / 4 {
                // They do not close fast enough: let new ones wait in the kernel.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

async fn welcome(
    shared: &Shared,
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    (address, channels): (IpAddr, Arc<[Arc<Channel>]>),
) {
    let Some(tls) = tls else {
        return attend(shared, stream, (address, None), channels).await;
    };
    let accepted = timeout(HANDSHAKE, TlsAcceptor::from(tls.current()).accept(stream)).await;
    match accepted {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates();
            let certificate = shown.and_then(<[_]>::first).map(|shown| fingerprint(shown));
            attend(shared, stream, (address, certificate), channels).await;
        }
        Ok(Err(error)) => {
            meters::odd("no handshake");
            tracing::warn!(peer = %address, %error, "an HL7 connection was not secured");
        }
        Err(_) => meters::odd("no handshake"),
    }
}

async fn attend<S>(
    shared: &Shared,
    stream: S,
    (address, certificate): (IpAddr, Option<[u8; 32]>),
    channels: Arc<[Arc<Channel>]>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let (later, answers) = mpsc::channel(connection::LATER);
    let peer = Peer {
        address,
        certificate,
        channels,
        later,
    };
    connection::serve(stream, shared, peer, answers).await;
}

/// What a certificate is known by: SHA-256 of all of it.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    hash
}
