//! Which files an import reads, in which order, and how.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use aws_lc_rs::digest;

/// One file to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes on disk.
    pub size: u64,
    /// What is in it.
    pub format: Format,
    /// How it is packed.
    pub packing: Packing,
    /// Others refer to its content: it is read before them.
    pub leads: bool,
    /// Every Bundle in it is a resource to store, as in what `export` writes of Bundles.
    pub stores_bundles: bool,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON text: a Bundle or a resource.
    Json,
    /// One JSON text a line.
    Lines,
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// All importable files under `paths`: folders are searched through. Leading files come first,
/// the rest in the order of their names.
///
/// # Errors
/// A path does not exist or cannot be read, or names a file of another kind.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<Input>> {
    let mut found = Vec::new();
    for path in paths {
        let data = std::fs::metadata(path).map_err(|error| at(path, &error))?;
        if data.is_dir() {
            walk(path, &mut found)?;
        } else {
            let input = classify(path, data.len()).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "{}: not a .json, .ndjson or .jsonl file (or one of these with .gz or .zst)",
                        path.display()
                    ),
                )
            })?;
            found.push(input);
        }
    }
    found.sort_by(|a, b| (!a.leads, &a.path).cmp(&(!b.leads, &b.path)));
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<Input>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, &error))? {
        let path = entry?.path();
        let data = std::fs::metadata(&path).map_err(|error| at(&path, &error))?;
        if data.is_dir() {
            walk(&path, found)?;
        } else {
            found.extend(classify(&path, data.len()));
        }
    }
    Ok(())
}

fn classify(path: &Path, size: u64) -> Option<Input> {
    let name = path.file_name()?.to_str()?;
    let (stem, packing) = if let Some(stem) = name.strip_suffix(".gz") {
        (stem, Packing::Gzip)
    } else if let Some(stem) = name.strip_suffix(".zst") {
        (stem, Packing::Zstd)
    } else {
        (name, Packing::Plain)
    };
    let format = match stem.rsplit_once('.')?.1 {
        "json" => Format::Json,
        "ndjson" | "jsonl" => Format::Lines,
        _ => return None,
    };
    Some(Input {
        path: path.to_owned(),
        size,
        format,
        packing,
        // The files of Synthea that its patients' files refer to.
        leads: stem.starts_with("hospitalInformation")
            || stem.starts_with("practitionerInformation"),
        stores_bundles: stem == "Bundle.ndjson",
    })
}

impl Input {
    /// The file's text, unpacked. What is read of the file itself is added to `bytes`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(&self, bytes: &Arc<AtomicU64>) -> io::Result<Box<dyn BufRead + Send>> {
        let file = File::open(&self.path).map_err(|error| at(&self.path, &error))?;
        let counted = BufReader::with_capacity(
            256 << 10,
            Counted {
                file,
                bytes: Arc::clone(bytes),
            },
        );
        Ok(match self.packing {
            Packing::Plain => Box::new(counted),
            Packing::Gzip => Box::new(BufReader::with_capacity(
                256 << 10,
                flate2::bufread::MultiGzDecoder::new(counted),
            )),
            Packing::Zstd => Box::new(BufReader::with_capacity(
                256 << 10,
                zstd::stream::read::Decoder::with_buffer(counted)?,
            )),
        })
    }

    /// What tells the file's content, and what is done with it, from others, in hexadecimal: by it
    /// an import knows what it has done. The whole file is read; `None` if `stop` was set
    /// meanwhile.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn fingerprint(&self, stop: &AtomicBool) -> io::Result<Option<String>> {
        let mut file = File::open(&self.path).map_err(|error| at(&self.path, &error))?;
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&[
            u8::from(self.format == Format::Lines),
            u8::from(self.stores_bundles),
        ]);
        let mut part = vec![0; 256 << 10];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match file.read(&mut part) {
                Ok(0) => return Ok(Some(hex(&hash.finish().as_ref()[..16]))),
                Ok(read) => hash.update(&part[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(at(&self.path, &error)),
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_others_refer_to_come_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "Zoe.json",
            "notes.txt",
            "Ada.json.gz",
            "practitionerInformation1.json",
            "sub/Patient.ndjson",
            "hospitalInformation1.json",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        let names: Vec<String> = find(&[folder.path().to_owned()])
            .unwrap()
            .iter()
            .map(|input| {
                input
                    .path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "hospitalInformation1.json",
                "practitionerInformation1.json",
                "Ada.json.gz",
                "Zoe.json",
                "Patient.ndjson"
            ]
        );
    }

    #[test]
    fn a_file_of_another_kind_is_refused_when_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "x").unwrap();
        assert!(find(&[path]).unwrap_err().to_string().contains("notes.txt"));
    }

    #[test]
    fn a_fingerprint_is_of_the_whole_content_and_not_of_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let input = find(&[path]).unwrap().remove(0);
            input.fingerprint(&AtomicBool::new(false)).unwrap().unwrap()
        };
        let long = vec![b' '; 5 << 20];
        let mut changed = long.clone();
        changed[3 << 20] = b'\n';
        let first = fingerprint("a.ndjson", &long);
        assert_eq!(fingerprint("b.ndjson", &long), first);
        assert_ne!(fingerprint("a.ndjson", &changed), first);
        assert_ne!(fingerprint("Bundle.ndjson", &long), first);
        assert_ne!(fingerprint("a.json", &long), first);
    }
}
