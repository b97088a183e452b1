//! Many clients for the same times.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::{
    Setup,
    hospital::{A_DAY, appointment, nth_start},
};
use crate::client::{Connection, Reply, entries};

/// Practitioners whose times are raced for.
const RACED: usize = 10;

#[derive(Default)]
struct Tally {
    statuses: BTreeMap<u16, usize>,
    micros: Vec<u32>,
    wins: HashMap<usize, usize>,
    unexpected: Option<String>,
}

/// All clients want the same times, in the same order.
pub async fn race(setup: &Setup, mixed: bool) -> Result<(), String> {
    let slots = setup.options.slots;
    // Behind what `fill` and earlier races may have booked.
    let first = first_free(setup).await?;
    let tally = Rc::new(RefCell::new(Tally::default()));
    let disk = setup.disk()?;
    let began = Instant::now();
    let local = LocalSet::new();
    for client in 0..setup.options.conc {
        let tally = Rc::clone(&tally);
        let mut connection = setup.connection(client);
        local.spawn_local(async move {
            for slot in 0..slots {
                let practitioner = slot % RACED;
                let start = nth_start(first + slot / RACED);
                let way = if mixed { (client + slot) % 5 } else { 0 };
                let sent = Instant::now();
                let patient = format!("race-{client}-{slot}");
                let reply = attempt(&mut connection, way, (practitioner, start), &patient).await;
                let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                tally.borrow_mut().count(slot, reply, micros);
            }
        });
    }
    local.await;
    let seconds = began.elapsed().as_secs_f64();
    let mut tally = tally.take();
    tally.micros.sort_unstable();
    let won: usize = tally.wins.values().sum();
    let twice = tally.wins.values().filter(|wins| **wins > 1).count();
    let attempts = tally.micros.len();
    println!(
        "{attempts} attempts, {:.0} a second, p50 {:.1} ms, p99 {:.1} ms; answers {:?}; \
         {won} booked, {twice} times twice; fdatasync {disk:.2} ms",
        attempts as f64 / seconds,
        at(&tally.micros, 0.5),
        at(&tally.micros, 0.99),
        tally.statuses
    );
    if let Some(reason) = tally.unexpected {
        return Err(format!("unexpected: {reason}"));
    }
    let overlaps = overlaps(setup, first, slots).await?;
    println!("{overlaps} overlaps among the stored Appointments");
    if won != slots || twice > 0 || overlaps > 0 {
        return Err(format!(
            "{won} of {slots} booked, {twice} twice, {overlaps} overlaps"
        ));
    }
    Ok(())
}

/// One attempt: POST, PUT, PATCH of a proposed one, a transaction, or `$book`.
async fn attempt(
    connection: &mut Connection,
    way: usize,
    (practitioner, start): (usize, i64),
    patient: &str,
) -> Result<Reply, String> {
    let booked = appointment(practitioner, start, patient, "booked");
    match way {
        0 => {
            connection
                .send("POST", "/Appointment", Some(booked.to_string()), &[])
                .await
        }
        1 => {
            let id = format!("put-{patient}-{start}");
            let mut booked = booked;
            booked["id"] = json!(id);
            let path = format!("/Appointment/{id}");
            connection
                .send("PUT", &path, Some(booked.to_string()), &[])
                .await
        }
        2 => {
            let proposed = appointment(practitioner, start, patient, "proposed");
            let made = connection
                .send("POST", "/Appointment", Some(proposed.to_string()), &[])
                .await?;
            let Some(id) = made.id("Appointment") else {
                return Ok(made);
            };
            let patch = r#"[{"op":"replace","path":"/status","value":"booked"}]"#;
            let path = format!("/Appointment/{id}");
            let headers = [("content-type", "application/json-patch+json")];
            connection
                .send("PATCH", &path, Some(patch.to_owned()), &headers)
                .await
        }
        3 => {
            let entry =
                json!([{"resource": booked, "request": {"method": "POST", "url": "Appointment"}}]);
            let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entry});
            connection
                .send("POST", "", Some(bundle.to_string()), &[])
                .await
        }
        _ => {
            let pending = appointment(practitioner, start, patient, "pending");
            let parameters = json!({"resourceType": "Parameters", "parameter":
                [{"name": "appointment-resource", "resource": pending}]});
            let path = "/Appointment/$book";
            connection
                .send("POST", path, Some(parameters.to_string()), &[])
                .await
        }
    }
}

impl Tally {
    fn count(&mut self, slot: usize, reply: Result<Reply, String>, micros: u32) {
        self.micros.push(micros);
        match reply {
            Ok(reply) => {
                let status = reply.status.as_u16();
                *self.statuses.entry(status).or_default() += 1;
                if reply.status.is_success() {
                    *self.wins.entry(slot).or_default() += 1;
                } else if status != 409 {
                    self.unexpected.get_or_insert_with(|| reply.brief());
                }
            }
            Err(error) => {
                *self.statuses.entry(0).or_default() += 1;
                self.unexpected.get_or_insert(error);
            }
        }
    }
}

/// The first visit from which on nothing is booked with any of the raced practitioners.
async fn first_free(setup: &Setup) -> Result<usize, String> {
    let mut first = 0;
    for practitioner in 0..RACED {
        let path = format!(
            "/Appointment?actor=PractitionerRole/r{practitioner}&_sort=-date&_count=1&status=booked"
        );
        let reply = setup.connection(0).send("GET", &path, None, &[]).await?;
        if let Some(last) = entries(&reply.body)?.first() {
            let start = last["resource"]["start"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            while super::instant(nth_start(first)) <= start {
                first += A_DAY;
            }
        }
    }
    Ok(first)
}

/// Pairs of stored Appointments of the raced practitioners that overlap.
async fn overlaps(setup: &Setup, first: usize, slots: usize) -> Result<usize, String> {
    let mut pairs = 0;
    for practitioner in 0..RACED {
        let path = format!(
            "/Appointment?actor=PractitionerRole/r{practitioner}&status=booked&date=ge{}&date=lt{}&_count=1000",
            super::instant(nth_start(first)),
            super::instant(nth_start(first + slots / RACED))
        );
        let reply = setup.connection(0).send("GET", &path, None, &[]).await?;
        let found = entries(&reply.body)?;
        let mut spans: Vec<(String, String)> = found
            .iter()
            .map(|entry| {
                let text = |name: &str| text(&entry["resource"], name);
                (text("start"), text("end"))
            })
            .collect();
        spans.sort();
        pairs += spans
            .windows(2)
            .filter(|pair| pair[1].0 < pair[0].1)
            .count();
    }
    Ok(pairs)
}

fn text(resource: &Value, name: &str) -> String {
    resource[name].as_str().unwrap_or_default().to_owned()
}

/// Bookings of times that nobody else wants.
pub async fn random(setup: &Setup) -> Result<(), String> {
    let first = first_free(setup).await? + 100_000 / setup.options.practitioners.max(1);
    let next = Rc::new(RefCell::new(0_usize));
    let tally = Rc::new(RefCell::new(Tally::default()));
    let disk = setup.disk()?;
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(setup.options.secs);
    let practitioners = setup.options.practitioners;
    let local = LocalSet::new();
    for client in 0..setup.options.conc {
        let (next, tally) = (Rc::clone(&next), Rc::clone(&tally));
        let mut connection = setup.connection(client);
        local.spawn_local(async move {
            while Instant::now() < end {
                let n = {
                    let mut next = next.borrow_mut();
                    *next += 1;
                    *next
                };
                let practitioner = (n * 7_919) % practitioners;
                let start = nth_start(first + n / practitioners);
                let sent = Instant::now();
                let patient = format!("random-{n}");
                let reply = attempt(&mut connection, 0, (practitioner, start), &patient).await;
                let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                tally.borrow_mut().count(n, reply, micros);
            }
        });
    }
    local.await;
    let seconds = began.elapsed().as_secs_f64();
    let mut tally = tally.take();
    tally.micros.sort_unstable();
    println!(
        "{:.0} bookings a second, p50 {:.1} ms, p99 {:.1} ms; answers {:?}; fdatasync {disk:.2} ms",
        tally.wins.len() as f64 / seconds,
        at(&tally.micros, 0.5),
        at(&tally.micros, 0.99),
        tally.statuses
    );
    match tally.unexpected {
        Some(reason) => Err(format!("unexpected: {reason}")),
        None => Ok(()),
    }
}

/// A percentile of sorted microseconds, in milliseconds.
pub fn at(sorted: &[u32], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (sorted.len() as f64 * share) as usize;
    sorted
        .get(place.min(last))
        .map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
}
