//! `rotunda export`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use flate2::{Compression, write::GzEncoder};
use resources::model::ResourceType;

use super::{Failure, Settings};
use crate::{
    access::Access,
    server::{self, Purpose},
    store::{Indexed, Store},
};

static ACCESS: Access = Access::system("an operator exports the store");

/// Resources read at a time.
const BATCH: usize = 500;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder for the files; made if it is not there, and must hold no .ndjson files
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only these types, like Patient,Observation
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Compress the files (.ndjson.gz)
    #[arg(long)]
    gzip: bool,
    #[command(flatten)]
    settings: Settings,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let types = kinds(&arguments.types)?;
    let config = arguments.settings.begin()?;
    let store = server::open_store(&config, Purpose::Maintain).await?;
    let counts = match prepare(&arguments.folder) {
        Ok(()) => write_all(&store, &types, &arguments).await,
        Err(failure) => Err(failure),
    };
    store.close().await;
    let counts = counts?;
    for (kind, count) in &counts {
        println!("{kind}: {count}");
    }
    println!(
        "{} resources in {}",
        counts.values().sum::<u64>(),
        arguments.folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn kinds(names: &[String]) -> Result<Vec<ResourceType>, Failure> {
    if names.is_empty() {
        return Ok(ResourceType::all().collect());
    }
    names
        .iter()
        .map(|name| {
            ResourceType::from_name(name)
                .ok_or_else(|| Failure(format!("{name} is not an R4 resource type")))
        })
        .collect()
}

fn prepare(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name.to_string_lossy().contains(".ndjson") {
            return Err(Failure(format!(
                "{} already holds {}; export into an empty folder",
                folder.display(),
                name.display()
            )));
        }
    }
    Ok(())
}

async fn write_all(
    store: &Store,
    types: &[ResourceType],
    arguments: &Arguments,
) -> Result<BTreeMap<ResourceType, u64>, Failure> {
    let mut counts = BTreeMap::new();
    for kind in types {
        let first = kind.number() << 44;
        let end = (kind.number() + 1) << 44;
        let mut after = first - 1;
        let mut output = None;
        let mut count = 0_u64;
        loop {
            let found = store.indexed(after, BATCH, &ACCESS).await?;
            let Some(last) = found.last() else { break };
            after = last.head.rid;
            let of_kind: Vec<&Indexed> =
                found.iter().filter(|found| found.head.rid < end).collect();
            if of_kind.is_empty() {
                break;
            }
            let file = match &mut output {
                Some(file) => file,
                none => none.insert(Output::create(&arguments.folder, *kind, arguments.gzip)?),
            };
            for found in &of_kind {
                file.write_all(&found.stored()?.body)?;
                file.write_all(b"\n")?;
            }
            count += of_kind.len() as u64;
            if after >= end {
                break;
            }
        }
        if let Some(output) = output {
            output.finish()?;
            counts.insert(*kind, count);
        }
    }
    Ok(counts)
}

/// A file that appears under its name when it is complete.
struct Output {
    writer: Writer,
    temporary: PathBuf,
    path: PathBuf,
}

enum Writer {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl Output {
    fn create(folder: &Path, kind: ResourceType, gzip: bool) -> io::Result<Self> {
        let extension = if gzip { "ndjson.gz" } else { "ndjson" };
        let path = folder.join(format!("{kind}.{extension}"));
        let temporary = folder.join(format!("{kind}.{extension}.part"));
        let file = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        let writer = if gzip {
            Writer::Gzip(GzEncoder::new(file, Compression::default()))
        } else {
            Writer::Plain(file)
        };
        Ok(Self {
            writer,
            temporary,
            path,
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.writer {
            Writer::Plain(file) => file.write_all(bytes),
            Writer::Gzip(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        let file = match self.writer {
            Writer::Plain(file) => file,
            Writer::Gzip(file) => file.finish()?,
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(self.temporary, self.path)
    }
}
