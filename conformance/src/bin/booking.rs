//! `cargo run -p conformance --release --bin booking -- --help`

use std::process::ExitCode;

use clap::Parser;
use conformance::booking::{Options, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("booking: {reason}");
            ExitCode::FAILURE
        }
    }
}
