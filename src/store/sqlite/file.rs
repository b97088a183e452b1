//! The database's file: made for this user only, and for this process alone.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::super::{error::StoreError, migration};

/// What is made can be read by its owner only: it holds health records. SQLite gives the log
/// the rights of the database.
const OWNER_ONLY: u32 = 0o600;

/// Bytes that must be left on the disk.
const LEAST_SPACE: u64 = 16 << 20;

/// Makes the file if it is not there and `create` says so, and locks it. Gives its one true path,
/// since SQLite and the lock go by names, and what to hold on to.
pub(super) fn claim(path: &Path, create: bool) -> Result<(PathBuf, File), StoreError> {
    if !create {
        check_log(path)?;
        check_there(path)?;
    } else if is_missing(path)? {
        check_log(path)?;
        make(path)?;
    }
    let path = path.canonicalize().map_err(cannot_open)?;
    let lock = lock(&path)?;
    check_log(&path)?;
    let found = fs::metadata(&path).map_err(cannot_open)?;
    if found.is_file() && found.nlink() > 1 {
        return Err(StoreError::Open(
            "the file has a second name (a hard link); SQLite keeps a log for each name, and two \
             of them destroy the database: delete the other name, or use a copy"
                .to_owned(),
        ));
    }
    Ok((path, lock))
}

/// The one true path of a database that is there; another process may have it.
pub(super) fn find(path: &Path) -> Result<PathBuf, StoreError> {
    check_log(path)?;
    check_there(path)?;
    path.canonicalize().map_err(cannot_open)
}

/// Refuses when little is left of the disk: a write of the largest size would not fit.
pub(super) fn check_space(path: &Path) -> Result<(), StoreError> {
    let Ok(disk) = rustix::fs::statvfs(path) else {
        return Ok(());
    };
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    if left < LEAST_SPACE {
        return Err(StoreError::Storage(format!(
            "{left} bytes are left on the disk; make room"
        )));
    }
    Ok(())
}

fn cannot_open(error: io::Error) -> StoreError {
    StoreError::Open(error.to_string())
}

fn is_missing(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(cannot_open(error)),
    }
}

fn make(path: &Path) -> Result<(), StoreError> {
    owner_only()
        .open(path)
        .map(drop)
        .map_err(|error| refused(path, &error))
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.mode(OWNER_ONLY);
    options
}

fn refused(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Open(match error.kind() {
        ErrorKind::NotFound => "its folder is not there; make it first".to_owned(),
        _ => format!(
            "{}: {error}; give this user the right to write in the folder",
            path.display()
        ),
    })
}

/// The path with something behind its name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, ".lock");
    let file = owner_only()
        .open(&name)
        .map_err(|error| refused(&name, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Open(
            "another process has it open; stop that first".to_owned(),
        )),
        Err(TryLockError::Error(error)) => {
            Err(StoreError::Open(format!("{}: {error}", name.display())))
        }
    }
}

/// Refuses a log without its database: SQLite would take the database as new, and delete the
/// log with what it holds.
fn check_log(path: &Path) -> Result<(), StoreError> {
    let log = beside(path, "-wal");
    if size(path)? == 0 && size(&log)? > 0 {
        return Err(StoreError::Open(format!(
            "the file is missing or empty, but its log {} is there; put the file back, or move the \
             log away to begin with an empty database",
            log.display()
        )));
    }
    Ok(())
}

/// Refuses a name that is mistyped, most likely.
fn check_there(path: &Path) -> Result<(), StoreError> {
    if size(path)? > 0 {
        return Ok(());
    }
    Err(StoreError::Open(if path.exists() {
        format!("the file is empty; {}", migration::NO_STORE)
    } else {
        format!("there is no such file; {}", migration::NO_STORE)
    }))
}

/// The size of a file; 0 if it is not there.
fn size(path: &Path) -> Result<u64, StoreError> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(cannot_open(error)),
    }
}
