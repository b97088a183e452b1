//! What the scenarios need on the server, and a first look whether it does what they assume.

use std::{cell::RefCell, rc::Rc, time::Instant};

use tokio::task::LocalSet;

use super::{Scenario, Setup, State};
use crate::{
    client::{Connection, Reply, entries},
    data::{self, Rng},
};

/// Failures after which seeding ends.
const ENOUGH: usize = 20;
const SLOTS_PER_BUNDLE: usize = 100;
const BUNDLES_IN_FLIGHT: usize = 4;

/// Runs `work` on `connections` connections until it says that there is no more to do; gives the
/// failures.
async fn on_each<W, F>(setup: &Rc<Setup>, connections: usize, work: W) -> Vec<String>
where
    W: Fn(Connection, Rc<RefCell<Vec<String>>>) -> F,
    F: Future<Output = ()> + 'static,
{
    let failures = Rc::new(RefCell::new(Vec::new()));
    let local = LocalSet::new();
    for _ in 0..connections {
        local.spawn_local(work(setup.connection(), Rc::clone(&failures)));
    }
    local.await;
    failures.take()
}

fn told(what: &str, count: usize, began: Instant, failures: &[String]) -> Result<(), String> {
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = count as f64 / seconds;
    println!("{what}: {count} in {seconds:.1} s = {rate:.0}/s");
    match failures.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} failed; first: {first}", failures.len())),
    }
}

fn accepted(reply: Result<Reply, String>) -> Result<Reply, String> {
    reply.and_then(|reply| {
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(reply.brief())
        }
    })
}

pub(crate) async fn patients(setup: &Setup, state: &mut State) -> Result<(), String> {
    let setup = Rc::new(setup.share());
    let connections = setup.options.conc.first().copied().unwrap_or(16);
    let next = Rc::new(RefCell::new(0_u64));
    let made = Rc::new(RefCell::new(Vec::new()));
    let began = Instant::now();
    let most = setup.options.patients as u64;
    let failures = on_each(&setup, connections, |mut connection, failures| {
        let (next, made) = (Rc::clone(&next), Rc::clone(&made));
        async move {
            loop {
                let number = *next.borrow() + 1;
                if number > most || failures.borrow().len() > ENOUGH {
                    return;
                }
                *next.borrow_mut() = number;
                let body = Some(data::patient(number, None, 0));
                let reply = accepted(connection.send("POST", "/Patient", body, &[]).await);
                let id = reply.and_then(|reply| {
                    reply
                        .id("Patient")
                        .ok_or_else(|| "the answer names no id".to_owned())
                });
                match id {
                    Ok(id) => made.borrow_mut().push((id, number)),
                    Err(reason) => failures.borrow_mut().push(reason),
                }
            }
        }
    })
    .await;
    state.patients.extend(made.take());
    told("patients", state.patients.len(), began, &failures)
}

async fn make(connection: &mut Connection, kind: &str, body: String) -> Result<String, String> {
    let path = format!("/{kind}");
    let reply = accepted(connection.send("POST", &path, Some(body), &[]).await)?;
    reply
        .id(kind)
        .ok_or_else(|| "the answer names no id".to_owned())
}

pub(crate) async fn slots(setup: &Setup, state: &mut State) -> Result<(), String> {
    let setup = Rc::new(setup.share());
    let mut connection = setup.connection();
    let practitioner = make(&mut connection, "Practitioner", data::practitioner(1)).await?;
    let slots_per = setup.options.slots_per;
    let mut jobs = Vec::new();
    for number in 0..setup.options.schedules {
        let body = data::schedule(number as u64, &practitioner);
        let schedule = make(&mut connection, "Schedule", body).await?;
        for first in (0..slots_per).step_by(SLOTS_PER_BUNDLE) {
            jobs.push((schedule.clone(), first));
        }
        state.schedules.push(schedule);
    }
    state.days = slots_per.div_ceil(data::SLOTS_PER_DAY);
    let total = setup.options.schedules * slots_per;
    let jobs = Rc::new(RefCell::new(jobs));
    let began = Instant::now();
    let failures = on_each(&setup, BUNDLES_IN_FLIGHT, |mut connection, failures| {
        let jobs = Rc::clone(&jobs);
        async move {
            loop {
                let job = jobs.borrow_mut().pop();
                let Some((schedule, first)) = job else { return };
                if failures.borrow().len() > ENOUGH {
                    return;
                }
                let slots: Vec<String> = (first..(first + SLOTS_PER_BUNDLE).min(slots_per))
                    .map(|k| data::slot(&schedule, k))
                    .collect();
                let body = Some(data::bundle("transaction", "Slot", &slots));
                let reply = accepted(connection.send("POST", "", body, &[]).await);
                if let Err(reason) = reply.and_then(|reply| entries(&reply.body)) {
                    failures.borrow_mut().push(reason);
                }
            }
        }
    })
    .await;
    told("slots", total, began, &failures)
}

/// One of each request, printed.
pub(crate) async fn probe(setup: &Setup, state: &mut State) -> Result<(), String> {
    let mut connection = setup.connection();
    let mut rng = Rng::new(1);
    for scenario in [
        Scenario::Metadata,
        Scenario::Create,
        Scenario::SearchFamily,
        Scenario::Transaction,
        Scenario::Read,
        Scenario::SearchIdentifier,
        Scenario::Update,
        Scenario::SlotSearch,
    ] {
        if scenario.check(state).is_err() {
            continue;
        }
        let job = scenario.job(setup.options.entries, state, &mut rng);
        let began = Instant::now();
        let reply = connection
            .send(job.method, &job.path, job.body, &[])
            .await?;
        println!(
            "{}: {} {} -> {} bytes in {:.1} ms, {:?}\n  {}",
            scenario.name(),
            job.method,
            job.path,
            reply.body.len(),
            began.elapsed().as_secs_f64() * 1e3,
            scenario.judge(&reply, 1),
            reply.brief()
        );
    }
    Ok(())
}
