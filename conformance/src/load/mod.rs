//! A closed-loop load generator: each connection sends its next request when the last one is
//! answered. On one thread, so that it takes at most one core.

mod measure;
mod scenario;
mod seed;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use serde_json::{Value, json};

use crate::{
    client::{Base, Connection},
    process,
};

pub use scenario::Scenario;

/// Puts load on a FHIR server and says what each request costs.
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Base URL, like http://127.0.0.1:8080/fhir; loopback only
    #[arg(long)]
    pub base: String,
    /// What to do, in order: probe, seed, seed-slots, memory, or a scenario (read, vread,
    /// search-family, search-identifier, slot-search, update, create, transaction, metadata), or
    /// a path to GET ('/Observation?code=8867-4'; in '?patient=p{2000}' a random number below)
    #[arg(required = true, value_name = "STEP")]
    pub steps: Vec<String>,
    /// Extra header of every request, 'Name: value'
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// Bearer token of every request, as `rotunda token` prints one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "ROTUNDA_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// Connections; several values make several measurements
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    pub conc: Vec<usize>,
    /// Measured seconds of a run
    #[arg(long, default_value_t = 8.0)]
    pub secs: f64,
    /// Seconds before, not measured
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Runs of each measurement
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Patients that `seed` makes
    #[arg(long, default_value_t = 20_000)]
    pub patients: usize,
    /// Schedules that `seed-slots` makes
    #[arg(long, default_value_t = 100)]
    pub schedules: usize,
    /// Slots of each schedule
    #[arg(long, default_value_t = 1_000)]
    pub slots_per: usize,
    /// Entries of a transaction
    #[arg(long, default_value_t = 100)]
    pub entries: usize,
    /// Server process whose CPU and memory are read; repeat for the database's
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// File that keeps the ids between calls
    #[arg(long, default_value = "load.state.json")]
    pub state: PathBuf,
    /// File that gets one line of JSON for each run
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Name of the server in the results
    #[arg(long, default_value = "rotunda")]
    pub label: String,
}

/// Options in the form that the steps need.
pub(crate) struct Setup {
    options: Options,
    base: Base,
    headers: Vec<(String, String)>,
}

impl Setup {
    fn new(options: &Options) -> Result<Self, String> {
        let base = Base::parse(&options.base)?;
        let host = base.address.rsplit_once(':').map_or("", |(host, _)| host);
        if !(host == "localhost" || host == "[::1]" || host.starts_with("127.")) {
            return Err("the target is not a loopback address".to_owned());
        }
        let mut headers: Vec<(String, String)> = options
            .headers
            .iter()
            .map(|header| {
                let (name, value) = header.split_once(':').ok_or("--header 'Name: value'")?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<Result<_, String>>()?;
        if let Some(token) = &options.token {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        Ok(Self {
            options: options.clone(),
            base,
            headers,
        })
    }

    fn share(&self) -> Self {
        Self {
            options: self.options.clone(),
            base: self.base.clone(),
            headers: self.headers.clone(),
        }
    }

    fn connection(&self) -> Connection {
        Connection::new(&self.base, &self.headers)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.options.secs)
    }
}

/// What was made on the server, kept between calls.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Ids and numbers of Patients.
    patients: Vec<(String, u64)>,
    schedules: Vec<String>,
    days: usize,
    /// The last number given to something new.
    last: u64,
}

impl State {
    fn read(path: &Path) -> Self {
        let value: Value = std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or(Value::Null);
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        Self {
            patients: list("patients")
                .iter()
                .filter_map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].as_u64()?)))
                .collect(),
            schedules: list("schedules")
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
            days: usize::try_from(value["days"].as_u64().unwrap_or(0)).unwrap_or(0),
            last: value["last"].as_u64().unwrap_or(1_000_000),
        }
    }

    fn write(&self, path: &Path) -> Result<(), String> {
        let value = json!({
            "patients": self.patients,
            "schedules": self.schedules,
            "days": self.days,
            "last": self.last,
        });
        std::fs::write(path, value.to_string())
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Takes all steps.
///
/// # Errors
/// Why a step makes no sense or could not be taken.
pub async fn run(options: &Options) -> Result<(), String> {
    let setup = Setup::new(options)?;
    let mut state = State::read(&options.state);
    let mut headed = false;
    for step in &options.steps {
        match step.as_str() {
            "seed" => seed::patients(&setup, &mut state).await?,
            "seed-slots" => seed::slots(&setup, &mut state).await?,
            "probe" => seed::probe(&setup, &mut state).await?,
            "memory" => println!(
                "{}: {:.0} MiB resident, {:.0} MiB with descendants",
                options.label,
                process::resident_mib(&options.pids),
                process::proportional_mib(&options.pids)
            ),
            name => {
                let scenario = Scenario::from_name(name)
                    .ok_or_else(|| format!("{name} is no step; see --help"))?;
                scenario.check(&state)?;
                if !headed {
                    println!("{}", measure::HEADER);
                    headed = true;
                }
                measure::measure(&setup, &mut state, scenario).await?;
            }
        }
        state.write(&options.state)?;
    }
    Ok(())
}
