//! A hospital to book in: practitioners with a specialty and a place, rooms and devices.

use serde_json::{Value, json};
use std::{cell::RefCell, rc::Rc, time::Instant};
use tokio::task::LocalSet;

use super::{Setup, instant, midnight};
use crate::{client::entries, data::Rng};

/// Visits of half an hour from 8 to 16 o'clock, every day.
pub const A_DAY: usize = 16;
pub const PARAMETERS: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";
const SCT: &str = "http://snomed.info/sct";
const SPECIALTIES: usize = 5;

/// An entry that puts a resource.
pub fn put(resource: Value) -> Value {
    let url = format!(
        "{}/{}",
        resource["resourceType"].as_str().unwrap_or_default(),
        resource["id"].as_str().unwrap_or_default()
    );
    json!({"resource": resource, "request": {"method": "PUT", "url": url}})
}

/// A Schedule of visits of half an hour.
pub fn schedule(id: &str, actor: &str) -> Value {
    let minutes = |name: &str, value: u32| {
        json!({"url": name, "valueDuration":
            {"value": value, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"}})
    };
    json!({
        "resourceType": "Schedule", "id": id, "actor": [{"reference": actor}],
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "UTC"},
            {"url": PARAMETERS, "extension": [
                minutes("duration", 30),
                {"url": "availableTime", "extension": [
                    {"url": "availableStartTime", "valueTime": "08:00:00"},
                    {"url": "availableEndTime", "valueTime": "16:00:00"},
                ]},
            ]},
        ],
    })
}

/// Makes the hospital.
pub async fn seed(setup: &Setup) -> Result<(), String> {
    let mut all = Vec::new();
    for place in 0..20 {
        all.push(put(json!({
            "resourceType": "Location", "id": format!("site{place}"), "name": format!("Site {place}"),
            "address": {"city": format!("Town {place}")},
            "position": {"latitude": 52.0 + f64::from(place) * 0.05, "longitude": 13.0},
        })));
    }
    for n in 0..setup.options.practitioners {
        all.push(put(json!({
            "resourceType": "Practitioner", "id": format!("p{n}"),
            "name": [{"family": format!("Doctor{n:04}")}],
        })));
        all.push(put(json!({
            "resourceType": "PractitionerRole", "id": format!("r{n}"),
            "practitioner": {"reference": format!("Practitioner/p{n}")},
            "specialty": [{"coding": [{"system": SCT, "code": format!("spec{}", n % SPECIALTIES)}]}],
            "location": [{"reference": format!("Location/site{}", n % 20)}],
        })));
        all.push(put(schedule(
            &format!("s{n}"),
            &format!("PractitionerRole/r{n}"),
        )));
    }
    for n in 0..setup.options.rooms {
        all.push(put(json!({
            "resourceType": "Location", "id": format!("room{n}"), "name": format!("Room {n}"),
            "partOf": {"reference": format!("Location/site{}", n % 20)},
        })));
        all.push(put(schedule(
            &format!("room{n}"),
            &format!("Location/room{n}"),
        )));
    }
    for n in 0..setup.options.devices {
        all.push(put(
            json!({"resourceType": "Device", "id": format!("d{n}")}),
        ));
        all.push(put(schedule(&format!("d{n}"), &format!("Device/d{n}"))));
    }
    let mut connection = setup.connection(0);
    for some in all.chunks(300) {
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": some});
        let reply = connection
            .send("POST", "", Some(bundle.to_string()), &[])
            .await?;
        if !reply.status.is_success() {
            return Err(reply.brief());
        }
        entries(&reply.body)?;
    }
    println!("{} resources", all.len());
    Ok(())
}

/// A booked Appointment of a practitioner.
pub fn appointment(practitioner: usize, start: i64, patient: &str, status: &str) -> Value {
    json!({
        "resourceType": "Appointment", "status": status,
        "start": instant(start), "end": instant(start + 1_800),
        "participant": [
            {"actor": {"reference": format!("Patient/{patient}")}, "status": "accepted"},
            {"actor": {"reference": format!("PractitionerRole/r{practitioner}")}, "status": "accepted"},
        ],
    })
}

/// The beginning of the nth visit of a practitioner, from tomorrow on.
pub fn nth_start(n: usize) -> i64 {
    midnight(1 + n / A_DAY) + 8 * 3_600 + 1_800 * i64::try_from(n % A_DAY).unwrap_or(0)
}

/// Books most of the times of all practitioners.
pub async fn fill(setup: &Setup) -> Result<(), String> {
    let began = Instant::now();
    let next = Rc::new(RefCell::new(0));
    let booked = Rc::new(RefCell::new(0_usize));
    let failed = Rc::new(RefCell::new(None));
    let local = LocalSet::new();
    for client in 0..16 {
        let (next, booked, failed) = (Rc::clone(&next), Rc::clone(&booked), Rc::clone(&failed));
        let mut connection = setup.connection(client);
        let options = setup.options.clone();
        local.spawn_local(async move {
            loop {
                let practitioner = {
                    let mut next = next.borrow_mut();
                    *next += 1;
                    *next - 1
                };
                if practitioner >= options.practitioners || failed.borrow().is_some() {
                    return;
                }
                let mut rng = Rng::new(practitioner as u64 + 77);
                let times = (0..options.days * A_DAY).filter(|_| rng.number() % 100 < options.full);
                let times: Vec<usize> = times.collect();
                for some in times.chunks(100) {
                    let entry = some.iter().map(|n| {
                        let patient = format!("w{}", (practitioner * 7_919 + n * 31) % 100_000);
                        let patient = format!("{patient}-{}", n % A_DAY);
                        let resource = appointment(practitioner, nth_start(*n), &patient, "booked");
                        json!({"resource": resource, "request": {"method": "POST", "url": "Appointment"}})
                    });
                    let entry: Vec<Value> = entry.collect();
                    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entry});
                    let reply = connection.send("POST", "", Some(bundle.to_string()), &[]).await;
                    match reply {
                        Ok(reply) if reply.status.is_success() => {
                            *booked.borrow_mut() += some.len();
                        }
                        Ok(reply) if reply.status.as_u16() == 422 || reply.status.as_u16() == 409 => {}
                        Ok(reply) => *failed.borrow_mut() = Some(reply.brief()),
                        Err(error) => *failed.borrow_mut() = Some(error),
                    }
                }
            }
        });
    }
    local.await;
    if let Some(reason) = failed.take() {
        return Err(reason);
    }
    let count = *booked.borrow();
    println!(
        "{count} Appointments, {:.0} a second",
        count as f64 / began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Changes the hours of one practitioner and looks for them.
pub async fn change_hours(setup: &Setup) -> Result<(), String> {
    let mut connection = setup.connection(0);
    let mut worst = 0.0_f64;
    for round in 0..20 {
        let hour = 17 + round % 2;
        let mut changed = schedule("s1", "PractitionerRole/r1");
        changed["extension"][1]["extension"][1]["extension"][1]["valueTime"] =
            json!(format!("{hour}:00:00"));
        let began = Instant::now();
        let reply = connection
            .send("PUT", "/Schedule/s1", Some(changed.to_string()), &[])
            .await?;
        if !reply.status.is_success() {
            return Err(reply.brief());
        }
        let path = format!(
            "/Appointment/$find?schedule=s1&start={}&_count=1",
            instant(midnight(1) + i64::from(hour) * 3_600 - 1_800)
        );
        let reply = connection.send("GET", &path, None, &[]).await?;
        let found = entries(&reply.body)?;
        worst = worst.max(began.elapsed().as_secs_f64() * 1e3);
        let first = found
            .first()
            .map(|entry| entry["resource"]["start"].to_string());
        let is_new = first.is_some_and(|start| start.contains(&format!("T{}:30:00", hour - 1)));
        if !is_new {
            return Err(format!("the new hours are not seen: {}", reply.brief()));
        }
    }
    println!("hours changed and seen, the slowest of 20: {worst:.1} ms");
    Ok(())
}
