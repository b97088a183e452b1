//! Running a scenario and saying what it cost.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::Write,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::LocalSet;

use super::{Scenario, Setup, State};
use crate::{data::Rng, process};

pub(crate) const HEADER: &str = "\
| server | scenario | conc | req/s min/med/max | p50 ms | p99 ms | errors | server CPU µs/req | peak RSS MiB | entries |
|---|---|---|---|---|---|---|---|---|---|";

#[derive(Default)]
struct Tally {
    micros: Vec<u32>,
    errors: BTreeMap<String, usize>,
    first_error: Option<String>,
    looked_into: usize,
    entries: usize,
}

/// What one run gave.
struct Run {
    rate: f64,
    p50: f64,
    p99: f64,
    cpu_micros: f64,
    peak_mib: f64,
    errors: usize,
    entries: f64,
    first_error: Option<String>,
}

/// Sends requests for a time; those under way at its end are waited for.
async fn drive(
    setup: &Setup,
    state: &Rc<RefCell<State>>,
    scenario: Scenario,
    connections: usize,
    time: Duration,
    seed: u64,
) -> (Tally, f64) {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let began = Instant::now();
    let end = began + time;
    let entries = setup.options.entries;
    let local = LocalSet::new();
    for worker in 0..connections {
        let (state, tally) = (Rc::clone(state), Rc::clone(&tally));
        let mut connection = setup.connection();
        let mut rng = Rng::new(seed ^ ((worker as u64) << 20));
        local.spawn_local(async move {
            let mut nth = 0;
            while Instant::now() < end {
                let job = scenario.job(entries, &mut state.borrow_mut(), &mut rng);
                let sent = Instant::now();
                let reply = connection.send(job.method, &job.path, job.body, &[]).await;
                let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                nth += 1;
                let failed = reply.is_err();
                let judged = reply.and_then(|reply| scenario.judge(&reply, nth));
                tally.borrow_mut().count(judged, micros);
                if failed {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    local.await;
    (tally.take(), began.elapsed().as_secs_f64())
}

impl Tally {
    fn count(&mut self, judged: Result<Option<usize>, String>, micros: u32) {
        match judged {
            Ok(entries) => {
                self.micros.push(micros);
                if let Some(entries) = entries {
                    self.looked_into += 1;
                    self.entries += entries;
                }
            }
            Err(reason) => {
                let kind = reason.split([' ', ':']).next().unwrap_or("?").to_owned();
                *self.errors.entry(kind).or_default() += 1;
                self.first_error.get_or_insert(reason);
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests are far below 2^52"
)]
async fn run(
    setup: &Setup,
    state: &Rc<RefCell<State>>,
    scenario: Scenario,
    connections: usize,
    number: usize,
) -> Result<Run, String> {
    let pids = setup.options.pids.clone();
    let own = [std::process::id()];
    let before = (
        process::cpu_seconds(&pids),
        process::cpu_seconds(&own),
        process::machine_busy_seconds(),
    );
    let peak = Rc::new(RefCell::new(0_f64));
    let watch = async {
        loop {
            let now = process::resident_mib(&pids);
            let highest = peak.borrow().max(now);
            *peak.borrow_mut() = highest;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let seed = 1 + number as u64 * 7919;
    let driven = drive(setup, state, scenario, connections, setup.seconds(), seed);
    let (mut tally, seconds) = tokio::select! {
        driven = driven => driven,
        () = watch => return Err("the watch ended".to_owned()),
    };
    let cpu = process::cpu_seconds(&pids) - before.0;
    let own_cpu = process::cpu_seconds(&own) - before.1;
    let others = process::machine_busy_seconds() - before.2 - cpu - own_cpu;
    tally.micros.sort_unstable();
    let good = tally.micros.len();
    let errors: usize = tally.errors.values().sum();
    let result = Run {
        rate: good as f64 / seconds,
        p50: percentile(&tally.micros, 0.50),
        p99: percentile(&tally.micros, 0.99),
        cpu_micros: cpu * 1e6 / (good + errors).max(1) as f64,
        peak_mib: *peak.borrow(),
        errors,
        entries: tally.entries as f64 / tally.looked_into.max(1) as f64,
        first_error: tally.first_error,
    };
    if let Some(path) = &setup.options.out {
        let line = json!({
            "label": setup.options.label, "scenario": scenario.name(), "conc": connections,
            "run": number + 1, "secs": seconds, "requests": good, "errors": tally.errors,
            "rps": result.rate, "p50_ms": result.p50, "p90_ms": percentile(&tally.micros, 0.90),
            "p99_ms": result.p99, "max_ms": percentile(&tally.micros, 1.0),
            "server_cpu_us_per_req": result.cpu_micros, "generator_cores": own_cpu / seconds,
            "other_cores": others / seconds, "peak_rss_mib": result.peak_mib,
            "entries": result.entries,
        });
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        writeln!(file, "{line}").map_err(|error| error.to_string())?;
    }
    Ok(result)
}

pub(crate) async fn measure(
    setup: &Setup,
    state: &mut State,
    scenario: Scenario,
) -> Result<(), String> {
    let shared = Rc::new(RefCell::new(std::mem::take(state)));
    for connections in setup.options.conc.clone() {
        let warmup = Duration::from_secs_f64(setup.options.warmup);
        if !warmup.is_zero() {
            drive(setup, &shared, scenario, connections, warmup, 0xfeed).await;
        }
        let mut runs = Vec::new();
        for number in 0..setup.options.runs {
            runs.push(run(setup, &shared, scenario, connections, number).await?);
        }
        let of = |value: fn(&Run) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        println!(
            "| {} | {} | {connections} | {} | {} | {} | {} | {:.1} | {:.0} | {:.1} |",
            setup.options.label,
            scenario.name(),
            three(&of(|run| run.rate)),
            three(&of(|run| run.p50)),
            three(&of(|run| run.p99)),
            runs.iter().map(|run| run.errors).sum::<usize>(),
            of(|run| run.cpu_micros).get(runs.len() / 2).unwrap_or(&0.0),
            of(|run| run.peak_mib).last().unwrap_or(&0.0),
            of(|run| run.entries).last().unwrap_or(&0.0),
        );
        if let Some(reason) = runs.iter().find_map(|run| run.first_error.as_ref()) {
            eprintln!("  first error: {reason}");
        }
    }
    *state = shared.take();
    Ok(())
}

/// Smallest, middle and largest of sorted values.
fn three(sorted: &[f64]) -> String {
    let shown = |value: Option<&f64>| match value {
        Some(value) if *value >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
        None => "-".to_owned(),
    };
    format!(
        "{} / {} / {}",
        shown(sorted.first()),
        shown(sorted.get(sorted.len() / 2)),
        shown(sorted.last())
    )
}

/// A percentile of sorted microseconds, in milliseconds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a list in memory"
)]
fn percentile(sorted: &[u32], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted
        .get(at)
        .map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<u32> = (1..=100).map(|n| n * 1000).collect();
        for (share, expected) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            assert!((percentile(&sorted, share) - expected).abs() < 1e-9);
        }
        assert!(percentile(&[], 0.5).is_nan());
    }
}
