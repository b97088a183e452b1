//! Packs the definitions of R4 (`../resources/r4/`) into one file of compressed blocks and a static
//! index of them, for `profiles::definitions`.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write,
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

type Failure = Box<dyn Error>;

const SOURCE: &str = "../resources/r4";

const FILES: [&str; 9] = [
    "extension-definitions",
    "other-definitions",
    "profiles-others",
    "profiles-resources",
    "profiles-types",
    "search-parameters",
    "v2-tables",
    "v3-codesystems",
    "valuesets",
];

/// The types that are served.
const SERVED: [&str; 6] = [
    "CodeSystem",
    "CompartmentDefinition",
    "OperationDefinition",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
];

/// When R4 4.0.1 was published.
const LAST_UPDATED: &str = "2019-10-31T22:29:23.356Z";

/// Definitions are compressed together until they have this many bytes: more compresses better,
/// less is faster to read one from.
const BLOCK: usize = 256 * 1024;

/// Compression of blocks: higher levels take many times as long for a few per cent.
const LEVEL: i32 = 9;

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow)]
    entry: Vec<Entry<'t>>,
}

#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    resource: &'t RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header<'t> {
    resource_type: String,
    #[serde(borrow)]
    id: &'t RawValue,
    #[serde(borrow)]
    meta: Option<&'t RawValue>,
    url: Option<String>,
    version: Option<String>,
    name: Option<String>,
}

struct Definition {
    url: String,
    version: String,
    name: String,
    body: String,
}

fn main() -> Result<(), Failure> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    let mut definitions = BTreeMap::new();
    for file in FILES {
        let path = Path::new(SOURCE).join(format!("{file}.json.zst"));
        let text = zstd::decode_all(BufReader::new(File::open(path)?))?;
        let bundle: Bundle = serde_json::from_slice(&text)?;
        for entry in bundle.entry {
            add(&mut definitions, file, entry.resource.get())?;
        }
    }
    let out = env::var("OUT_DIR")?;
    let (blob, code) = pack(&definitions)?;
    fs::write(Path::new(&out).join("definitions.zst"), blob)?;
    fs::write(Path::new(&out).join("definitions.rs"), code)?;
    Ok(())
}

fn add(
    definitions: &mut BTreeMap<(String, String), Definition>,
    file: &str,
    text: &str,
) -> Result<(), Failure> {
    let header: Header = serde_json::from_str(text)?;
    let id: String = serde_json::from_str(header.id.get())?;
    // Beside the definitions proper there are examples and drafts.
    let aside = file == "other-definitions"
        && (header.resource_type == "SearchParameter" || id.starts_with("example"));
    if aside || !SERVED.contains(&header.resource_type.as_str()) {
        return Ok(());
    }
    let missing = |what: &str| format!("{}/{id} has no {what}", header.resource_type);
    let definition = Definition {
        url: header.url.clone().ok_or_else(|| missing("url"))?,
        version: header.version.clone().unwrap_or_default(),
        name: header.name.clone().ok_or_else(|| missing("name"))?,
        body: with_meta(text, &header)?,
    };
    let key = (header.resource_type, id);
    match definitions.insert(key, definition) {
        Some(twice) => Err(format!("{} is there twice", twice.url).into()),
        None => Ok(()),
    }
}

/// The text with version and time in `meta`; all else stays as it is.
fn with_meta(text: &str, header: &Header) -> Result<String, Failure> {
    let span = |part: &str| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        start..start + part.len()
    };
    let mut meta = format!(r#"{{"versionId":"1","lastUpdated":"{LAST_UPDATED}""#);
    let (before, after) = match header.meta {
        Some(old) => {
            let members: Map<String, Value> = serde_json::from_str(old.get())?;
            for (name, value) in &members {
                if name != "versionId" && name != "lastUpdated" {
                    write!(meta, r#","{name}":{value}"#)?;
                }
            }
            let span = span(old.get());
            (text[..span.start].to_owned(), &text[span.end..])
        }
        None => {
            let end = span(header.id.get()).end;
            (format!(r#"{},"meta":"#, &text[..end]), &text[end..])
        }
    };
    Ok(format!("{before}{meta}}}{after}"))
}

/// The compressed blocks, and the code of the index over them.
fn pack(
    definitions: &BTreeMap<(String, String), Definition>,
) -> Result<(Vec<u8>, String), Failure> {
    let mut blocks: Vec<String> = vec![String::new()];
    let mut rows = String::new();
    let mut by_url = Vec::new();
    for (at, ((kind, id), definition)) in definitions.iter().enumerate() {
        if blocks.last().is_some_and(|block| block.len() >= BLOCK) {
            blocks.push(String::new());
        }
        let number = blocks.len() - 1;
        let block = &mut blocks[number];
        let start = block.len();
        block.push_str(&definition.body);
        let Definition {
            url, version, name, ..
        } = definition;
        writeln!(
            rows,
            "d({kind:?}, {id:?}, {url:?}, {version:?}, {name:?}, {number}, {start}, {}),",
            block.len()
        )?;
        by_url.push((kind, url, at));
    }
    by_url.sort();
    let by_url: Vec<_> = by_url.into_iter().map(|(_, _, at)| at).collect();

    let mut blob = Vec::new();
    let mut spans = Vec::new();
    for block in &blocks {
        let start = blob.len();
        blob.extend(zstd::encode_all(block.as_bytes(), LEVEL)?);
        spans.push((start, blob.len()));
    }
    let count = definitions.len();
    let code = format!(
        "static ALL: [Definition; {count}] = [\n{rows}];\n\
         static BY_URL: [u16; {count}] = {by_url:?};\n\
         static BLOCKS: [(usize, usize); {}] = {spans:?};\n",
        spans.len()
    );
    Ok((blob, code))
}
