//! UCUM's table of prefixes and units, read from its published form.

use std::{collections::HashMap, sync::OnceLock};

use super::{
    Dimension, Number, Offset, Unit,
    expression::{one, parse},
};
use crate::primitive::Decimal;

static ESSENCE: &str = include_str!("../../ucum/ucum-essence.xml");

/// Prefixes and units by their case-sensitive codes.
pub(super) struct Table {
    prefixes: HashMap<&'static str, Number>,
    units: HashMap<&'static str, Known>,
}

struct Known {
    metric: bool,
    unit: Unit,
}

/// A row of the table that is not worked out yet.
struct Row {
    code: &'static str,
    metric: bool,
    /// A base of its own: the table defines it by nothing that can be multiplied.
    opaque: bool,
    function: Option<&'static str>,
    value: &'static str,
    unit: &'static str,
}

impl Table {
    pub(super) fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(ESSENCE))
    }

    fn read(essence: &'static str) -> Self {
        let mut table = Self {
            prefixes: HashMap::new(),
            units: HashMap::new(),
        };
        let mut rows = rows(essence, &mut table);
        // Units are defined by others that may come later, so several rounds are needed.
        loop {
            let before = rows.len();
            rows.retain(|row| match table.worked_out(row) {
                Some(known) => {
                    table.units.insert(row.code, known);
                    false
                }
                None => true,
            });
            if rows.len() == before {
                return table;
            }
        }
    }

    fn worked_out(&self, row: &Row) -> Option<Known> {
        let metric = row.metric;
        if row.opaque {
            let unit = Unit {
                dimension: Dimension::base(row.code),
                ..one()
            };
            return Some(Known { metric, unit });
        }
        let value = Number::from(&Decimal::parse(row.value)?);
        let mut unit = parse(row.unit, self)?;
        unit.factor = unit.factor.times(value);
        unit.offset = row.function.and_then(offset);
        Some(Known { metric, unit })
    }

    /// The unit with this symbol, which may have a prefix.
    pub(super) fn unit(&self, symbol: &str) -> Option<Unit> {
        if let Some(known) = self.units.get(symbol) {
            return Some(known.unit.clone());
        }
        for length in [1, 2] {
            let (Some(prefix), Some(rest)) = (symbol.get(..length), symbol.get(length..)) else {
                return None;
            };
            if let (Some(scale), Some(known)) = (self.prefixes.get(prefix), self.units.get(rest))
                && known.metric
                && known.unit.offset.is_none()
            {
                let mut unit = known.unit.clone();
                unit.factor = unit.factor.times(*scale);
                return Some(unit);
            }
        }
        None
    }
}

/// What to add for the scales of temperature, before and after multiplying by the factor.
fn offset(function: &str) -> Option<Offset> {
    let zero = Number::new(0, 0);
    let celsius = Number::new(27_315, -2);
    let fahrenheit = Number::new(45_967, -2);
    let (before, after) = match function {
        "Cel" | "degRe" => (zero, celsius),
        "degF" => (fahrenheit, zero),
        _ => return None,
    };
    Some(Offset { before, after })
}

/// Reads prefixes and base units into `table`; the other units are returned as rows.
fn rows(essence: &'static str, table: &mut Table) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut prefix = None;
    for tag in tags(essence) {
        let attribute = |name| attribute(tag, name);
        match tag.split_whitespace().next() {
            Some("prefix") => prefix = attribute("Code"),
            Some("base-unit") => {
                if let Some(code) = attribute("Code") {
                    let unit = Unit {
                        dimension: Dimension::base(code),
                        ..one()
                    };
                    table.units.insert(code, Known { metric: true, unit });
                }
            }
            Some("unit") => {
                prefix = None;
                rows.push(Row {
                    code: attribute("Code").unwrap_or_default(),
                    metric: attribute("isMetric") == Some("yes"),
                    opaque: attribute("isArbitrary") == Some("yes"),
                    function: None,
                    value: "",
                    unit: "",
                });
            }
            Some("value") => match (prefix.take(), rows.last_mut()) {
                (Some(prefix), _) => {
                    let scale = attribute("value").and_then(Decimal::parse);
                    table
                        .prefixes
                        .extend(scale.map(|scale| (prefix, Number::from(&scale))));
                }
                (None, Some(row)) => {
                    row.value = attribute("value").unwrap_or_default();
                    row.unit = attribute("Unit").unwrap_or_default();
                }
                (None, None) => {}
            },
            Some("function") => {
                if let Some(row) = rows.last_mut() {
                    row.function = attribute("name");
                    row.opaque = row.function.and_then(offset).is_none();
                    row.value = attribute("value").unwrap_or_default();
                    row.unit = attribute("Unit").unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    rows
}

/// What stands between `<` and `>`. The table has neither CDATA nor `>` in attributes.
fn tags(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
}

fn attribute(tag: &'static str, name: &str) -> Option<&'static str> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once("=\"")?;
        let (value, next) = after.split_once('"')?;
        if before.split_whitespace().next_back() == Some(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// All codes of the table.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    tags(ESSENCE)
        .filter(|tag| tag.starts_with("unit ") || tag.starts_with("base-unit "))
        .filter_map(|tag| attribute(tag, "Code"))
}
