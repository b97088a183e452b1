//! A PostgreSQL cluster for tests, made in a temporary folder and gone with the test program.
//!
//! `ROTUNDA_TEST_POSTGRES` (the address of a server where databases may be created) uses that
//! server instead.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// Makes the cluster, runs the server, and ends both when its standard input does: when the
/// test program has ended, however it did.
const SCRIPT: &str = r#"
set -e
trap 'rm -rf "$DIR"' EXIT
"$BIN/initdb" -D "$DIR/data" -U postgres --auth=trust -E UTF8 --locale=C --no-sync >"$DIR/log" 2>&1
"$BIN/postgres" -D "$DIR/data" -k "$DIR" -p "$PORT" -c listen_addresses=127.0.0.1 \
  -c fsync=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=64MB \
  -c autovacuum=off >>"$DIR/log" 2>&1 &
SERVER=$!
for i in $(seq 600); do
  "$BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT" && break
  kill -0 $SERVER || { cat "$DIR/log"; exit 1; }
  sleep 0.05
done
echo ready
cat >/dev/null
kill -INT $SERVER
wait $SERVER || true
"#;

/// A running server.
pub struct Cluster {
    base: String,
    _child: Option<Child>,
}

/// The address of a new, empty database.
pub async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let base = &CLUSTER.get_or_init(Cluster::start).base;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    let mut connection = PgConnection::connect(&format!("{base}/postgres"))
        .await
        .unwrap();
    let statement = format!("CREATE DATABASE {name}");
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
    connection.close().await.unwrap();
    format!("{base}/{name}")
}

impl Cluster {
    /// The server that the environment names, or a new one.
    pub fn start() -> Self {
        match std::env::var("ROTUNDA_TEST_POSTGRES") {
            Ok(url) => Self {
                base: url.strip_suffix("/postgres").unwrap_or(&url).to_owned(),
                _child: None,
            },
            Err(_) => Self::make(),
        }
    }

    fn make() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("rotunda-pg-")
            .tempdir()
            .unwrap()
            .keep();
        let port = free_port();
        let mut command = as_ordinary_user(&folder);
        let mut child = command
            .args(["sh", "-c", SCRIPT])
            .env("DIR", &folder)
            .env("BIN", binaries())
            .env("PORT", port.to_string())
            .env_remove("PGHOST")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        while output.read_line(&mut said).unwrap() > 0 && !said.ends_with("ready\n") {}
        assert!(
            said.ends_with("ready\n"),
            "PostgreSQL did not start:\n{said}"
        );
        Self {
            base: format!("postgres://postgres@127.0.0.1:{port}"),
            _child: Some(child),
        }
    }
}

/// PostgreSQL refuses to run as root: then it runs as the user `postgres` of its package.
fn as_ordinary_user(folder: &Path) -> Command {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(folder).unwrap().uid() != 0 {
        return Command::new("env");
    }
    let owned = Command::new("chown")
        .arg("postgres")
        .arg(folder)
        .status()
        .unwrap();
    assert!(
        owned.success(),
        "root needs a user postgres to run PostgreSQL as"
    );
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The folder of the newest server that is installed.
fn binaries() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| {
            let path = version.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, path.join("bin")))
        })
        .collect();
    found.sort();
    let Some((_, newest)) = found.pop() else {
        panic!("PostgreSQL's server is not installed below /usr/lib/postgresql")
    };
    newest
}
