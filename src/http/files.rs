//! How many files the process may have open: a connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not connections of clients: databases, logs, listeners.
const OTHERS: u64 = 256;

/// How many of the wanted connections there can be. Asks the operating system for more files
/// first; many start programs with 1,024, and let them have more.
pub fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    let Some(current) = limit.current.filter(|current| *current < needed) else {
        return wanted;
    };
    let possible = limit.maximum.map_or(needed, |most| most.min(needed));
    let raised = Rlimit {
        current: Some(possible),
        maximum: limit.maximum,
    };
    let granted = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => possible,
        Err(_) => current,
    };
    if granted < needed {
        tracing::warn!(
            files = granted,
            wanted,
            "the operating system lets this process have fewer connections than limits.connections"
        );
    }
    affordable(granted, wanted)
}

fn affordable(files: u64, wanted: usize) -> usize {
    let rest = files.saturating_sub(OTHERS).max(files / 4);
    usize::try_from(rest)
        .map_or(wanted, |rest| rest.min(wanted))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_left_their_room() {
        for (files, wanted, expected) in [
            (1024, 2048, 768),
            (4096, 2048, 2048),
            (128, 50, 32),
            (2, 50, 1),
        ] {
            assert_eq!(affordable(files, wanted), expected, "{files}");
        }
        assert_eq!(connections(1), 1);
    }
}
