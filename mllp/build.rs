//! Compiles HL7's tables (`v2-to-fhir/`) with the corrections, decisions and tables of our own
//! into one static table. What cannot be read fails the build with file and line.

#[path = "src/map"]
mod map {
    #![allow(dead_code)]
    pub mod condition;
    pub mod csv;
    pub mod expression;
    pub mod path;
    pub mod table;
}

use std::{
    borrow::Cow,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use map::{
    condition, csv, expression, path,
    table::{Code, Columns, Row, Tables},
};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=v2-to-fhir");
    println!("cargo::rerun-if-changed=src/map");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("v2-to-fhir");
    let mut tables = Tables {
        messages: rows(&root, "messages")?,
        segments: rows(&root, "segments")?,
        types: rows(&root, "datatypes")?,
        codes: codes(&root)?,
    };
    let mut wrong = Vec::new();
    change(&root, "errata.csv", &mut tables, &mut wrong)?;
    tables.messages.extend(rows_of(&root, "own/messages.csv")?);
    tables.segments.extend(rows_of(&root, "own/segments.csv")?);
    tables.types.extend(rows_of(&root, "own/datatypes.csv")?);
    tables.codes.extend(codes_of(&root, "own/codes.csv")?);
    decide(&root, &mut tables, &mut wrong)?;
    check(&tables, &mut wrong);
    if !wrong.is_empty() {
        return Err(format!("v2-to-fhir/\n{}", wrong.join("\n")).into());
    }
    let mut code = String::new();
    for (name, rows) in [
        ("MESSAGES", &tables.messages),
        ("SEGMENTS", &tables.segments),
        ("TYPES", &tables.types),
    ] {
        write_rows(&mut code, name, rows)?;
    }
    write_codes(&mut code, &tables.codes)?;
    write_lists(&mut code, &root)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("tables.rs"), code)?;
    Ok(())
}

fn read(root: &Path, name: &str) -> Result<Vec<csv::Record>, Failure> {
    let text = fs::read(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&text);
    csv::read(&text).map_err(|error| format!("{name}: {error}").into())
}

/// The files of a folder, as `segments/PID[Patient].csv`.
fn files(root: &Path, folder: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".csv") {
            names.push(format!("{folder}/{name}"));
        }
    }
    names.sort();
    Ok(names)
}

fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.strip_suffix(".csv").unwrap_or(file)
}

fn split(records: &[csv::Record], name: &str) -> Result<(Columns, usize), Failure> {
    let mut headers = records.iter().take(3).enumerate();
    headers
        .find_map(|(at, record)| {
            let has = record.fields.iter().any(|field| {
                let plain = map::table::plain(field);
                plain.starts_with("computable")
            });
            Some((Columns::of(record).filter(|_| has)?, at + 1))
        })
        .ok_or_else(|| format!("{name}: there is no line of headers").into())
}

fn rows(root: &Path, folder: &str) -> Result<Vec<Row>, Failure> {
    let mut all = Vec::new();
    for name in files(root, folder)? {
        all.extend(rows_of(root, &name)?);
    }
    Ok(all)
}

fn rows_of(root: &Path, name: &str) -> Result<Vec<Row>, Failure> {
    let records = read(root, name)?;
    let (columns, first) = split(&records, name)?;
    let is_message = name.contains("messages");
    let rows = records[first..]
        .iter()
        .map(|record| columns.row(stem(name), record, name));
    Ok(rows
        .filter(|row| match is_message {
            // Of a structure all positions count, mapped or not.
            true => !row.place.is_empty() && !row.table.is_empty(),
            false => row.is_mapped(),
        })
        .collect())
}

fn codes(root: &Path) -> Result<Vec<Code>, Failure> {
    let mut all = Vec::new();
    for name in files(root, "codesystems")? {
        all.extend(codes_of(root, &name)?);
    }
    Ok(all)
}

fn codes_of(root: &Path, name: &str) -> Result<Vec<Code>, Failure> {
    let records = read(root, name)?;
    let (columns, first) = split(&records, name)?;
    let codes = records[first..]
        .iter()
        .map(|record| columns.code(stem(name), record, name));
    Ok(codes.filter(|code| !code.from.is_empty()).collect())
}

fn change(
    root: &Path,
    name: &str,
    tables: &mut Tables,
    wrong: &mut Vec<String>,
) -> Result<(), Failure> {
    let records = read(root, name)?;
    let (columns, first) = split(&records, name)?;
    for record in &records[first..] {
        let done = columns
            .change(record, name)
            .and_then(|change| tables.change(&change));
        if let Err(error) = done {
            wrong.push(format!("{name}:{}: {error}", record.line));
        }
    }
    Ok(())
}

/// Takes the decisions on conditions in prose: `decisions.csv` has table, place (either may be
/// empty), the prose, and `take`, `skip` or a condition.
fn decide(root: &Path, tables: &mut Tables, wrong: &mut Vec<String>) -> Result<(), Failure> {
    let records = read(root, "decisions.csv")?;
    let mut used = vec![false; records.len()];
    for rows in [
        &mut tables.messages,
        &mut tables.segments,
        &mut tables.types,
    ] {
        for row in rows {
            if row.narrative.is_empty() || !row.is_mapped() {
                continue;
            }
            let found = records.iter().position(|record| {
                let get = |at: usize| record.fields.get(at).map_or("", String::as_str);
                (get(0).is_empty() || get(0) == row.table)
                    && (get(1).is_empty() || get(1) == row.place || get(1) == row.target)
                    && get(2) == row.narrative
            });
            let Some(found) = found else {
                let (origin, prose) = (&row.origin, &row.narrative);
                wrong.push(format!("{origin}: no decision on `{prose}`"));
                continue;
            };
            used[found] = true;
            match records[found].fields.get(3).map_or("", String::as_str) {
                "take" => {}
                "skip" => {
                    row.target = Cow::Borrowed("");
                    row.map = Cow::Borrowed("");
                }
                condition => row.condition = Cow::Owned(condition.to_owned()),
            }
        }
    }
    for (record, used) in records.iter().zip(used).skip(1) {
        if !used {
            let line = record.line;
            wrong.push(format!("decisions.csv:{line}: no row has this condition"));
        }
    }
    tables.segments.retain(Row::is_mapped);
    tables.types.retain(Row::is_mapped);
    Ok(())
}

fn check(tables: &Tables, wrong: &mut Vec<String>) {
    let messages = tables.messages.iter().map(|row| (row, true));
    let others = tables.segments.iter().chain(&tables.types);
    for (row, is_message) in messages.chain(others.map(|row| (row, false))) {
        if !row.is_mapped() {
            continue;
        }
        let mut failed = |error: String| wrong.push(format!("{}: {error}", row.origin));
        if !row.condition.is_empty()
            && let Err(error) = condition::parse(&row.condition)
        {
            failed(error);
        }
        if !row.assignment.is_empty()
            && let Err(error) = expression::parse(&row.assignment)
        {
            failed(error);
        }
        if !is_message && let Err(error) = path::parse(&row.target) {
            failed(error);
        }
    }
}

fn write_rows(code: &mut String, name: &str, rows: &[Row]) -> Result<(), Failure> {
    writeln!(code, "pub static {name}: &[Row] = &[")?;
    for row in rows {
        write!(code, "r([")?;
        for text in [
            &row.table,
            &row.place,
            &row.data_type,
            &row.condition,
            &row.target,
            &row.target_type,
            &row.map,
            &row.vocabulary,
            &row.assignment,
            &row.references,
            &row.origin,
        ] {
            write!(code, "{text:?},")?;
        }
        writeln!(code, "],{},{}),", row.many, row.group)?;
    }
    writeln!(code, "];")?;
    Ok(())
}

fn write_codes(code: &mut String, codes: &[Code]) -> Result<(), Failure> {
    writeln!(code, "pub static CODES: &[Code] = &[")?;
    for one in codes {
        writeln!(
            code,
            "c([{:?},{:?},{:?},{:?},{:?},{:?},{:?}]),",
            one.table, one.from, one.from_system, one.code, one.display, one.system, one.origin
        )?;
    }
    writeln!(code, "];")?;
    Ok(())
}

/// Lists of our own with two or more columns, as they are.
fn write_lists(code: &mut String, root: &Path) -> Result<(), Failure> {
    for (name, file) in [
        ("STRUCTURES", "own/structures.csv"),
        ("SYSTEMS", "own/systems.csv"),
        ("DEFAULTS", "own/defaults.csv"),
    ] {
        writeln!(code, "pub static {name}: &[[&str; 3]] = &[")?;
        for record in read(root, file)?.iter().skip(1) {
            let get = |at: usize| record.fields.get(at).map_or("", String::as_str);
            writeln!(code, "[{:?},{:?},{:?}],", get(0), get(1), get(2))?;
        }
        writeln!(code, "];")?;
    }
    Ok(())
}
