//! Files -> units of work, on a thread of its own.

use std::{
    io::{self, BufRead, Read},
    sync::{Arc, atomic::Ordering},
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Progress,
    files::{Format, Input},
    identity::{Seed, Seeds, has_id},
    record::{Part, Record},
};

/// A unit of lines ends at so many,
const UNIT_LINES: usize = 128;
/// or at so many bytes.
const UNIT_BYTES: usize = 512 << 10;

/// A file and what of it is done.
#[derive(Clone)]
pub struct Source {
    pub input: Input,
    pub record: Record,
}

/// What is imported in one piece.
pub struct Unit {
    /// Index of the file.
    pub file: usize,
    /// Its place among the units of the file.
    pub number: u64,
    /// With it the file is read up to this line.
    pub up_to: u64,
    pub content: Content,
}

pub enum Content {
    /// One JSON text.
    Json(Vec<u8>, Part),
    /// JSON texts, one a line.
    Lines(Vec<Line>),
    /// More than one JSON text may have, or not to be unpacked.
    Unreadable(String),
}

/// A JSON text of an NDJSON file.
pub struct Line {
    /// The number of the line, from 1.
    pub number: u64,
    pub text: Vec<u8>,
    /// What of it is to be imported.
    pub part: Part,
    /// What ids are made of, if it has none.
    pub seed: Option<Seed>,
}

impl Unit {
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Json(text, _) => text.len(),
            Content::Lines(lines) => lines.iter().map(|line| line.text.len()).sum(),
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
    /// Passes a unit on, with which the file is read up to a line; false if no more are wanted.
    fn send(&mut self, up_to: u64, content: Content) -> bool {
        let unit = Unit {
            file: self.file,
            number: self.number,
            up_to,
            content,
        };
        self.number += 1;
        !self.progress.stop.load(Ordering::Relaxed) && self.units.blocking_send(unit).is_ok()
    }
}

fn whole(source: &Source, most_bytes: usize, output: &mut Output<'_>) -> io::Result<bool> {
    let Some(part) = source.record.left(1) else {
        return Ok(true);
    };
    let reader = source.input.open(&output.progress.read)?;
    let mut text = Vec::new();
    let unreadable = match reader.take(most_bytes as u64 + 1).read_to_end(&mut text) {
        Ok(read) if read > most_bytes => too_long(most_bytes),
        Ok(_) => return Ok(output.send(1, Content::Json(text, part))),
        Err(error) => error.to_string(),
    };
    Ok(output.send(0, Content::Unreadable(unreadable)))
}

fn lines(source: &Source, most_bytes: usize, output: &mut Output<'_>) -> io::Result<bool> {
    let mut reader = source.input.open(&output.progress.read)?;
    let mut seeds = Seeds::default();
    let mut unit = Vec::new();
    let mut bytes = 0;
    let mut number = 0;
    loop {
        let mut text = Vec::new();
        let read = (&mut reader)
            .take(most_bytes as u64 + 1)
            .read_until(b'\n', &mut text);
        let unreadable = match read {
            Ok(_) if text.len() > most_bytes => Some(too_long(most_bytes)),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if unreadable.is_some() || text.is_empty() {
            let goes_on = unit.is_empty() || output.send(number, Content::Lines(unit));
            let Some(reason) = unreadable else {
                return Ok(goes_on);
            };
            let reason = format!("line {}: {reason}", number + 1);
            return Ok(goes_on && output.send(number, Content::Unreadable(reason)));
        }
        number += 1;
        // Lines that are done count too: equal ones behind them keep their seeds.
        let seed = (!has_id(&text)).then(|| seeds.next(&text));
        let Some(part) = source.record.left(number) else {
            continue;
        };
        bytes += text.len();
        unit.push(Line {
            number,
            text,
            part,
            seed,
        });
        if unit.len() >= UNIT_LINES || bytes >= UNIT_BYTES {
            bytes = 0;
            if !output.send(number, Content::Lines(std::mem::take(&mut unit))) {
                return Ok(false);
            }
        }
    }
}

fn too_long(most_bytes: usize) -> String {
    format!("longer than {most_bytes} bytes (limits.bundle_bytes)")
}
