//! Files -> units of work, on a thread of its own.

use std::{
    io::{self, BufRead, Read},
    sync::{Arc, atomic::Ordering},
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Progress,
    files::{Format, Input},
};

/// A unit of lines ends at so many,
const UNIT_LINES: usize = 128;
/// or at so many bytes.
const UNIT_BYTES: usize = 512 << 10;

/// A file and where to begin in it.
#[derive(Clone)]
pub struct Source {
    pub input: Input,
    pub skip_lines: u64,
}

/// What is imported in one piece.
pub struct Unit {
    /// Index of the file.
    pub file: usize,
    /// Its place among the units of the file.
    pub number: u64,
    pub content: Content,
}

pub enum Content {
    /// One JSON text.
    Json(Vec<u8>),
    /// JSON texts with the numbers of their lines, from 1.
    Lines(Vec<(u64, Vec<u8>)>),
    /// More than one JSON text may have, or not to be unpacked.
    Unreadable(String),
}

impl Unit {
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Json(text) => text.len(),
            Content::Lines(lines) => lines.iter().map(|(_, text)| text.len()).sum(),
            Content::Unreadable(_) => 0,
        }
    }
}

/// Reads all `sources` in their order. Gives how many of them were read to their end.
pub fn start(
    sources: Vec<Source>,
    most_bytes: usize,
    progress: Arc<Progress>,
    units: mpsc::Sender<Unit>,
) -> JoinHandle<io::Result<usize>> {
    tokio::task::spawn_blocking(move || {
        for (file, source) in sources.iter().enumerate() {
            let mut output = Output {
                file,
                number: 0,
                progress: &progress,
                units: &units,
            };
            let goes_on = match source.input.format {
                Format::Json => whole(source, most_bytes, &mut output)?,
                Format::Lines => lines(source, most_bytes, &mut output)?,
            };
            if !goes_on {
                return Ok(file);
            }
        }
        Ok(sources.len())
    })
}

struct Output<'a> {
    file: usize,
    number: u64,
    progress: &'a Progress,
    units: &'a mpsc::Sender<Unit>,
}

impl Output<'_> {
    /// Passes a unit on; false if no more are wanted.
    fn send(&mut self, content: Content) -> bool {
        let unit = Unit {
            file: self.file,
            number: self.number,
            content,
        };
        self.number += 1;
        !self.progress.stop.load(Ordering::Relaxed) && self.units.blocking_send(unit).is_ok()
    }
}

fn whole(source: &Source, most_bytes: usize, output: &mut Output<'_>) -> io::Result<bool> {
    let reader = source.input.open(&output.progress.read)?;
    let mut text = Vec::new();
    let content = match reader.take(most_bytes as u64 + 1).read_to_end(&mut text) {
        Ok(read) if read > most_bytes => Content::Unreadable(too_long(most_bytes)),
        Ok(_) => Content::Json(text),
        Err(error) => Content::Unreadable(error.to_string()),
    };
    Ok(output.send(content))
}

fn lines(source: &Source, most_bytes: usize, output: &mut Output<'_>) -> io::Result<bool> {
    let mut reader = source.input.open(&output.progress.read)?;
    let mut unit = Vec::new();
    let mut bytes = 0;
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let read = match (&mut reader)
            .take(most_bytes as u64 + 1)
            .read_until(b'\n', &mut line)
        {
            Ok(read) => read,
            Err(error) => {
                let reason = format!("line {}: {error}", number + 1);
                return Ok((unit.is_empty() || output.send(Content::Lines(unit)))
                    && output.send(Content::Unreadable(reason)));
            }
        };
        if read == 0 {
            return Ok(unit.is_empty() || output.send(Content::Lines(unit)));
        }
        number += 1;
        if line.len() > most_bytes {
            let reason = format!("line {number}: {}", too_long(most_bytes));
            return Ok((unit.is_empty() || output.send(Content::Lines(unit)))
                && output.send(Content::Unreadable(reason)));
        }
        if number <= source.skip_lines {
            continue;
        }
        bytes += line.len();
        unit.push((number, line));
        if unit.len() >= UNIT_LINES || bytes >= UNIT_BYTES {
            bytes = 0;
            if !output.send(Content::Lines(std::mem::take(&mut unit))) {
                return Ok(false);
            }
        }
    }
}

fn too_long(most_bytes: usize) -> String {
    format!("longer than {most_bytes} bytes (limits.bundle_bytes)")
}
