//! A sender: it writes frames and reads answers.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use mllp::{
    Message,
    ack::{self, Acknowledged},
    frame::{self, Decoder, Event},
    message::Reading,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than any answer may take on a slow computer.
const PATIENCE: Duration = Duration::from_secs(30);
/// As long as it is waited for what is not to come.
const QUIET: Duration = Duration::from_millis(250);

pub struct Wire<S = TcpStream> {
    pub stream: S,
    decoder: Decoder,
}

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(frame::Limits::default()),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn send(&mut self, message: &str) {
        self.write(&frame::encode(message.as_bytes())).await;
    }

    /// The next event; none if the other side closes, or nothing comes in time.
    pub async fn event(&mut self, time: Duration) -> Option<Event> {
        let mut bytes = [0; 4096];
        loop {
            if let Some(event) = self.decoder.next() {
                return Some(event);
            }
            let read = timeout(time, self.stream.read(&mut bytes)).await.ok()?;
            match read {
                Ok(read @ 1..) => self.decoder.push(&bytes[..read]),
                _ => return None,
            }
        }
    }

    /// The bytes of the next frame.
    pub async fn frame(&mut self) -> Bytes {
        match self.event(PATIENCE).await {
            Some(Event::Frame(bytes)) => bytes,
            other => panic!("no frame but {other:?}"),
        }
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Acknowledged {
        read(self.frame().await)
    }

    /// Sends, and gives the next answer.
    pub async fn ask(&mut self, message: &str) -> Acknowledged {
        self.send(message).await;
        self.answer().await
    }

    /// The codes of this many answers, and of those that come after them until it is quiet.
    pub async fn codes(&mut self, count: usize) -> Vec<String> {
        let mut codes = Vec::new();
        while codes.len() < count {
            codes.push(self.answer().await.code.as_str().to_owned());
        }
        while let Some(event) = self.event(QUIET).await {
            match event {
                Event::Frame(bytes) => codes.push(read(bytes).code.as_str().to_owned()),
                other => panic!("{other:?}"),
            }
        }
        codes
    }

    /// True if the other side closes and sends nothing more.
    pub async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = timeout(PATIENCE, self.stream.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

pub fn read(bytes: Bytes) -> Acknowledged {
    let message = Message::parse(bytes, &Reading::default()).unwrap();
    ack::read(&message).unwrap_or_else(|| panic!("no answer: {}", message.text()))
}

/// A message about a patient; `acks` are MSH-15 and 16.
pub fn adt(control: &str, patient: &str, acks: (&str, &str)) -> String {
    format!(
        "MSH|^~\\&|APP|SITE|ROTUNDA|HERE|20261124120000+0000||ADT^A08^ADT_A01|{control}|P|2.5.1|||{}|{}\r\
         EVN|A08|20261124120000+0000\rPID|1||{patient}^^^SITE^MR||Doe^J{control}||19700101|F\r\
         PV1|1|N\r",
        acks.0, acks.1
    )
}
