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
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

pub struct MailServer {
    address: SocketAddr,
    /// Recipient and text of each mail.
    mails: Arc<Mutex<Vec<(String, String)>>>,
    /// So many mails are refused for now before one is taken.
    busy: Arc<AtomicUsize>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            mails: Arc::default(),
            busy: Arc::default(),
        };
        let (mails, busy) = (Arc::clone(&server.mails), Arc::clone(&server.busy));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mails, busy) = (Arc::clone(&mails), Arc::clone(&busy));
                tokio::spawn(async move { serve(stream, &mails, &busy).await });
            }
        });
        server
    }

    pub fn mailer(&self) -> Mailer {
        let settings = MailSettings {
            smtp: format!("smtp://{}", self.address),
            from: "Rotunda <rotunda@hospital.example>".to_owned(),
            credentials: None,
            again: vec![Duration::from_millis(50); 3],
        };
        Mailer::start(settings).unwrap()
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

async fn serve(stream: TcpStream, mails: &Mutex<Vec<(String, String)>>, busy: &AtomicUsize) {
    let (input, mut output) = stream.into_split();
    let mut lines = BufReader::new(input).lines();
    let mut recipient = String::new();
    let _ = output.write_all(b"220 mail.test ESMTP\r\n").await;
    while let Ok(Some(line)) = lines.next_line().await {
        let command = line.get(..4).unwrap_or("").to_ascii_uppercase();
        let answer = match command.as_str() {
            "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 SMTPUTF8",
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
