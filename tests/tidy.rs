//! The rules of the source that no compiler checks: who imports whom, where SQL may stand, how
//! long a file may be, which calls are not made.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Modules of the server, and which others each may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("audit", &["access", "clock", "key_file", "store"]),
    ("key_file", &[]),
    ("clock", &[]),
    ("limits", &[]),
    ("fetch", &["tls"]),
    ("mail", &[]),
    ("network", &[]),
    ("config", &["auth", "fetch", "limits", "network"]),
    ("search", &["access", "limits"]),
    ("scheduling", &[]),
    ("tls", &[]),
    (
        "store",
        &["access", "clock", "limits", "scheduling", "search"],
    ),
    (
        "engine",
        &[
            "access",
            "audit",
            "clock",
            "limits",
            "scheduling",
            "search",
            "store",
        ],
    ),
    (
        "auth",
        &[
            "access", "audit", "clock", "engine", "fetch", "key_file", "limits", "network", "store",
        ],
    ),
    (
        "http",
        &[
            "access", "audit", "auth", "clock", "engine", "fetch", "hl7", "limits", "mail",
            "network", "tls",
        ],
    ),
    (
        "hl7",
        &["access", "clock", "engine", "limits", "network", "tls"],
    ),
    ("import", &["access", "engine", "store"]),
    ("upkeep", &["access", "store"]),
];

/// Modules that may know all others: the composition and the program.
const COMPOSITION: &[&str] = &["lib", "main", "cli", "server"];

/// Crates without I/O, clock, threads or randomness.
const PURE: &[&str] = &["resources", "profiles", "mllp"];

const LONGEST_FILE: usize = 700;

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let module = module_of(&file.path);
        if COMPOSITION.contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{module}: not in the table of tests/tidy.rs"));
            continue;
        };
        for import in imports(&file.production()) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: imports crate::{import}", file.path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_pure_crates_import_nothing_of_ours_and_do_no_io() {
    let mut wrong = Vec::new();
    for (name, own) in [
        ("resources", ["profiles", "rotunda"]),
        ("profiles", ["rotunda", "conformance"]),
    ] {
        let manifest = read(&root().join(name).join("Cargo.toml"));
        for dependency in own {
            if manifest.lines().any(|line| line.starts_with(dependency)) {
                wrong.push(format!("{name}/Cargo.toml: depends on {dependency}"));
            }
        }
    }
    for name in PURE {
        for file in sources(&format!("{name}/src")) {
            let code = file.production();
            for call in [
                "tokio",
                "std::fs",
                "std::net",
                "std::thread",
                "std::time",
                "std::env",
                "rand::",
            ] {
                if code.contains(call) {
                    wrong.push(format!("{}: {call}", file.path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn sql_stands_in_the_store_only() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        if module_of(&file.path) == "store" {
            continue;
        }
        let code = file.production();
        for word in [
            "sqlx::",
            "rusqlite::",
            "SELECT ",
            "INSERT INTO ",
            "DELETE FROM ",
            "CREATE TABLE ",
            " SET ",
        ] {
            if code.contains(word) {
                wrong.push(format!("{}: {word}", file.path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = all_sources()
        .into_iter()
        .filter(|file| file.text.lines().count() > LONGEST_FILE)
        .map(|file| {
            format!(
                "{}: {} lines",
                file.path.display(),
                file.text.lines().count()
            )
        })
        .collect();
    assert_eq!(long, Vec::<String>::new());
    let map = read(&root().join("ARCHITECTURE.md")).lines().count();
    assert!(map <= 200, "ARCHITECTURE.md has {map} lines");
}

#[test]
fn calls_that_are_not_made() {
    let mut wrong = Vec::new();
    for file in all_sources() {
        let path = file.path.display().to_string();
        let code = file.production();
        let server = path.starts_with("src/") || PURE.iter().any(|name| path.starts_with(name));
        let program = path.starts_with("src/cli") || path == "src/main.rs";
        let mut calls = vec!["unsafe ", "dbg!(", "todo!(", "unimplemented!("];
        if server
            && !path.ends_with("build.rs")
            && !["/benches/", "/examples/"]
                .iter()
                .any(|kind| path.contains(kind))
        {
            if !program {
                calls.extend(["println!(", "eprintln!(", "process::exit"]);
            }
            if path != "src/clock.rs" {
                calls.push("SystemTime::now");
            }
        }
        for call in calls {
            if let Some(line) = code.lines().find(|line| line.contains(call)) {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn modules_are_named_after_what_they_do() {
    let vague: Vec<PathBuf> = all_sources()
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            path.components().any(|part| {
                let name = part.as_os_str().to_string_lossy();
                [
                    "utils", "util", "helpers", "helper", "manager", "common", "misc",
                ]
                .contains(&name.trim_end_matches(".rs"))
            })
        })
        .collect();
    assert_eq!(vague, Vec::<PathBuf>::new());
}

#[test]
fn migrations_are_the_same_steps_on_both_databases() {
    let steps = |database: &str| -> BTreeSet<String> {
        fs::read_dir(root().join("migrations").join(database))
            .map(|entries| {
                entries
                    .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                    .collect()
            })
            .unwrap_or_default()
    };
    assert_eq!(steps("sqlite"), steps("postgres"));
}

struct Source {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The code without comments, and without the tests.
    fn production(&self) -> String {
        let path = self.path.to_string_lossy();
        if path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("tests/") {
            return String::new();
        }
        let mut code = String::new();
        let mut depth_in_tests = None::<String>;
        let mut attribute = false;
        for line in self.text.lines() {
            if let Some(indent) = &depth_in_tests {
                if line == format!("{indent}}}") {
                    depth_in_tests = None;
                }
                continue;
            }
            let trimmed = line.trim_start();
            if trimmed.starts_with("//") {
                continue;
            }
            if attribute && trimmed.starts_with("#[") {
                continue;
            }
            if attribute && line.ends_with('{') {
                depth_in_tests = Some(line[..line.len() - trimmed.len()].to_owned());
                attribute = false;
                continue;
            }
            if attribute {
                attribute = false;
                continue;
            }
            attribute = trimmed == "#[cfg(test)]";
            if !attribute {
                code.push_str(line);
                code.push('\n');
            }
        }
        code
    }
}

/// The modules after `crate::`, in paths and in nested `use` lists.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_name(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut expects_name = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expects_name = true,
                        c if expects_name && !c.is_whitespace() => {
                            found.extend(first_name(&list[at..]));
                            expects_name = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

fn module_of(path: &Path) -> String {
    path.components()
        .nth(1)
        .map(|part| {
            part.as_os_str()
                .to_string_lossy()
                .trim_end_matches(".rs")
                .to_owned()
        })
        .unwrap_or_default()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn all_sources() -> Vec<Source> {
    [
        "src",
        "resources",
        "profiles",
        "mllp",
        "conformance",
        "tests",
    ]
    .into_iter()
    .flat_map(sources)
    .collect()
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(folder)];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source {
                    path: path
                        .strip_prefix(root())
                        .map(Path::to_owned)
                        .unwrap_or_default(),
                    text: read(&path),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn imports_are_found_in_paths_and_lists() {
    let code = "use crate::{\n    access::Access,\n    search::{plan::Plan, x},\n};\nfn f() { crate::store::g(); other_crate::h(); }\n";
    assert_eq!(
        imports(code).into_iter().collect::<Vec<_>>(),
        ["access", "search", "store"]
    );
}
