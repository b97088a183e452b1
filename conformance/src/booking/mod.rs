//! Rushes for the same times, and bookings at full speed, told from outside.

mod hospital;
mod race;
mod waitlist;

use std::{
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use clap::Parser;

use crate::client::{Base, Connection};

/// Books on a FHIR server, in a rush or at random, and counts what comes of it.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Base URLs, like http://127.0.0.1:8080/fhir; with several the clients take turns
    #[arg(long, value_delimiter = ',', required = true)]
    pub base: Vec<String>,
    /// What to do, in order: seed, fill, race, mixed, random, hours, waitlist
    #[arg(required = true, value_name = "STEP")]
    pub steps: Vec<String>,
    /// Connections
    #[arg(long, default_value_t = 64)]
    pub conc: usize,
    /// Practitioners that `seed` makes, each with one Schedule, half an hour a visit
    #[arg(long, default_value_t = 500)]
    pub practitioners: usize,
    /// Rooms and devices that `seed` makes
    #[arg(long, default_value_t = 60)]
    pub rooms: usize,
    /// Devices that `seed` makes
    #[arg(long, default_value_t = 20)]
    pub devices: usize,
    /// Days from tomorrow that `fill` books
    #[arg(long, default_value_t = 90)]
    pub days: usize,
    /// Per cent of the times that `fill` books
    #[arg(long, default_value_t = 95)]
    pub full: u64,
    /// Times of a race
    #[arg(long, default_value_t = 1_000)]
    pub slots: usize,
    /// Who waits in `waitlist`
    #[arg(long, default_value_t = 10_000)]
    pub waiting: usize,
    /// Appointments that `waitlist` cancels, one after the other
    #[arg(long, default_value_t = 1_000)]
    pub cancel: usize,
    /// Seconds of `random`
    #[arg(long, default_value_t = 10.0)]
    pub secs: f64,
    /// Directory whose disk is timed beside writes
    #[arg(long, default_value = ".")]
    pub disk: std::path::PathBuf,
}

/// Takes all steps.
///
/// # Errors
/// Why one could not be taken, or what it should not have seen.
pub async fn run(options: &Options) -> Result<(), String> {
    let bases: Vec<Base> = options
        .base
        .iter()
        .map(|url| Base::parse(url))
        .collect::<Result<_, _>>()?;
    let setup = Setup {
        options: options.clone(),
        bases,
    };
    for step in &options.steps {
        let began = Instant::now();
        match step.as_str() {
            "seed" => hospital::seed(&setup).await?,
            "fill" => hospital::fill(&setup).await?,
            "race" => race::race(&setup, false).await?,
            "mixed" => race::race(&setup, true).await?,
            "random" => race::random(&setup).await?,
            "waitlist" => waitlist::waitlist(&setup).await?,
            "hours" => hospital::change_hours(&setup).await?,
            other => return Err(format!("{other} is no step; see --help")),
        }
        println!("{step}: {:.1} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Options in the form that the steps need.
struct Setup {
    options: Options,
    bases: Vec<Base>,
}

impl Setup {
    fn connection(&self, client: usize) -> Connection {
        Connection::new(&self.bases[client % self.bases.len()], &[])
    }

    /// What the disk takes to make a small write durable: median of 100, in milliseconds.
    fn disk(&self) -> Result<f64, String> {
        let path = self.options.disk.join("booking.disk");
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = File::create(&path).map_err(failed)?;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            file.write_all(&[7; 4096]).map_err(failed)?;
            file.sync_data().map_err(failed)?;
            times.push(began.elapsed());
        }
        std::fs::remove_file(&path).map_err(failed)?;
        times.sort();
        Ok(times[50].as_secs_f64() * 1e3)
    }
}

/// Midnight UTC `days` days from today, in seconds since 1970.
fn midnight(days: usize) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a program outside of the server")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.map_or(0, |now| now.as_secs())).unwrap_or(0);
    now - now.rem_euclid(86_400) + 86_400 * i64::try_from(days).unwrap_or(0)
}

/// An instant as FHIR has it.
fn instant(second: i64) -> String {
    let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days.
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_fhir_has_them() {
        for (second, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_564_799, "2026-11-24T23:59:59Z"),
        ] {
            assert_eq!(instant(second), expected);
        }
    }
}
