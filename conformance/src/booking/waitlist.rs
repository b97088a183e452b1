//! Many wait, some cancel, and all who are asked accept at once.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::{
    Setup,
    hospital::{PARAMETERS, appointment, nth_start, put, schedule},
    race::at,
};
use crate::client::entries;

/// The practitioner whose time is waited for.
const WAITED: usize = 900_000;
/// How long offers are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Resources of one batch.
const BATCH: usize = 200;
const OFFERS: &str = "/Task?code=urn:rotunda:waitlist%7Coffer&status=requested&_count=100";

/// Offers to so many at once that fifty accept.
fn asked_for_fifty(schedule: &mut Value) {
    let decimal = |name: &str, value: f64| json!({"url": name, "valueDecimal": value});
    if let Some(extensions) = schedule["extension"].as_array_mut() {
        for one in extensions.iter_mut().filter(|one| one["url"] == PARAMETERS) {
            if let Some(parts) = one["extension"].as_array_mut() {
                // 50 of whom one accepts, if one of twenty does.
                parts.push(decimal("offerAcceptance", 0.05));
                parts.push(decimal("offerTarget", 0.923));
            }
        }
    }
}

/// Makes who waits, and what is cancelled.
async fn prepare(setup: &Setup) -> Result<(), String> {
    let mut all = vec![
        put(json!({"resourceType": "Practitioner", "id": format!("p{WAITED}")})),
        put(json!({
            "resourceType": "PractitionerRole", "id": format!("r{WAITED}"),
            "practitioner": {"reference": format!("Practitioner/p{WAITED}")},
        })),
    ];
    let mut times = schedule(
        &format!("s{WAITED}"),
        &format!("PractitionerRole/r{WAITED}"),
    );
    asked_for_fifty(&mut times);
    all.push(put(times));
    for n in 0..setup.options.cancel {
        let mut one = appointment(WAITED, nth_start(n), &format!("has-{n}"), "booked");
        one["id"] = json!(format!("has-{n}"));
        all.push(put(one));
    }
    for n in 0..setup.options.waiting {
        all.push(put(json!({
            "resourceType": "Appointment", "id": format!("waits-{n}"), "status": "waitlist",
            "priority": 1 + n % 9,
            "requestedPeriod": [{"start": super::instant(nth_start(0))}],
            "participant": [
                {"actor": {"reference": format!("Patient/waits-{n}")}, "status": "accepted"},
                {"actor": {"reference": format!("PractitionerRole/r{WAITED}")}, "status": "needs-action"},
            ],
        })));
    }
    let mut connection = setup.connection(0);
    for some in all.chunks(BATCH) {
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": some});
        let reply = connection
            .send("POST", "", Some(bundle.to_string()), &[])
            .await?;
        if !reply.status.is_success() {
            return Err(reply.brief());
        }
    }
    Ok(())
}

/// Cancels one appointment after the other; all who are asked accept at once.
pub async fn waitlist(setup: &Setup) -> Result<(), String> {
    prepare(setup).await?;
    let disk = setup.disk()?;
    let (mut out, mut accepted) = (Vec::new(), Vec::new());
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    let mut connection = setup.connection(0);
    let mut waiting = Vec::new();
    for client in 0..setup.options.conc {
        waiting.push(Rc::new(RefCell::new(Some(setup.connection(client)))));
    }
    for n in 0..setup.options.cancel {
        let patch = r#"[{"op":"replace","path":"/status","value":"cancelled"}]"#;
        let path = format!("/Appointment/has-{n}");
        let headers = [("content-type", "application/json-patch+json")];
        let reply = connection
            .send("PATCH", &path, Some(patch.to_owned()), &headers)
            .await?;
        if !reply.status.is_success() {
            return Err(reply.brief());
        }
        let began = Instant::now();
        let offers = loop {
            let reply = connection.send("GET", OFFERS, None, &[]).await?;
            let found = entries(&reply.body)?;
            if !found.is_empty() {
                break found;
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("nothing was offered of has-{n}"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        out.push(micros(began));
        let won = Rc::new(RefCell::new((0_usize, Vec::new(), BTreeMap::new())));
        let local = LocalSet::new();
        for (at, offer) in offers.into_iter().enumerate() {
            let focus = &offer["resource"]["focus"]["reference"];
            let path = format!("/{}/$accept-offer", focus.as_str().unwrap_or_default());
            let kept = Rc::clone(&waiting[at % waiting.len()]);
            let won = Rc::clone(&won);
            let fresh = setup.connection(at);
            local.spawn_local(async move {
                let taken = kept.borrow_mut().take();
                let mut connection = taken.unwrap_or(fresh);
                let began = Instant::now();
                let reply = connection.send("POST", &path, None, &[]).await;
                let status = reply.map_or(0, |reply| reply.status.as_u16());
                let mut won = won.borrow_mut();
                won.0 += usize::from(status == 200);
                won.1.push(micros(began));
                *won.2.entry(status).or_insert(0_usize) += 1;
                *kept.borrow_mut() = Some(connection);
            });
        }
        local.await;
        let (winners, times, statuses) = won.take();
        accepted.extend(times);
        for (status, count) in statuses {
            *answers.entry(status).or_default() += count;
        }
        if winners != 1 {
            return Err(format!("{winners} have the time of has-{n}: {answers:?}"));
        }
    }
    out.sort_unstable();
    accepted.sort_unstable();
    println!(
        "{} waiting, {} cancellations: offer out p50 {:.1} ms, p99 {:.1} ms; {} accepted at once, \
         p50 {:.1} ms, p99 {:.1} ms; answers {answers:?}; one winner each; fdatasync {disk:.2} ms",
        setup.options.waiting,
        out.len(),
        at(&out, 0.5),
        at(&out, 0.99),
        accepted.len() / out.len().max(1),
        at(&accepted, 0.5),
        at(&accepted, 0.99),
    );
    Ok(())
}

fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}
