//! What of a folder of messages reaches FHIR: `cargo test -p mllp --bench coverage -- FOLDER [FILE…]`.
//! With parts of names after the folder it prints what each such file becomes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use mllp::{
    Message,
    map::{Mapped, Mapper, Site},
    message::Reading,
};
use resources::Doc;
use serde_json::Value as Json;

#[derive(Default)]
struct Count {
    valued: usize,
    reached: usize,
    missing: BTreeMap<String, usize>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("coverage FOLDER [FILE…]");
        return ExitCode::FAILURE;
    };
    let shown: Vec<String> = arguments.collect();
    let mapper = Mapper::new(None);
    for problem in mapper.problems() {
        println!("table: {problem}");
    }
    let site = Site::default();
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    files.sort();
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut invalid = 0;
    let (mut messages, mut resources) = (0, 0);
    for file in &files {
        let Ok(raw) = fs::read(file) else { continue };
        let name = file.display().to_string();
        let is_shown = shown.iter().any(|part| name.contains(part.as_str()));
        if !shown.is_empty() && !is_shown {
            continue;
        }
        let Ok(message) = Message::parse(Bytes::from(raw), &Reading::default()) else {
            continue;
        };
        let mapped = mapper.map(&message, &site);
        messages += 1;
        resources += mapped.resources.len();
        if is_shown {
            show(&name, &mapped);
        }
        for made in &mapped.resources {
            for issue in issues(&with_references(&made.json, &mapped).to_string()) {
                invalid += 1;
                println!("{name}: {} {issue}", made.role);
            }
        }
        if let Ok(wanted) = std::env::var("WHY") {
            let lost = mapped
                .fields
                .iter()
                .filter(|field| field.name == wanted && field.reached.is_empty());
            for _ in lost {
                println!("WHY {} {}", message.msh().field(9).raw(), name);
            }
        }
        for field in &mapped.fields {
            let (segment, _) = field.name.split_once('-').unwrap_or((&field.name, ""));
            let count = counts.entry(segment.to_owned()).or_default();
            count.valued += 1;
            match field.reached.is_empty() {
                true => *count.missing.entry(field.name.clone()).or_default() += 1,
                false => count.reached += 1,
            }
        }
    }
    println!("{messages} messages, {resources} resources, {invalid} issues");
    println!("| Segment | Fields with a value | In FHIR | In the raw message only | Most often |");
    println!("| --- | ---: | ---: | ---: | --- |");
    let (mut all, mut all_reached) = (0, 0);
    for (segment, count) in &counts {
        all += count.valued;
        all_reached += count.reached;
        let mut missing: Vec<_> = count.missing.iter().collect();
        missing.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let most: Vec<_> = missing
            .iter()
            .take(12)
            .map(|(name, count)| format!("{name} ({count})"))
            .collect();
        let (valued, reached) = (count.valued, count.reached);
        println!(
            "| {segment} | {valued} | {reached} | {} | {} |",
            valued - reached,
            most.join(", ")
        );
    }
    println!("| all | {all} | {all_reached} | {} | |", all - all_reached);
    ExitCode::SUCCESS
}

/// With references as they will be, so that their targets are checked.
fn with_references(json: &Json, mapped: &Mapped) -> Json {
    match json {
        Json::Object(map) => map
            .iter()
            .map(|(name, value)| {
                let place = value.as_str().and_then(|text| text.strip_prefix('#'));
                let place = place.filter(|_| name == "reference");
                let target = place.and_then(|place| place.parse::<usize>().ok());
                let value = match target.and_then(|target| mapped.resources.get(target)) {
                    Some(made) => {
                        let kind = made.json["resourceType"].as_str().unwrap_or_default();
                        Json::String(format!("{kind}/{}", place.unwrap_or_default()))
                    }
                    None => with_references(value, mapped),
                };
                (name.clone(), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(items) => items
            .iter()
            .map(|item| with_references(item, mapped))
            .collect(),
        _ => json.clone(),
    }
}

fn issues(json: &str) -> Vec<String> {
    match Doc::parse(json) {
        Ok(doc) => profiles::validate(&doc)
            .into_iter()
            .map(|issue| format!("{issue:?}"))
            .collect(),
        Err(error) => vec![format!("{error:?}")],
    }
}

fn show(name: &str, mapped: &Mapped) {
    println!("== {name}");
    for (at, made) in mapped.resources.iter().enumerate() {
        println!(
            "#{at} {} (segment {}) {:?}\n{:#}",
            made.role, made.segment, made.nulls, made.json
        );
    }
    for note in &mapped.notes {
        println!("note {}: {}", note.place, note.text);
    }
    for field in mapped
        .fields
        .iter()
        .filter(|field| field.reached.is_empty())
    {
        println!("raw only {}", field.name);
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
