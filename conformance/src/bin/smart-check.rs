//! `cargo run -p conformance --bin smart-check -- --help`

use std::process::ExitCode;

use clap::Parser;
use conformance::smart::{Options, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let report = match run(Options::parse()).await {
        Ok(report) => report,
        Err(reason) => {
            eprintln!("smart-check: {reason}");
            return ExitCode::from(2);
        }
    };
    let [pass, fail, skip] = ["pass", "fail", "skip"].map(|word| report.count(word));
    println!("\n{pass} pass, {fail} fail, {skip} skipped");
    match fail {
        0 if pass > 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
