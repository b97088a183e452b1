//! What keeps the server from starting is said in one line that names what to do.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use rotunda::store::{Options, Store};

#[path = "support/mod.rs"]
#[allow(dead_code)]
mod support;

fn serve(folder: &Path, store: &str, listen: &str) -> Output {
    Command::new("timeout")
        .args(["-s", "KILL", "20", env!("CARGO_BIN_EXE_rotunda")])
        .args(["serve", "--open", "--listen", listen])
        .args(["--admin-listen", "127.0.0.1:0", "--store", store])
        .current_dir(folder)
        .output()
        .unwrap()
}

fn is_refused(folder: &Path, store: &str, wanted: &[&str]) {
    let output = serve(folder, store, "127.0.0.1:0");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{store}: {told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    for wanted in wanted {
        assert!(told.contains(wanted), "{wanted} is not in: {told}");
    }
}

/// A database with a few resources in it.
fn made(folder: &Path, store: &str) {
    let lines: String = (0..200)
        .map(|n| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{n}\"}}\n"))
        .collect();
    fs::write(folder.join("patients.ndjson"), lines).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["import", "patients.ndjson", "--store", store])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    made(folder, "sqlite:good.db");
    let good = fs::read(folder.join("good.db")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("short.db", &good[..20_000]);
    write("text.db", &b"not a database\n".repeat(1_000));
    write("newer.db", &good);
    write("lost.db-wal", b"a log");
    fs::create_dir(folder.join("folder.db")).unwrap();
    let change = |name: &str, sql: &str| {
        let connection = rusqlite::Connection::open(folder.join(name)).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change("newer.db", "INSERT INTO migration VALUES (99, 'later')");
    change("other.db", "CREATE TABLE version (text)");
    for (file, wanted) in [
        ("short.db", &["is damaged", "restore it from a backup"][..]),
        ("text.db", &["is damaged", "restore it from a backup"]),
        ("newer.db", &["newer release", "use that release"]),
        ("other.db", &["another program", "name another file"]),
        ("lost.db", &["lost.db-wal is there", "put the file back"]),
        ("folder.db", &["must be a file"]),
        ("nowhere/a.db", &["folder is not there", "make it first"]),
        ("", &["must name a file"]),
    ] {
        is_refused(folder, &format!("sqlite:{file}"), wanted);
    }
    assert_eq!(fs::read(folder.join("lost.db-wal")).unwrap(), b"a log");
}

/// Only what fills a store makes one.
#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_by_what_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("empty.db"), "").unwrap();
    fs::write(folder.join("lost.db-wal"), "a log").unwrap();
    let none = support::postgres::database().await;
    for (store, wanted) in [
        (
            "sqlite:typo.db",
            "cannot open sqlite:typo.db: there is no such file",
        ),
        (
            "sqlite:empty.db",
            "cannot open sqlite:empty.db: the file is empty",
        ),
        ("sqlite:lost.db", "put the file back"),
        (&none, "the database holds no store"),
    ] {
        for command in [&["verify"][..], &["reindex"], &["export", "out"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_rotunda"))
                .args(command)
                .args(["--store", store])
                .current_dir(folder)
                .output()
                .unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
            assert!(told.contains(wanted), "{told}");
            assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
            assert_eq!(fs::read(folder.join("empty.db")).unwrap(), b"");
        }
    }
}

#[test]
fn what_is_announced_says_where_the_server_itself_listens() {
    let folder = tempfile::tempdir().unwrap();
    let base = "https://fhir.example.org/fhir";
    for (listen, base_url, parts) in [
        (
            "127.0.0.1:0",
            Some(base),
            [base, "(listening on 127.0.0.1:"],
        ),
        (
            "localhost:0",
            None,
            ["http://127.0.0.1:", "(admin: http://127.0.0.1:"],
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        command
            .args(["serve", "--open", "--store", "sqlite:a.db"])
            .args(["--listen", listen, "--admin-listen", "localhost:0"])
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        if let Some(base_url) = base_url {
            command.env("ROTUNDA__HTTP__BASE_URL", base_url);
        }
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

#[tokio::test]
async fn a_database_is_open_once_under_all_its_names_and_for_its_owner_only() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let inside = folder.join("inside");
    fs::create_dir(&inside).unwrap();
    symlink(folder.join("real.db"), inside.join("link.db")).unwrap();
    symlink(&inside, folder.join("way")).unwrap();
    // A link to what is not there yet makes it.
    let url = format!("sqlite:{}", inside.join("link.db").display());
    let store = Store::open(&url, &Options::default()).await.unwrap();
    store.set_setting("a", b"1").await.unwrap();
    let mut files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("real"))
        .collect();
    files.sort();
    assert_eq!(
        files,
        ["real.db", "real.db-shm", "real.db-wal", "real.db.lock"]
    );
    for name in files {
        let mode = fs::metadata(folder.join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    for name in ["real.db", "inside/link.db", "way/link.db", "way/../real.db"] {
        is_refused(
            folder,
            &format!("sqlite:{name}"),
            &["another process has it"],
        );
    }
    fs::hard_link(folder.join("real.db"), inside.join("hard.db")).unwrap();
    is_refused(&inside, "sqlite:hard.db", &["second name", "hard link"]);
    store.close().await;
}

#[test]
fn an_address_that_is_taken_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = serve(folder.path(), "sqlite:a.db", &address);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains(&address) && told.contains("choose another port"),
        "{told}"
    );
    assert!(!folder.path().join("a.db").exists());
}

#[test]
fn with_a_certificate_the_base_url_has_tls_and_without_its_file_there_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("a.pem"), made.cert.pem()).unwrap();
    fs::write(
        folder.path().join("b.pem"),
        made.signing_key.serialize_pem(),
    )
    .unwrap();
    let command = |key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        command
            .args(["serve", "--open", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--store", "sqlite:a.db"])
            .env(
                "ROTUNDA__HTTP__TLS",
                format!("{{ certificate = \"a.pem\", key = \"{key}\" }}"),
            )
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        command
    };
    let output = command("missing.pem").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("http.tls.key: missing.pem: cannot be read"),
        "{told}"
    );
    assert!(!folder.path().join("a.db").exists());
    let mut server = command("b.pem").spawn().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(line.contains("on https://127.0.0.1:"), "{line}");
}

#[test]
fn an_address_that_others_reach_is_refused_without_tls_or_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let output = Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(["serve", "--listen", listen, "--store", "sqlite:a.db"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        for part in [
            "http.listen",
            listen,
            "without TLS",
            "[http.tls]",
            "behind_proxy = true",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(!folder.path().join("a.db").exists());
    }
}

#[tokio::test]
async fn a_postgres_that_cannot_be_used_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let newer = support::postgres::database().await;
    made(folder, &newer);
    let other = support::postgres::database().await;
    for (url, sql) in [
        (&newer, "INSERT INTO migration VALUES (99, 'later')"),
        (&other, "CREATE TABLE version (text text)"),
    ] {
        use sqlx::{Connection as _, Executor as _};
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    }
    let (server, _) = newer.rsplit_once('/').unwrap();
    let nobody = server.replace("//postgres", "//nobody:secret");
    for (url, wanted) in [
        (newer.clone(), &["newer release", "use that release"][..]),
        (other, &["already exists", "a database of its own"]),
        (format!("{server}/none"), &["does not exist", "createdb"]),
        (
            format!("{nobody}/none"),
            &["nobody:***@", "check user and password"],
        ),
        (
            "postgres://127.0.0.1:1/none".to_owned(),
            &["Connection refused"],
        ),
    ] {
        is_refused(folder, &url, wanted);
    }
}
