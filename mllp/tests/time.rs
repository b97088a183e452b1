//! Dates and times of v2 as FHIR's.

#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

use jiff::tz::TimeZone;
use mllp::time::{Precision, date_time, time_of_day};

fn text(value: &str) -> String {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    date_time(value, &zone).unwrap().text
}

#[test]
fn the_precision_stays() {
    assert_eq!(text("2024"), "2024");
    assert_eq!(text("202402"), "2024-02");
    assert_eq!(text("20240229"), "2024-02-29");
    assert_eq!(text("20240229101530"), "2024-02-29T10:15:30+01:00");
    assert_eq!(
        text("20240229101530.1234-0530"),
        "2024-02-29T10:15:30.1234-05:30"
    );
    assert_eq!(text("20240229101530+0000"), "2024-02-29T10:15:30Z");
    let zone = TimeZone::UTC;
    assert_eq!(
        date_time("2024022910", &zone).unwrap().precision,
        Precision::Hour
    );
}

#[test]
fn the_zone_is_the_senders() {
    assert_eq!(text("20240715101530"), "2024-07-15T10:15:30+02:00");
    // The clocks skipped 02:30, and showed 02:30 twice.
    assert_eq!(text("20240331023000"), "2024-03-31T03:30:00+02:00");
    assert_eq!(text("20241027023000"), "2024-10-27T02:30:00+02:00");
}

#[test]
fn what_senders_write() {
    assert_eq!(text("20241231240000"), "2025-01-01T00:00:00+01:00");
    let zone = TimeZone::UTC;
    for wrong in [
        "",
        "202",
        "20241301",
        "20240230",
        "2024-02-29",
        "yesterday",
        "20240101256000",
        "00000101",
    ] {
        assert!(date_time(wrong, &zone).is_err(), "{wrong}");
    }
    assert_eq!(time_of_day("1105").unwrap(), "11:05:00");
    assert!(time_of_day("2505").is_err());
}
