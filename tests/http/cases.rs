//! Runs the files of `tests/cases`.

use std::path::{Path, PathBuf};

use crate::{case::Case, server::DATABASES};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

async fn run(area: &str) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder().join(area))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in files {
        let case = Case::read(&file);
        for database in DATABASES {
            let found = case.run(database).await;
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("{database:?}: {what}")),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

macro_rules! areas {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                run(stringify!($name)).await;
            }
        )*

        #[test]
        fn no_folder_of_cases_is_left_out() {
            let mut folders: Vec<String> = std::fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            folders.sort();
            assert_eq!(folders, [$(stringify!($name)),*]);
        }
    };
}

areas! {
    audit
    bundle
    conditional
    headers
    history
    metadata
    negotiation
    operation
    read
    routing
    search
    write
}
