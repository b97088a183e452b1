//! Series over each change of the clock from 2020 to 2037 in every zone, against what the clock
//! shows at one instant after the other.

use std::collections::HashSet;

use super::*;

const DAY: i64 = 86_400;
const MINUTE: i64 = 60;

fn local(zone: &TimeZone, instant: i64) -> DateTime {
    zone.to_datetime(Timestamp::from_second(instant).unwrap())
}

fn offset(zone: &TimeZone, instant: i64) -> i64 {
    let instant = Timestamp::from_second(instant).unwrap();
    i64::from(zone.to_offset(instant).seconds())
}

#[test]
fn series_in_every_zone_over_every_change() {
    let daily = rrule("FREQ=DAILY;COUNT=5");
    let from: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2038-01-01T00:00:00Z".parse().unwrap();
    let mut seen = HashSet::new();
    let mut shifted = 0;
    for name in jiff::tz::db().available() {
        let zone = zone(name.as_str());
        for change in zone
            .following(from)
            .take_while(|change| change.timestamp() < until)
        {
            let change = change.timestamp().as_second();
            let (before, after) = (offset(&zone, change - 1), offset(&zone, change));
            if before == after || !seen.insert((change, before, after)) {
                continue;
            }
            // What the clock shows around the change, and when for the first time.
            let shown: Vec<(i64, DateTime)> = (change - 5 * 3_600..change + 5 * 3_600)
                .step_by((15 * MINUTE) as usize)
                .map(|instant| (instant, local(&zone, instant)))
                .collect();
            for minutes in (-75..=180).step_by(15) {
                let first = change - 2 * DAY + minutes * MINUTE;
                let time = local(&zone, first).time();
                for entry in daily.expand(first, &zone, 5) {
                    let now = local(&zone, entry.start);
                    assert_eq!(entry.local, now, "{}", name.as_str());
                    if !entry.shifted {
                        assert_eq!(now.time(), time, "{} {now}", name.as_str());
                        let is_first = shown
                            .iter()
                            .all(|(other, local)| *local != now || *other >= entry.start);
                        assert!(is_first, "{} {now}", name.as_str());
                        continue;
                    }
                    shifted += 1;
                    // What is left out may be the end of the day before.
                    let date = if time < now.time() {
                        now.date()
                    } else {
                        now.date().yesterday().unwrap()
                    };
                    let nominal = date.to_datetime(time);
                    assert!(shown.iter().all(|(_, local)| *local != nominal));
                    let late = now.duration_since(nominal).as_secs();
                    assert_eq!(late, after - before, "{} {now}", name.as_str());
                }
            }
        }
    }
    assert!(
        seen.len() > 500 && shifted > 500,
        "{} {shifted}",
        seen.len()
    );
}
