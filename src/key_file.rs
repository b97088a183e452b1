//! Files of keys: made whole, for their owner only, by whichever process is first.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Makes the file with all that is in it, or not at all: nobody reads half a key, and nothing is
/// replaced.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if another process was first; the folder takes no file.
pub fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{}", uuid::Uuid::new_v4().simple()));
    let whole = Path::new(&name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(whole)?;
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        // Unlike a rename, this replaces nothing.
        .and_then(|()| fs::hard_link(whole, path));
    fs::remove_file(whole)?;
    written
}
