use resources::Doc;
use rotunda::{
    access::Access,
    engine::{BookingCall, Error, ErrorKind},
};

use super::{HOUR, appointment, call, practice, role, schedule};
use crate::{fixture::*, grants::granted};

on_both_databases!(
    a_change_of_hours_is_previewed,
    a_preview_says_what_is_wrong_with_it,
);

impl Fixture {
    async fn preview(
        &self,
        query: &[(&str, &str)],
        body: Option<&str>,
        access: &Access,
    ) -> Result<Doc, Error> {
        let call = BookingCall {
            body: body.map(doc),
            id: Some("s1".to_owned()),
            ..call(query)
        };
        let text = self.engine.preview_schedule(&call, access).await?;
        Ok(doc(&text))
    }

    /// The ids of Appointments that a preview gives, and what its outcome says.
    async fn previewed(&self, query: &[(&str, &str)], body: Option<&str>) -> Vec<String> {
        identities(&self.preview(query, body, &ALL).await.unwrap())
    }
}

async fn a_change_of_hours_is_previewed(on: Database) {
    let f = practice(on).await;
    for (id, status, time, who) in [
        (
            "m1",
            "booked",
            "23T10:00-23T10:30",
            "PractitionerRole/r1 Patient/a",
        ),
        (
            "m2",
            "booked",
            "23T15:00-23T15:30",
            "PractitionerRole/r1 Patient/b",
        ),
        (
            "m3",
            "pending",
            "24T15:00-24T15:30",
            "Practitioner/p1 Patient/a",
        ),
        (
            "m4",
            "cancelled",
            "24T16:00-24T16:30",
            "Practitioner/p1 Patient/a",
        ),
        (
            "m5",
            "arrived",
            "24T16:00-24T16:30",
            "Practitioner/p1 Patient/a",
        ),
    ] {
        f.put(&appointment(id, status, time, who)).await;
    }
    // By a computed Slot alone.
    let find = [
        ("schedule", "s1"),
        ("start", "2026-11-25T15:00:00Z"),
        ("_count", "1"),
    ];
    let found = f.engine.find_appointments(&call(&find), &ALL).await;
    let found = doc(&found.unwrap());
    let slot = at(entries(&found)[0], "resource.slot.0.reference");
    let who = format!("{slot} Patient/c");
    f.put(&appointment("m6", "booked", "25T15:00-25T15:30", &who))
        .await;
    let all = ["Appointment/m2", "Appointment/m3", "Appointment/m6"];
    let new = role("p1", "09:00", "12:00");
    let parameters = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{new}}}]}}"#
    );
    assert_eq!(f.previewed(&[], Some(&parameters)).await, all);
    assert_eq!(f.previewed(&[], Some(&new)).await, all);
    assert_eq!(f.previewed(&[], None).await, [""; 0]);
    let range = [("start", "2026-11-24"), ("end", "2026-11-24")];
    assert_eq!(f.previewed(&range, Some(&new)).await, ["Appointment/m3"]);
    // Own hours of the Schedule go before those of its role.
    let closed = schedule(
        "s1",
        "PractitionerRole/r1",
        r#",{"url":"availableTime","extension":[{"url":"daysOfWeek","valueCode":"sun"},{"url":"allDay","valueBoolean":true}]}"#,
    );
    assert_eq!(f.previewed(&[], Some(&closed)).await.len(), 4);
    // Whoever sees some only is told how many there are.
    let some = granted("user/Schedule.rs b/Appointment.rs");
    let bundle = f.preview(&[], Some(&new), &some).await.unwrap();
    assert_eq!(identities(&bundle), ["Appointment/m2"]);
    assert_eq!(at(bundle.root(), "total"), "1");
    assert!(
        bundle
            .text()
            .contains("2 more are outside of the hours that you may not see")
    );
    let none = f.preview(&[], None, &granted("user/Schedule.rs")).await;
    assert_eq!(none.unwrap_err().kind, ErrorKind::Forbidden);
    let none = f.preview(&[], None, &granted("user/Appointment.rs")).await;
    assert_eq!(none.unwrap_err().kind, ErrorKind::Forbidden);
    // Nothing was written; now it is.
    assert_eq!(f.read("PractitionerRole", "r1").await.unwrap().version, 1);
    f.put(&new).await;
    assert_eq!(f.previewed(&[], None).await, all);
    // What has begun is not looked at.
    f.clock.advance(3 * 24 * HOUR + 15 * HOUR + 1_000);
    assert_eq!(f.previewed(&[], None).await, all[1..]);
}

async fn a_preview_says_what_is_wrong_with_it(on: Database) {
    let f = practice(on).await;
    let wrong_hours = role("p1", "09:00", "12:00").replace("09:00:00", "25:00:00");
    for (body, kind, sentence) in [
        (
            r#"{"resourceType":"Patient","id":"a"}"#,
            ErrorKind::Invalid,
            "not from Patient",
        ),
        (
            r#"{"resourceType":"Location","status":"active"}"#,
            ErrorKind::Invalid,
            "needs its id",
        ),
        (&wrong_hours, ErrorKind::Unprocessable, "availableStartTime"),
    ] {
        let error = f.preview(&[], Some(body), &ALL).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(format!("{error:?}").contains(sentence), "{error:?}");
    }
    let other = r#"{"resourceType":"Location","id":"elsewhere"}"#;
    let bundle = f.preview(&[], Some(other), &ALL).await.unwrap();
    assert!(
        bundle
            .text()
            .contains("Location/elsewhere was given, but no hours")
    );
}
