//! `rotunda hl7 map`, and what an overlay changes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use mllp::{
    map::{Mapped, Mapper, Overlay, Site},
    message::Message,
};
use serde_json::{Value, json};

use super::{super::Failure, messages_of, parse::reading};

#[derive(Debug, Args)]
pub struct Arguments {
    /// A file with messages; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A site's own rows (CSV), as of a channel
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    /// The zone of times that name none
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// The character set of messages whose MSH-18 is empty
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let overlay = match &arguments.overlay {
        None => None,
        Some(path) => {
            let wrong = |error: std::io::Error| Failure(format!("{}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(wrong)?;
            let read = Overlay::parse(&text);
            Some(read.map_err(|problems| told(&path.display().to_string(), &problems))?)
        }
    };
    let mapper = Mapper::new(overlay.as_ref());
    let zone = jiff::tz::TimeZone::get(&arguments.time_zone);
    let site = Site {
        zone: zone.map_err(|error| Failure(error.to_string()))?,
        ..Site::default()
    };
    let reading = reading(arguments.charset.as_deref())?;
    let mut all = Vec::new();
    for raw in messages_of(&arguments.file)? {
        let message = Message::parse(raw, &reading);
        let message = message.map_err(|error| Failure(error.to_string()))?;
        let mapped = mapper.map(&message, &site);
        match arguments.json {
            true => all.push(shown(&message, &mapped)),
            false => print(&message, &mapped),
        }
    }
    if arguments.json {
        println!("{}", pretty(&json!(all)));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with a file, a line for each.
pub fn told(file: &str, problems: &[String]) -> Failure {
    let lines = problems.iter().map(|problem| format!("{file}: {problem}"));
    Failure(lines.collect::<Vec<_>>().join("\n"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
}

fn shown(message: &Message, mapped: &Mapped) -> Value {
    let resources = mapped.resources.iter().enumerate().map(|(at, made)| {
        json!({
            "id": format!("#{at}"),
            "from": made.role,
            "segment": place(message, made.segment),
            "deleted": made.nulls,
            "resource": made.json,
        })
    });
    let fields = mapped.fields.iter().map(|field| {
        json!({
            "segment": place(message, field.segment),
            "field": field.name,
            "reached": field.reached,
        })
    });
    let notes = mapped.notes.iter().chain(message.notes());
    let notes = notes.map(|note| json!({ "place": note.place, "text": note.text }));
    json!({
        "resources": resources.collect::<Vec<_>>(),
        "fields": fields.collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
    })
}

fn place(message: &Message, segment: usize) -> String {
    let found = message.segment(segment);
    found.map_or(String::new(), |segment| segment.place())
}

fn print(message: &Message, mapped: &Mapped) {
    for (at, made) in mapped.resources.iter().enumerate() {
        let from = place(message, made.segment);
        println!("#{at} {} (of {from})", made.role);
        println!("{}", pretty(&made.json));
        if !made.nulls.is_empty() {
            println!("deleted: {}", made.nulls.join(", "));
        }
    }
    println!("fields:");
    for field in &mapped.fields {
        let number = field.name.rsplit('-').next().unwrap_or_default();
        let place = format!("{}-{number}", place(message, field.segment));
        match field.reached.is_empty() {
            true => println!("  {place} is kept in the message only"),
            false => println!("  {place} -> {}", field.reached.join(", ")),
        }
    }
    let reached = mapped
        .fields
        .iter()
        .filter(|field| !field.reached.is_empty());
    println!(
        "{} of {} fields reach FHIR",
        reached.count(),
        mapped.fields.len()
    );
    for note in mapped.notes.iter().chain(message.notes()) {
        println!("note: {} {}", note.place, note.text);
    }
}

/// Prints what an overlay changes in the FHIR of a sample: lines that come and go, and fields that
/// now reach FHIR or no longer do.
pub fn effect(overlay: &Overlay, site: &Site, sample: &Path) -> Result<(), Failure> {
    let reading = reading(None)?;
    for (at, raw) in messages_of(sample)?.into_iter().enumerate() {
        let message = Message::parse(raw, &reading);
        let message = message.map_err(|error| Failure(error.to_string()))?;
        let before = Mapper::new(None).map(&message, site);
        let after = Mapper::new(Some(overlay)).map(&message, site);
        println!("{}, message {}:", sample.display(), at + 1);
        let text = |mapped: &Mapped| -> Vec<String> {
            let each = mapped.resources.iter().flat_map(|made| {
                let role = std::iter::once(made.role.clone());
                let lines = pretty(&made.json);
                let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
                role.chain(lines)
            });
            each.collect()
        };
        let changes = difference(&text(&before), &text(&after));
        changes.iter().for_each(|line| println!("  {line}"));
        let reached = |mapped: &Mapped| -> BTreeSet<String> {
            let reached = mapped
                .fields
                .iter()
                .filter(|field| !field.reached.is_empty());
            reached.map(|field| field.name.clone()).collect()
        };
        let (before, after) = (reached(&before), reached(&after));
        for name in after.difference(&before) {
            println!("  {name} reaches FHIR");
        }
        for name in before.difference(&after) {
            println!("  {name} no longer reaches FHIR");
        }
        if changes.is_empty() {
            println!("  no change");
        }
    }
    Ok(())
}

/// Lines that go (`-`) and come (`+`), by the longest common part.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_u32; after.len() + 1]; before.len() + 1];
    for (row, old) in before.iter().enumerate().rev() {
        for (column, new) in after.iter().enumerate().rev() {
            common[row][column] = match old == new {
                true => common[row + 1][column + 1] + 1,
                false => common[row + 1][column].max(common[row][column + 1]),
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut found = Vec::new();
    loop {
        match (before.get(row), after.get(column)) {
            (Some(old), Some(new)) if old == new => {
                row += 1;
                column += 1;
            }
            (Some(old), new)
                if new.is_none() || common[row + 1][column] >= common[row][column + 1] =>
            {
                found.push(format!("- {old}"));
                row += 1;
            }
            (_, Some(new)) => {
                found.push(format!("+ {new}"));
                column += 1;
            }
            _ => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_goes_and_comes() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (before, after, expected) in [
            ("a b c", "a b c", ""),
            ("a b c", "a x c", "- b,+ x"),
            ("a b", "a b c", "+ c"),
            ("a b c", "c", "- a,- b"),
        ] {
            let found = difference(&lines(before), &lines(after));
            assert_eq!(found.join(","), expected);
        }
    }
}
