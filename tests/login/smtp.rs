//! A mail server, as far as a test needs one: it speaks SMTP (RFC 5321) and keeps what it gets.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rotunda::mail::{MailSettings, Mailer};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

pub struct MailServer {
    address: SocketAddr,
    /// The server's certificate, if it speaks TLS from the beginning.
    certificate: Option<String>,
    /// What was shown to it as name and password.
    shown: Arc<Mutex<Vec<String>>>,
    /// Recipient and text of each mail.
    mails: Arc<Mutex<Vec<(String, String)>>>,
    /// So many mails are refused for now before one is taken.
    busy: Arc<AtomicUsize>,
}

impl MailServer {
    pub async fn start() -> Self {
        Self::listen(false).await
    }

    /// One that speaks TLS from the beginning.
    pub async fn start_tls() -> Self {
        Self::listen(true).await
    }

    async fn listen(tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let made = tls.then(|| {
            let names = vec!["127.0.0.1".to_owned()];
            rcgen::generate_simple_self_signed(names).unwrap()
        });
        let server = Self {
            address: listener.local_addr().unwrap(),
            certificate: made.as_ref().map(|made| made.cert.pem()),
            shown: Arc::default(),
            mails: Arc::default(),
            busy: Arc::default(),
        };
        let acceptor = made.map(|made| {
            let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            let provider = Arc::new(aws_lc_rs::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key);
            TlsAcceptor::from(Arc::new(config.unwrap()))
        });
        let kept = Kept {
            mails: Arc::clone(&server.mails),
            busy: Arc::clone(&server.busy),
            shown: Arc::clone(&server.shown),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, acceptor) = (kept.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, &kept).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub fn mailer(&self) -> Mailer {
        Mailer::start(self.settings()).unwrap()
    }

    pub fn settings(&self) -> MailSettings {
        let scheme = match self.certificate {
            Some(_) => "smtps",
            None => "smtp",
        };
        MailSettings {
            smtp: format!("{scheme}://{}", self.address),
            authority: self.certificate.clone(),
            from: "Rotunda <rotunda@hospital.example>".to_owned(),
            credentials: None,
            again: vec![Duration::from_millis(50); 3],
        }
    }

    pub fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }

    pub fn is_busy(&self, times: usize) {
        self.busy.store(times, Ordering::Relaxed);
    }

    pub fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// The mail of this number, as soon as it is there.
    pub async fn mail(&self, number: usize) -> (String, String) {
        for _ in 0..400 {
            if let Some(mail) = self.mails.lock().unwrap().get(number) {
                return mail.clone();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no mail came");
    }
}

/// What a server keeps of its connections.
#[derive(Clone)]
struct Kept {
    mails: Arc<Mutex<Vec<(String, String)>>>,
    busy: Arc<AtomicUsize>,
    shown: Arc<Mutex<Vec<String>>>,
}

async fn serve(stream: impl AsyncRead + AsyncWrite, kept: &Kept) {
    let Kept { mails, busy, shown } = kept;
    let (input, mut output) = tokio::io::split(stream);
    let mut lines = BufReader::new(input).lines();
    let mut recipient = String::new();
    let _ = output.write_all(b"220 mail.test ESMTP\r\n").await;
    while let Ok(Some(line)) = lines.next_line().await {
        let command = line.get(..4).unwrap_or("").to_ascii_uppercase();
        let answer = match command.as_str() {
            "EHLO" => "250-mail.test\r\n250-AUTH PLAIN\r\n250-8BITMIME\r\n250 SMTPUTF8",
            "AUTH" => {
                shown.lock().unwrap().push(line.clone());
                "235 Welcome"
            }
            "MAIL" => {
                let left = busy.load(Ordering::Relaxed);
                busy.store(left.saturating_sub(1), Ordering::Relaxed);
                if left > 0 { "451 Busy" } else { "250 OK" }
            }
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1);
                recipient = address.unwrap_or("").to_owned();
                "250 OK"
            }
            "DATA" => {
                let _ = output.write_all(b"354 Go on\r\n").await;
                let mut text = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                mails.lock().unwrap().push((recipient.clone(), text));
                "250 Taken"
            }
            "QUIT" => "221 Bye",
            "RSET" | "NOOP" => "250 OK",
            _ => "500 What?",
        };
        if output
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}
