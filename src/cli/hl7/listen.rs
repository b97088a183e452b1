//! `rotunda hl7 listen`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use mllp::{
    ack::{self, Answer, Code},
    frame::{Decoder, Event, Limits, encode},
    header::{Condition, Header},
    message::{Message, Reading},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{super::Failure, lines};
use crate::{
    clock::{Clock as _, SystemClock},
    config::address,
    hl7::outbound::dtm,
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to listen, without TLS; port 0 takes a free port
    #[arg(value_parser = address, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Save each message in a file of this folder instead of printing it
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
    /// What to answer
    #[arg(long, value_name = "CODE", default_value = "auto")]
    answer: How,
    /// Seconds to wait before each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    delay: f64,
    /// End after so many messages
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// AA; or CA, and AA after it, as MSH-15 and MSH-16 ask for it
    Auto,
    /// AA
    Aa,
    /// AE
    Ae,
    /// AR
    Ar,
    /// CA
    Ca,
    /// Nothing
    None,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let socket = TcpListener::bind(arguments.listen).await?;
    if let Some(folder) = &arguments.save {
        std::fs::create_dir_all(folder)?;
    }
    println!("listening on {}", socket.local_addr()?);
    let arguments = Arc::new(arguments);
    let (seen, ended) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(tokio::sync::Notify::new()),
    );
    loop {
        let stream = tokio::select! {
            accepted = socket.accept() => accepted?.0,
            () = ended.notified() => return Ok(ExitCode::SUCCESS),
            done = tokio::signal::ctrl_c() => return done.map(|()| ExitCode::SUCCESS).map_err(Failure::from),
        };
        let (arguments, seen) = (Arc::clone(&arguments), Arc::clone(&seen));
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let served = serve(stream, &arguments, &seen).await;
            if let Err(failure) = served {
                eprintln!("{failure}");
            }
            let is_last = |count| seen.load(Ordering::Relaxed) >= count;
            if arguments.count.is_some_and(is_last) {
                ended.notify_one();
            }
        });
    }
}

async fn serve(
    mut stream: TcpStream,
    arguments: &Arguments,
    seen: &AtomicU64,
) -> Result<(), Failure> {
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(event) = decoder.next() {
            match event {
                Event::Frame(frame) => {
                    let number = seen.fetch_add(1, Ordering::Relaxed) + 1;
                    show(&frame, number, arguments.save.as_deref())?;
                    sleep(Duration::from_secs_f64(arguments.delay.max(0.0))).await;
                    for answer in answers(&frame, arguments.answer) {
                        stream.write_all(&encode(&answer)).await?;
                    }
                    if arguments.count.is_some_and(|count| number >= count) {
                        stream.shutdown().await?;
                        return Ok(());
                    }
                }
                odd => eprintln!("{odd:?}"),
            }
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..read]);
    }
}

fn show(frame: &Bytes, number: u64, folder: Option<&Path>) -> Result<(), Failure> {
    match folder {
        None => println!("{}", lines(frame)),
        Some(folder) => {
            let file = folder.join(format!("{number:06}.hl7"));
            std::fs::write(&file, frame)?;
            println!("{}", file.display());
        }
    }
    Ok(())
}

fn answers(frame: &Bytes, how: How) -> Vec<Bytes> {
    let time = dtm(SystemClock::default().now());
    let control = uuid::Uuid::new_v4().simple().to_string();
    let control = &control[..20];
    let Ok(message) = Message::parse(frame.clone(), &Reading::default()) else {
        return vec![ack::unreadable(
            frame,
            control,
            &time,
            "there is no usable MSH",
        )];
    };
    let header = Header::of(&message);
    let answer = |code| {
        let answer = Answer {
            code,
            problems: &[],
            control_id: control,
            time: &time,
            expected_sequence: None,
        };
        ack::write(&message, &answer)
    };
    if header.is_acknowledgement() {
        return Vec::new();
    }
    match how {
        How::Aa => vec![answer(Code::AA)],
        How::Ae => vec![answer(Code::AE)],
        How::Ar => vec![answer(Code::AR)],
        How::Ca => vec![answer(Code::CA)],
        How::None => Vec::new(),
        How::Auto if header.is_enhanced() => {
            let wants = |asked: Option<Condition>| asked.is_some_and(|asked| asked.wants(true));
            let accept = wants(header.accept_ack).then(|| answer(Code::CA));
            let application = wants(header.application_ack).then(|| answer(Code::AA));
            accept.into_iter().chain(application).collect()
        }
        How::Auto => vec![answer(Code::AA)],
    }
}
