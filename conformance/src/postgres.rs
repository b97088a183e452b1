//! A PostgreSQL of one's own, to be stopped and started at will.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A throwaway PostgreSQL on a free port of the loopback address.
pub struct Postgres {
    folder: TempDir,
    binaries: PathBuf,
    port: u16,
    as_root: bool,
    running: bool,
}

impl Postgres {
    /// Where PostgreSQL's programs are, if it is installed.
    pub fn installed() -> Option<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .filter(|folder| folder.join("initdb").exists())
            .collect();
        found.sort();
        found.pop()
    }

    /// Makes a cluster and starts it. As root it runs under the user `postgres`, which the
    /// package makes.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self, String> {
        let binaries = Self::installed().ok_or("PostgreSQL is not installed")?;
        let folder = tempfile::Builder::new()
            .prefix("rotunda-postgres.")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let as_root = run(Command::new("id").arg("-u"))?.trim() == "0";
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let mut cluster = Self {
            folder,
            binaries,
            port,
            as_root,
            running: false,
        };
        if as_root {
            run(Command::new("chown")
                .arg("postgres")
                .arg(cluster.folder.path()))?;
        }
        let data = cluster.data();
        run(cluster.command("initdb").arg("-D").arg(data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]))?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// Starts it again after [`Postgres::halt`].
    ///
    /// # Errors
    /// It does not start.
    pub fn resume(&mut self) -> Result<(), String> {
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=200",
            self.port,
            self.folder.path().display()
        );
        let (data, log) = (self.data(), self.folder.path().join("log"));
        run(self
            .command("pg_ctl")
            .args(["start", "-w", "-s", "-D"])
            .arg(data)
            .arg("-l")
            .arg(log)
            .args(["-o", &options]))?;
        self.running = true;
        Ok(())
    }

    /// Stops it as a crash would: no checkpoint, connections cut.
    ///
    /// # Errors
    /// It does not stop.
    pub fn halt(&mut self) -> Result<(), String> {
        let data = self.data();
        run(self
            .command("pg_ctl")
            .args(["stop", "-m", "immediate", "-s", "-D"])
            .arg(data))?;
        self.running = false;
        Ok(())
    }

    /// The URL of a new database.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn database(&self, name: &str) -> Result<String, String> {
        run(self
            .command("createdb")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p"])
            .arg(self.port.to_string())
            .arg(name))?;
        Ok(format!(
            "postgres://postgres@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(Path::new("/"));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.running
            && let Err(error) = self.halt()
        {
            eprintln!("PostgreSQL did not stop: {error}");
        }
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {errors}"))
}
