//! `rotunda hl7`.

mod listen;
mod map;
mod messages;
mod parse;
mod queue;
mod send;

use std::{io::Read as _, path::Path, process::ExitCode};

use bytes::Bytes;
use clap::Subcommand;
use mllp::{
    batch,
    frame::{Decoder, Event, Limits},
};

use super::Failure;

pub use map::{effect, told};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send the messages of files to an engine, and print what it answers
    Send(send::Arguments),
    /// Take messages as an engine would, print or save them, and acknowledge them
    Listen(listen::Arguments),
    /// Print messages as trees, each value with its place
    Parse(parse::Arguments),
    /// Print the FHIR that messages become, and which fields went where
    Map(map::Arguments),
    /// What waits, was given up or is to be sent: look at it, retry, replay, drop, pause
    #[command(subcommand)]
    Queue(queue::Command),
    /// Messages that came: by patient, type, time and state; bytes, notes, resources, answers
    #[command(subcommand)]
    Messages(messages::Command),
}

pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Send(arguments) => send::run(arguments).await,
        Command::Listen(arguments) => listen::run(arguments).await,
        Command::Parse(arguments) => parse::run(&arguments),
        Command::Map(arguments) => map::run(&arguments),
        Command::Queue(command) => queue::run(command).await,
        Command::Messages(command) => messages::run(command).await,
    }
}

/// The messages of a file: one, several after each other, a batch, or frames as they were caught
/// on the way; `-` is standard input. What was odd is said on standard error.
fn messages_of(file: &Path) -> Result<Vec<Bytes>, Failure> {
    let wrong = |error: std::io::Error| Failure(format!("{}: {error}", file.display()));
    let raw = match file.to_str() {
        Some("-") => {
            let mut raw = Vec::new();
            std::io::stdin().read_to_end(&mut raw).map_err(wrong)?;
            raw
        }
        _ => std::fs::read(file).map_err(wrong)?,
    };
    let mut parts = Vec::new();
    let note = |text: String| eprintln!("{}: {text}", file.display());
    if raw.contains(&0x0B) {
        let mut decoder = Decoder::new(Limits {
            frame: raw.len(),
            tolerant: true,
        });
        decoder.push(&raw);
        while let Some(event) = decoder.next() {
            match event {
                Event::Frame(frame) => parts.push(frame),
                Event::Skipped(bytes) => note(format!("{bytes} bytes outside of frames")),
                Event::Restarted(bytes) => note(format!("a frame of {bytes} bytes has no end")),
                Event::Empty => note("an empty frame".to_owned()),
                Event::TooLong(_) | Event::Commit(_) => {}
            }
        }
        if let Some(Event::Frame(frame)) = decoder.settle() {
            parts.push(frame);
        }
    } else {
        parts.push(Bytes::from(raw));
    }
    let mut messages = Vec::new();
    for part in parts {
        let batch = batch::split(part);
        for odd in &batch.notes {
            note(format!("{} {}", odd.place, odd.text));
        }
        messages.extend(batch.messages.into_iter().map(|part| part.raw));
    }
    if messages.is_empty() {
        return Err(Failure(format!(
            "{}: there is no message in it",
            file.display()
        )));
    }
    Ok(messages)
}

/// A message with a line for each segment, for people.
fn lines(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}
