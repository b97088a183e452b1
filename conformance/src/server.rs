//! The server as a process: started on free ports, stopped or killed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::client::Base;

/// Longer than any start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    /// Its FHIR base URL.
    pub base: Base,
    /// Its admin address.
    pub admin: Base,
    child: Child,
}

impl Server {
    /// Starts `binary serve --open` on free ports and waits until it says where it is.
    ///
    /// # Errors
    /// It ends or says something else.
    pub async fn start(binary: &Path, store: &str, log: &Path) -> Result<Self, String> {
        let anchors = anchors(log, store);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = Command::new(binary)
            .args(["serve", "--open", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--log", "json"])
            .args(["--store", store])
            .env(ANCHORS, anchors)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .map_err(|_| "the server does not say where it is")?
            .map_err(|error| error.to_string())?
            .ok_or("the server ended at once; its log says why")?;
        let announced: Value =
            serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?;
        let text = |name: &str| announced[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            base: Base::parse(&text("fhir"))?,
            admin: Base::parse(&format!("http://{}", text("admin")))?,
            child,
        })
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| error.to_string())
    }

    /// SIGTERM; the exit status must be success.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub async fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().ok_or("the server ended before")?;
        let sent = Command::new("kill")
            .arg(pid.to_string())
            .status()
            .await
            .map_err(|error| error.to_string())?;
        if !sent.success() {
            return Err("the signal could not be sent".to_owned());
        }
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .map_err(|_| "the server does not end")?
            .map_err(|error| error.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}"))
        }
    }
}

/// The setting of where the audit's anchors are.
const ANCHORS: &str = "ROTUNDA__AUDIT__ANCHORS";

/// Beside the log, one for each database.
fn anchors(log: &Path, store: &str) -> PathBuf {
    let name = store.rsplit('/').next().unwrap_or_default();
    log.with_file_name(format!("{name}.anchors.jsonl"))
}

/// The release binary of this workspace.
pub fn default_binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/rotunda")
}

/// Runs `binary verify --audit` on the store of a server that wrote this log.
///
/// # Errors
/// It found differences.
pub async fn verify_audit(binary: &Path, store: &str, log: &Path) -> Result<String, String> {
    let mut command = Command::new(binary);
    command
        .args(["verify", "--audit", "--store", store])
        .env(ANCHORS, anchors(log, store));
    printed(command).await
}

/// Runs `binary verify` and gives what it printed.
///
/// # Errors
/// It found differences.
pub async fn verify(binary: &Path, store: &str) -> Result<String, String> {
    let mut command = Command::new(binary);
    command.args(["verify", "--store", store]);
    printed(command).await
}

async fn printed(mut command: Command) -> Result<String, String> {
    let output = command.output().await.map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("verify: {printed}{errors}"))
    }
}
