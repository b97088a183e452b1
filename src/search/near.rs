//! `near`: a circle on the globe as ranges of Morton codes.

use resources::index::key::{self, space};

use super::{
    fault::Fault,
    plan::{KeyRange, successor},
    text::{split, unescape},
};

/// The distance that is taken if the search names none.
const DEFAULT_KM: f64 = 25.0;
/// The most ranges of a circle.
const MAX_RANGES: usize = 128;
const EARTH_KM: f64 = 6371.0088;
const DEGREE_KM: f64 = EARTH_KM * std::f64::consts::PI / 180.0;

/// A point and a distance around it.
struct Circle {
    latitude: f64,
    longitude: f64,
    km: f64,
}

/// The keys of positions in a circle: `latitude|longitude[|distance[|unit]]`. The covering is
/// exact to about one per cent of the distance, and coarser for circles that reach beyond 85°.
/// Without a distance it is 25 km, without a unit kilometres.
pub(super) fn near(text: &str) -> Result<Vec<KeyRange>, Fault> {
    Ok(Circle::parse(text)?.cover())
}

impl Circle {
    fn parse(text: &str) -> Result<Self, Fault> {
        let parts: Vec<_> = split(text, b'|').map(unescape).collect();
        if !(2..=4).contains(&parts.len()) {
            return Err(Fault::invalid(format!(
                "'{text}' is not of the form latitude|longitude|distance|unit"
            )));
        }
        let number = |at: usize, name: &str, low: f64, high: f64| {
            let value = parts[at].trim().parse::<f64>().ok();
            value
                .filter(|value| (low..=high).contains(value))
                .ok_or_else(|| {
                    Fault::invalid(format!(
                        "{name} '{}' is not a number from {low} to {high}",
                        parts[at]
                    ))
                })
        };
        let given = |at: usize| parts.get(at).is_some_and(|part| !part.is_empty());
        let distance = if given(2) {
            number(2, "distance", 0.0, 1e9)?
        } else {
            DEFAULT_KM
        };
        let unit = match parts.get(3).map(AsRef::as_ref) {
            None | Some("" | "km") => 1.0,
            Some("m") => 0.001,
            Some("mi" | "[mi_i]" | "[mi_us]") => 1.609_344,
            Some(other) => {
                return Err(Fault::not_supported(format!(
                    "unit '{other}' is not known; use km, m or [mi_us] (mi)"
                )));
            }
        };
        Ok(Self {
            latitude: number(0, "latitude", -90.0, 90.0)?,
            longitude: number(1, "longitude", -180.0, 180.0)?,
            km: if given(2) { distance * unit } else { distance },
        })
    }

    /// Halves cells until the next level would need too many ranges. Of the cells that the
    /// circle's edge crosses in the end, those count whose centre lies within.
    fn cover(&self) -> Vec<KeyRange> {
        let mut inside: Vec<Cell> = Vec::new();
        let mut edge = vec![Cell { code: 0, bits: 0 }];
        let mut best = vec![(0, u64::MAX)];
        while edge.first().is_some_and(|cell| cell.bits < 64) {
            let mut next = Vec::new();
            for half in edge.iter().flat_map(|cell| cell.halves()) {
                match self.meets(&half) {
                    Meets::No => {}
                    Meets::Whole => inside.push(half),
                    Meets::Edge => next.push(half),
                }
            }
            edge = next;
            let centred = edge.iter().filter(|cell| self.has_centre(cell));
            let ranges = merged(inside.iter().chain(centred));
            if ranges.len() > MAX_RANGES || edge.len() > 8 * MAX_RANGES {
                break;
            }
            if !ranges.is_empty() {
                best = ranges;
            }
        }
        best.into_iter()
            .map(|(from, to)| key_range(from, to))
            .collect()
    }

    fn distance_km(&self, latitude: f64, longitude: f64) -> f64 {
        let (a, b) = (self.latitude.to_radians(), latitude.to_radians());
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let across = half((longitude - self.longitude).to_radians());
        let h = half(b - a) + a.cos() * b.cos() * across;
        2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
    }

    fn has_centre(&self, cell: &Cell) -> bool {
        let (south, west, north, east) = cell.bounds();
        self.distance_km((south + north) / 2.0, (west + east) / 2.0) <= self.km
    }

    fn meets(&self, cell: &Cell) -> Meets {
        let (south, west, north, east) = cell.bounds();
        if self.nearest_km(south, west, north, east) > self.km {
            return Meets::No;
        }
        // Circles below a quarter of the globe are convex, and distances grow with the difference
        // in longitude: the two ends of the farthest meridian speak for the whole cell.
        let far = self.farthest_longitude(west, east);
        let small = self.km < 9_000.0 || east - west <= 5.0;
        if small
            && [south, north]
                .iter()
                .all(|at| self.distance_km(*at, far) <= self.km)
        {
            Meets::Whole
        } else {
            Meets::Edge
        }
    }

    fn farthest_longitude(&self, west: f64, east: f64) -> f64 {
        let turn = |degrees: f64| degrees.rem_euclid(360.0);
        let opposite = turn(self.longitude + 180.0 - west);
        if opposite <= east - west {
            return west + opposite;
        }
        let apart = |at: f64| turn(at - self.longitude).min(turn(self.longitude - at));
        if apart(west) > apart(east) {
            west
        } else {
            east
        }
    }

    /// The distance of the cell's nearest point, or a little less.
    fn nearest_km(&self, south: f64, west: f64, north: f64, east: f64) -> f64 {
        let by_latitude = (south - self.latitude).max(self.latitude - north).max(0.0) * DEGREE_KM;
        let turn = |degrees: f64| degrees.rem_euclid(360.0);
        if turn(self.longitude - west) <= east - west {
            return by_latitude;
        }
        let gap = turn(west - self.longitude).min(turn(self.longitude - east));
        let edge = if gap >= 90.0 {
            (90.0 - self.latitude.abs()) * DEGREE_KM
        } else {
            // The distance to a whole meridian.
            let across = gap.to_radians().sin() * self.latitude.to_radians().cos();
            EARTH_KM * across.asin()
        };
        by_latitude.max(edge * 0.999)
    }
}

enum Meets {
    No,
    Edge,
    Whole,
}

/// The positions whose Morton codes begin with the first `bits` bits of `code`.
#[derive(Debug, Clone, Copy)]
struct Cell {
    code: u64,
    bits: u32,
}

impl Cell {
    fn halves(self) -> [Self; 2] {
        let bits = self.bits + 1;
        let second = self.code | 1 << (64 - bits);
        [Self { bits, ..self }, Self { code: second, bits }]
    }

    fn last(self) -> u64 {
        self.code | u64::MAX.checked_shr(self.bits).unwrap_or(0)
    }

    /// South, west, north, east in degrees.
    fn bounds(self) -> (f64, f64, f64, f64) {
        let (south, west) = key::read_morton(self.code);
        let (north, east) = key::read_morton(self.last());
        (south, west, north, east)
    }
}

/// The cells as ranges of codes, both ends inclusive, neighbours joined.
fn merged<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = cells.map(|cell| (cell.code, cell.last())).collect();
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let joined = before.1.checked_add(1) == Some(next.0);
        if joined {
            before.1 = next.1;
        }
        joined
    });
    ranges
}

fn key_range(from: u64, to: u64) -> KeyRange {
    let at = |code: u64| {
        let mut key = vec![space::NEAR];
        key.extend(code.to_be_bytes());
        key
    };
    let high = to
        .checked_add(1)
        .map(at)
        .or_else(|| successor(&[space::NEAR]));
    KeyRange::between(at(from), high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(ranges: &[KeyRange], latitude: f64, longitude: f64) -> bool {
        let key = key::near(latitude, longitude);
        ranges.iter().any(|range| range.holds(&key))
    }

    #[test]
    fn forms_and_units() {
        for (text, km) in [
            ("52.5|13.4", DEFAULT_KM),
            ("52.5|13.4|10", 10.0),
            ("52.5|13.4|10|km", 10.0),
            ("52.5|13.4|500|m", 0.5),
            ("-52.5|-13.4|2|mi", 3.218_688),
            ("52.5|13.4||mi", DEFAULT_KM),
        ] {
            assert_eq!(
                Circle::parse(text).map(|circle| circle.km),
                Ok(km),
                "{text}"
            );
        }
        for text in [
            "",
            "52",
            "91|0",
            "0|181",
            "x|0",
            "0|0|-1",
            "0|0|1|ft",
            "0|0|1|km|x",
            "NaN|0",
        ] {
            assert!(near(text).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_circle_is_covered_to_about_one_per_cent(
            latitude in -85.0..85.0f64,
            longitude in -180.0..180.0f64,
            km in 0.05..2000.0f64,
            bearing in 0.0..360.0f64,
            part in 0.0..2.0f64,
        ) {
            let ranges = near(&format!("{latitude}|{longitude}|{km}")).unwrap();
            prop_assert!(ranges.len() <= MAX_RANGES);
            prop_assume!(latitude.abs() + km / DEGREE_KM < 85.0);
            let circle = Circle { latitude, longitude, km };
            let (north, east) = (bearing.to_radians().cos(), bearing.to_radians().sin());
            let step = km * part / DEGREE_KM;
            let lat = latitude + north * step;
            let lon = longitude + east * step / latitude.to_radians().cos();
            prop_assume!((-90.0..=90.0).contains(&lat));
            let lon = (lon + 180.0).rem_euclid(360.0) - 180.0;
            let distance = circle.distance_km(lat, lon);
            if distance < km * 0.97 {
                prop_assert!(found(&ranges, lat, lon), "{distance} of {km} not found");
            }
            if distance > km * 1.03 {
                prop_assert!(!found(&ranges, lat, lon), "{distance} of {km} found");
            }
        }
    }

    #[test]
    fn the_date_line_and_the_poles_are_no_borders() {
        let line = near("10|179.9|100").unwrap();
        assert!(found(&line, 10.0, -179.9) && found(&line, 10.0, 179.2));
        assert!(!found(&line, 10.0, -178.0));
        let pole = near("89.9|0|100").unwrap();
        assert!(found(&pole, 89.8, 180.0) && found(&pole, 89.8, -90.0));
        assert!(!found(&pole, 88.0, 0.0));
    }
}
