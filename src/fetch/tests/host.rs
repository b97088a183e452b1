//! Hosts to fetch from, and names for them.

use std::{
    collections::VecDeque,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::fetch::{Addresses, Resolve};

/// Answers in turn with what it was given; then knows nobody.
#[derive(Default)]
pub struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    pub asked: AtomicUsize,
}

impl Names {
    pub fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let read = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().map(read).collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _host: &'a str) -> Addresses<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A host on loopback that counts its visitors and keeps what they said.
pub struct Host {
    pub port: u16,
    visits: Arc<AtomicUsize>,
    pub heard: Arc<Mutex<String>>,
}

impl Host {
    /// Answers each request with `answer`; `{port}` in it stands for its own.
    pub async fn saying(answer: &str) -> Self {
        Self::with_tls(answer, None).await
    }

    pub async fn with_tls(answer: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Self {
            port,
            visits: Arc::default(),
            heard: Arc::default(),
        };
        let answer = answer.replace("{port}", &port.to_string());
        let (visits, heard) = (host.visits.clone(), host.heard.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                visits.fetch_add(1, Ordering::Relaxed);
                let (answer, heard, tls) = (answer.clone(), heard.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &answer, &heard).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &answer, &heard).await;
                            }
                        }
                    }
                });
            }
        });
        host
    }

    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

/// Hears a whole request, and answers. After `∞` it
/// goes on for ever; at `…` it waits.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    heard: &Mutex<String>,
) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let is_whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).into_owned();
        text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            body.len() >= length.map_or(0, |length| length.parse().unwrap())
        })
    };
    while !is_whole(&request) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&piece[..read]),
        }
    }
    heard
        .lock()
        .unwrap()
        .push_str(&String::from_utf8_lossy(&request));
    for part in answer.split_inclusive(['∞', '…']) {
        let text = part.trim_end_matches(['∞', '…']);
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        if part.ends_with('…') {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while part.ends_with('∞') {
            if stream.write_all(&[b' '; 1024]).await.is_err() {
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// 200 with a JSON body.
pub fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
