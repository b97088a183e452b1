//! `rotunda hl7 send`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::Args;
use mllp::{
    ack::{self, Acknowledged},
    header::{Condition, Header},
    message::{Message, Reading},
};
use tokio::time::{Instant, timeout_at};

use super::{super::Failure, lines, messages_of};
use crate::hl7::outbound::{Security, Wire, destination::TlsFiles};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Files with one message or several, batches, or frames; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the engine listens
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// Secure the connection
    #[arg(long)]
    tls: bool,
    /// Trust the authorities of this file (PEM) too
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
    /// The certificate to show (PEM)
    #[arg(long, value_name = "FILE", requires = "key", requires = "tls")]
    certificate: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The name in the engine's certificate, if it is not the host
    #[arg(long, value_name = "NAME", requires = "tls")]
    server_name: Option<String>,
    /// Seconds to wait for each acknowledgement
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Print the acknowledgements as they came, too
    #[arg(long)]
    verbose: bool,
}

/// How one message fared.
enum Fate {
    Good,
    Bad,
    /// No answer: the connection is of no use any more.
    Silent,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let files = arguments.tls.then(|| TlsFiles {
        authorities: arguments.ca_file.clone(),
        certificate: arguments.certificate.clone(),
        key: arguments.key.clone(),
        name: arguments.server_name.clone(),
    });
    let security = Security::new(files.as_ref(), &arguments.to).map_err(Failure)?;
    let mut messages = Vec::new();
    for file in &arguments.files {
        messages.extend(messages_of(file)?);
    }
    let (mut wire, mut bad) = (None, 0_usize);
    for raw in &messages {
        let mut open = match wire.take() {
            Some(open) => open,
            None => Wire::open(&arguments.to, &security)
                .await
                .map_err(|error| Failure(format!("{}: {error}", arguments.to)))?,
        };
        match exchange(&mut open, raw, &arguments).await? {
            Fate::Good => wire = Some(open),
            Fate::Bad => {
                bad += 1;
                wire = Some(open);
            }
            Fate::Silent => bad += 1,
        }
    }
    match bad {
        0 => Ok(ExitCode::SUCCESS),
        bad => {
            eprintln!("{bad} of {} messages were not taken", messages.len());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Sends one message, and waits for the answers that it asks for.
async fn exchange(wire: &mut Wire, raw: &Bytes, arguments: &Arguments) -> Result<Fate, Failure> {
    let message = Message::parse(raw.clone(), &Reading::default());
    let message = message.map_err(|error| Failure(error.to_string()))?;
    let header = Header::of(&message);
    let control = &header.control_id;
    let said = |text: &str| println!("{} {control}: {text}", header.kind());
    if header.accept_ack == Some(Condition::Never) && header.application_ack.is_none() {
        wire.send(raw).await?;
        said("sent; it asks for no answer");
        return Ok(Fate::Good);
    }
    wire.send(raw).await?;
    let mut accepted = false;
    loop {
        let until = Instant::now() + Duration::from_secs(arguments.timeout);
        let answer = loop {
            match timeout_at(until, wire.receive()).await {
                Err(_) => break None,
                Ok(Err(error)) => {
                    said(&format!("no answer: {error}"));
                    return Ok(Fate::Silent);
                }
                Ok(Ok(frame)) => {
                    if let Some(found) = matching(&frame, control, arguments.verbose) {
                        break Some(found);
                    }
                }
            }
        };
        let Some(answer) = answer else {
            said(match accepted {
                true => "accepted, and no word of what became of it in time",
                false => "no answer in time",
            });
            return Ok(Fate::Silent);
        };
        print(&answer, |text| said(text));
        let wants_more = match header.application_ack {
            Some(Condition::Always | Condition::Success) => true,
            Some(Condition::Error | Condition::Never) | None => false,
        };
        accepted = answer.code.is_accept() && answer.code.is_success() && wants_more;
        if !accepted {
            return Ok(match answer.code.is_success() {
                true => Fate::Good,
                false => Fate::Bad,
            });
        }
    }
}

fn matching(frame: &Bytes, control: &str, verbose: bool) -> Option<Acknowledged> {
    let message = Message::parse(frame.clone(), &Reading::default()).ok()?;
    let found = ack::read(&message);
    if verbose {
        print!("{}", lines(frame));
    }
    match found {
        Some(found) if found.control_id == control => Some(found),
        Some(found) => {
            eprintln!("an answer to another message: {}", found.control_id);
            None
        }
        None => {
            eprintln!("a message that is no answer");
            None
        }
    }
}

fn print(answer: &Acknowledged, said: impl Fn(&str)) {
    said(answer.code.as_str());
    for problem in &answer.problems {
        let place = match problem.place.is_empty() {
            true => String::new(),
            false => format!("{} ", problem.place),
        };
        println!("  {} {place}{}", problem.code, problem.text);
    }
    if let Some(expected) = answer.expected_sequence {
        println!("  expected sequence number: {expected}");
    }
}
