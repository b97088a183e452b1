//! `cargo run -p conformance --release --bin records -- --patients 40000 > records.ndjson`

use std::{
    io::{BufWriter, stdout},
    process::ExitCode,
};

use clap::Parser;
use conformance::records::{Options, write};

fn main() -> ExitCode {
    match write(&Options::parse(), BufWriter::new(stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("records: {reason}");
            ExitCode::FAILURE
        }
    }
}
