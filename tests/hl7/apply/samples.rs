//! All samples: each is applied, or refused with a place and a code.

use std::path::Path;

use mllp::{Message, batch, header::Header, message::Reading};
use rotunda::hl7::{Applied, Failure};

use super::ward::Ward;
use crate::fixture::Database;

on_both_databases!(samples_of_our_own);

/// What must be refused, and what is no message to be applied.
const REFUSED: &[&str] = &[
    "bad_",
    "ack_",
    "rsp_",
    "qbp_",
    "qry_",
    "xml_",
    "batch_",
    "frame_",
    "delims_short",
];

async fn samples_of_our_own(database: Database) {
    let ward = Ward::new(database).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mllp/samples/own");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if REFUSED.iter().any(|start| name.starts_with(start)) || !name.ends_with(".hl7") {
            continue;
        }
        let raw = std::fs::read(&path).unwrap();
        let applied = match ALONE.contains(&name.as_str()) {
            true => Ward::new(database).await.hear(raw).await,
            false => ward.hear(raw).await,
        };
        if let Err(failure) = applied {
            wrong.push(format!("{name}: {failure:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(ward.fixture.differences().await, Vec::<String>::new());
}

/// What contradicts other samples: a visit's number or a person's that others have.
const ALONE: &[&str] = &["delims_custom_escape.hl7", "many_repeats.hl7"];

/// For the file of each of the other origins: nothing panics, and whatever is refused is so with a
/// place and a code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_of_others() {
    let ward = Ward::new(Database::Sqlite).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mllp/samples");
    let (mut done, mut refused) = (0, Vec::new());
    for origin in std::fs::read_dir(folder).unwrap() {
        let origin = origin.unwrap().path();
        if !origin.is_dir() || origin.ends_with("own") {
            continue;
        }
        let mut files: Vec<_> = std::fs::read_dir(&origin)
            .unwrap()
            .map(|one| one.unwrap().path())
            .collect();
        files.sort();
        for path in files.into_iter().filter(|path| path.is_file()) {
            let raw = std::fs::read(&path).unwrap();
            for message in batch::split(raw.into()).messages {
                let Ok(parsed) = Message::parse(message.raw.clone(), &Reading::default()) else {
                    continue;
                };
                if Header::of(&parsed).is_acknowledgement() {
                    continue;
                }
                match ward.hear(message.raw.to_vec()).await {
                    Ok(Applied { .. }) => done += 1,
                    Err(Failure::Later(why)) => panic!("{}: {why}", path.display()),
                    Err(Failure::Content(problems) | Failure::Refused(problems)) => {
                        for problem in &problems {
                            assert!(!problem.code.is_empty(), "{}: {problem:?}", path.display());
                        }
                        let name = path.strip_prefix(&origin).unwrap().display().to_string();
                        refused.push(format!("{name}: {problems:?}"));
                    }
                }
            }
        }
    }
    eprintln!(
        "{done} applied, {} refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    assert!(done > 150, "{done} applied");
}
