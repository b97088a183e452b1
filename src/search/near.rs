//! `near`: a circle on the globe as ranges of cells.

use resources::{
    index::key::{self, FACE_BITS, FACES, PLACE_BITS, Vector, space},
    outcome::Issue,
};

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

/// A point and a distance around it, as an angle seen from the centre of the globe.
struct Circle {
    centre: Vector,
    /// The cell that the centre lies in.
    code: u64,
    angle: f64,
}

/// The keys of positions in a circle: `latitude|longitude[|distance[|unit]]`. The covering is
/// exact to about one per cent of the distance, or to two centimetres. Without a distance it is
/// 25 km, without a unit kilometres.
pub(super) fn near(text: &str) -> Result<Vec<KeyRange>, Fault> {
    Ok(Circle::parse(text)?.cover())
}

/// What `near` is asked for: latitude and longitude in degrees, and the distance in kilometres.
///
/// # Errors
/// The text is not of the form, as an issue of the parameter `near`.
pub fn circle(text: &str) -> Result<(f64, f64, f64), Issue> {
    Circle::read(text).map_err(|fault| fault.issue("near"))
}

impl Circle {
    fn parse(text: &str) -> Result<Self, Fault> {
        let (latitude, longitude, km) = Self::read(text)?;
        let centre = key::vector(latitude, longitude);
        Ok(Self {
            centre,
            code: key::place(centre),
            angle: km / EARTH_KM,
        })
    }

    fn read(text: &str) -> Result<(f64, f64, f64), Fault> {
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
        let latitude = number(0, "latitude", -90.0, 90.0)?;
        let longitude = number(1, "longitude", -180.0, 180.0)?;
        let km = if given(2) { distance * unit } else { distance };
        Ok((latitude, longitude, km))
    }

    /// Halves cells until the next level would need too many ranges. Of the cells that the
    /// circle's edge crosses in the end, those count whose centre lies within, and the one that
    /// has the circle's own.
    fn cover(&self) -> Vec<KeyRange> {
        let mut inside: Vec<Cell> = Vec::new();
        let mut edge = Cell::faces();
        let mut best = Vec::new();
        while edge.first().is_some_and(|cell| cell.bits < PLACE_BITS) {
            let mut next = Vec::new();
            for half in edge.iter().flat_map(|cell| cell.halves()) {
                match self.meets(&half) {
                    Meets::No => {}
                    Meets::Whole => inside.push(half),
                    Meets::Edge { centred } => next.push((half, centred)),
                }
            }
            let centred = next.iter().filter(|(_, centred)| *centred);
            let ranges = merged(inside.iter().chain(centred.map(|(cell, _)| cell)));
            if ranges.len() > MAX_RANGES || next.len() > 8 * MAX_RANGES {
                break;
            }
            best = ranges;
            edge = next.into_iter().map(|(cell, _)| cell).collect();
        }
        best.into_iter()
            .map(|(from, to)| key_range(from, to))
            .collect()
    }

    fn meets(&self, cell: &Cell) -> Meets {
        let Some((centre, reach)) = cell.around() else {
            return Meets::No;
        };
        let away = angle(self.centre, centre);
        if cell.holds(self.code) {
            // Rounding may put a point beyond the edges of its own cell.
            return if away + reach <= self.angle {
                Meets::Whole
            } else {
                Meets::Edge { centred: true }
            };
        }
        if away - reach > self.angle {
            Meets::No
        } else if away + reach <= self.angle {
            Meets::Whole
        } else {
            Meets::Edge {
                centred: away <= self.angle,
            }
        }
    }
}

enum Meets {
    No,
    Edge { centred: bool },
    Whole,
}

/// The angle between two points as seen from the centre of the globe, exact for small ones too.
fn angle(a: Vector, b: Vector) -> f64 {
    let chord: f64 = (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum();
    2.0 * (chord.sqrt() / 2.0).min(1.0).asin()
}

/// The positions whose codes begin with the first `bits` bits of `code`.
#[derive(Debug, Clone, Copy)]
struct Cell {
    code: u64,
    bits: u32,
}

impl Cell {
    /// All there is.
    fn faces() -> Vec<Self> {
        let face = |face: u64| Self {
            code: face << (PLACE_BITS - FACE_BITS),
            bits: FACE_BITS,
        };
        (0..FACES).map(face).collect()
    }

    fn halves(self) -> [Self; 2] {
        let bits = self.bits + 1;
        let second = self.code | 1 << (PLACE_BITS - bits);
        [Self { bits, ..self }, Self { code: second, bits }]
    }

    fn last(self) -> u64 {
        self.code | u64::MAX.checked_shr(self.bits).unwrap_or(0)
    }

    fn holds(self, code: u64) -> bool {
        (self.code..=self.last()).contains(&code)
    }

    /// The circle around it: its centre, and the angle to the corner that is farthest from there.
    fn around(self) -> Option<(Vector, f64)> {
        let corners = key::corners(self.code, self.last())?;
        let sum = |axis: usize| corners.iter().map(|corner| corner[axis]).sum();
        let centre = key::unit([sum(0), sum(1), sum(2)]);
        let reach = corners.iter().map(|corner| angle(centre, *corner));
        Some((centre, reach.fold(0.0, f64::max)))
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
    let high = to
        .checked_add(1)
        .map(key::near_code)
        .or_else(|| successor(&[space::NEAR]));
    KeyRange::between(key::near_code(from), high)
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
            let angle = Circle::parse(text).map(|circle| circle.angle);
            assert_eq!(angle, Ok(km / EARTH_KM), "{text}");
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

    /// The haversine formula, which knows nothing of cells.
    fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let across = a.0.to_radians().cos() * b.0.to_radians().cos() * half(b.1 - a.1);
        2.0 * EARTH_KM * (half(b.0 - a.0) + across).sqrt().min(1.0).asin()
    }

    /// Where one comes from `start` by going `km` in the direction of `bearing`.
    fn from((latitude, longitude): (f64, f64), km: f64, bearing: f64) -> (f64, f64) {
        let (up, way, bearing) = (latitude.to_radians(), km / EARTH_KM, bearing.to_radians());
        let there = (up.sin() * way.cos() + up.cos() * way.sin() * bearing.cos()).clamp(-1.0, 1.0);
        let east = bearing.sin() * way.sin() * up.cos();
        let around = east.atan2(way.cos() - up.sin() * there).to_degrees();
        let turned = (longitude + around + 180.0).rem_euclid(360.0) - 180.0;
        (there.asin().to_degrees(), turned)
    }

    fn latitude() -> impl Strategy<Value = f64> {
        prop_oneof![
            -90.0..=90.0f64,
            85.0..=90.0f64,
            -90.0..=-85.0f64,
            Just(90.0),
            Just(-90.0)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_circle_is_covered_to_about_one_per_cent(
            latitude in latitude(),
            longitude in -180.0..=180.0f64,
            size in -5.0..4.3f64,
            bearing in 0.0..360.0f64,
            part in 0.0..2.0f64,
        ) {
            let km = 10f64.powf(size);
            let ranges = near(&format!("{latitude}|{longitude}|{km}")).unwrap();
            prop_assert!(ranges.len() <= MAX_RANGES);
            let centre = (latitude, longitude);
            let there = from(centre, km * part, bearing);
            let distance = distance_km(centre, there);
            if distance < km * 0.97 - 0.00003 {
                prop_assert!(found(&ranges, there.0, there.1), "{distance} of {km} not found");
            }
            if distance > km * 1.03 + 0.00003 {
                prop_assert!(!found(&ranges, there.0, there.1), "{distance} of {km} found");
            }
            prop_assert!(found(&ranges, latitude, longitude));
        }
    }

    #[test]
    fn the_date_line_and_the_poles_are_no_borders() {
        for (circle, inside, outside) in [
            (
                "10|179.9|100",
                vec![(10.0, -179.9), (10.0, 179.2)],
                (10.0, -178.0),
            ),
            (
                "89.9|0|100",
                vec![(89.8, 180.0), (89.8, -90.0)],
                (88.0, 0.0),
            ),
            ("89.9|0|50", vec![(89.99, 180.0)], (89.6, 180.0)),
            (
                "90|0|5|km",
                vec![(90.0, 77.0), (89.96, -120.0)],
                (89.9, 10.0),
            ),
            (
                "-90|10|5|km",
                vec![(-90.0, 0.0), (-89.96, 170.0)],
                (89.99, 10.0),
            ),
        ] {
            let ranges = near(circle).unwrap();
            for (latitude, longitude) in inside {
                assert!(
                    found(&ranges, latitude, longitude),
                    "{circle} {latitude} {longitude}"
                );
            }
            assert!(
                !found(&ranges, outside.0, outside.1),
                "{circle} {outside:?}"
            );
        }
    }

    #[test]
    fn a_circle_smaller_than_a_cell_finds_the_place_itself_only() {
        for radius in ["0|km", "0.0001|m", "0.001|m"] {
            let ranges = near(&format!("42.2565|-83.69481|{radius}")).unwrap();
            assert!(found(&ranges, 42.2565, -83.69481), "{radius}");
            assert!(!found(&ranges, 42.25651, -83.69481), "{radius}");
            assert!(!found(&ranges, 52.5, 13.4), "{radius}");
        }
    }
}
