//! What processes cost, read from `/proc`.

use std::{collections::BTreeMap, fs};

/// Processes and all their descendants.
fn tree(roots: &[u32]) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && let Some(parent) = stat(pid).get(1).and_then(|field| field.parse().ok())
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = roots.to_vec();
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        for child in children.get(&pid).into_iter().flatten() {
            if !found.contains(child) {
                found.push(*child);
            }
        }
        at += 1;
    }
    found
}

/// The fields of `/proc/PID/stat` after the name.
fn stat(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    match text.rsplit_once(") ") {
        Some((_, fields)) => fields.split(' ').map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

/// CPU seconds that the processes, their descendants and those that ended took so far.
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    let ticks: f64 = tree(roots)
        .into_iter()
        .flat_map(|pid| stat(pid).into_iter().skip(11).take(4))
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

/// Resident memory of the processes in MiB, descendants left out.
pub fn resident_mib(roots: &[u32]) -> f64 {
    roots
        .iter()
        .map(|pid| kib(*pid, "status", "VmRSS:"))
        .sum::<f64>()
        / 1024.0
}

/// Memory of the processes and their descendants in MiB, shared pages counted once.
pub fn proportional_mib(roots: &[u32]) -> f64 {
    tree(roots)
        .into_iter()
        .map(|pid| kib(pid, "smaps_rollup", "Pss:"))
        .sum::<f64>()
        / 1024.0
}

fn kib(pid: u32, file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0.0)
}

/// CPU seconds that the whole machine was busy so far.
pub fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    (fields.iter().sum::<f64>() - idle) / 100.0
}
