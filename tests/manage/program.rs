//! The program: a server in a folder of its own, and commands beside it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use conformance::client::{Base, Connection};
use serde_json::Value;

/// Within this time something that was taken away must be gone everywhere.
pub const SOON: Duration = Duration::from_secs(5);

/// A folder with a store.
pub struct Place {
    pub folder: PathBuf,
    pub store: String,
    /// By how many seconds the computer's clock is set, as far as the program sees.
    pub clock_off: i64,
    /// Goes with the last of the places.
    _kept: Option<tempfile::TempDir>,
}

impl Place {
    /// A new folder with an SQLite database that is not there yet.
    pub fn new() -> Self {
        Self::on("sqlite:a.db")
    }

    /// A new folder, and this store.
    pub fn on(store: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder: folder.path().to_owned(),
            store: store.to_owned(),
            clock_off: 0,
            _kept: Some(folder),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rotunda"));
        if self.clock_off != 0 {
            command
                .env("LD_PRELOAD", clock_that_is_set())
                .env("CLOCK_IS_OFF_BY", self.clock_off.to_string());
        }
        command
            .args(arguments)
            .args(["--store", &self.store])
            .current_dir(&self.folder);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command with something on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin: ChildStdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// What a command prints; it must succeed.
    pub fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8(output.stdout).unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {wrong}");
        told.trim_end().to_owned()
    }

    /// What a command prints as JSON; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_str(&self.told(&all)).unwrap()
    }

    /// Why a command fails.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeds");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A token that is printed alone.
    pub fn token(&self, arguments: &[&str]) -> String {
        let mut all = vec!["token"];
        all.extend(arguments);
        let token = self.told(&all);
        assert!(
            token.starts_with("at_") && token.lines().count() == 1,
            "{token}"
        );
        token
    }

    /// Starts a server.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        Server::start(self, arguments)
    }
}

/// A running server.
pub struct Server {
    child: Child,
    /// What stood on standard output until it was ready.
    pub told: Vec<String>,
    lines: Receiver<String>,
    pub log: PathBuf,
    pub base: String,
    pub admin: String,
}

impl Server {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let log = place.path(&format!("log-{}", next_number(&place.folder)));
        let mut all = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        all.extend(arguments);
        let mut child = place
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let announced = lines.recv_timeout(Duration::from_secs(60));
        let announced = announced.unwrap_or_else(|_| panic!("{}", read(&log)));
        let after = |mark: &str| {
            let (_, rest) = announced.split_once(mark).unwrap();
            rest.split([' ', ',', ')']).next().unwrap().to_owned()
        };
        let mut server = Self {
            base: after("FHIR R4 on "),
            admin: after("admin: "),
            told: vec![announced.clone()],
            child,
            lines,
            log,
        };
        // What is told is told at once.
        while let Ok(line) = server.lines.recv_timeout(Duration::from_millis(300)) {
            server.told.push(line);
        }
        server
    }

    /// The line that begins so, without its beginning.
    pub fn line(&self, beginning: &str) -> &str {
        let found = self
            .told
            .iter()
            .find_map(|line| line.trim_start().strip_prefix(beginning));
        found.unwrap_or_else(|| panic!("{beginning} is not in {:?}", self.told))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What stands in the log.
    pub fn logged(&self) -> String {
        read(&self.log)
    }

    /// The server's address without the path of FHIR.
    pub fn root(&self) -> &str {
        self.base.strip_suffix("/fhir").unwrap()
    }

    /// Sends requests with this token.
    pub fn with(&self, token: &str) -> Connection {
        self.at(self.root(), token)
    }

    /// Sends requests to another listener.
    pub fn at(&self, url: &str, token: &str) -> Connection {
        let headers = match token {
            "" => Vec::new(),
            token => vec![("authorization".to_owned(), format!("Bearer {token}"))],
        };
        Connection::new(&Base::parse(url).unwrap(), &headers)
    }

    /// The status of a read with this token.
    pub async fn status(&self, token: &str, path: &str) -> u16 {
        let mut connection = self.with(token);
        let reply = connection.send("GET", path, None, &[]).await.unwrap();
        reply.status.as_u16()
    }

    /// Waits until a read with this token has this status: soon.
    pub async fn becomes(&self, token: &str, path: &str, status: u16) {
        let began = Instant::now();
        let mut last = self.status(token, path).await;
        while last != status {
            assert!(
                began.elapsed() < SOON,
                "{path} still has {last} and not {status}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            last = self.status(token, path).await;
        }
    }

    /// Ends it as a power failure does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator does.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        assert!(self.child.wait().unwrap().success(), "{}", self.logged());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library that sets the clock for a program: made once, by the compiler that made SQLite.
fn clock_that_is_set() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/manage/clock.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clock.so");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .status()
            .unwrap();
        assert!(made.success());
        library
    })
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A number that no log in the folder has.
fn next_number(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
