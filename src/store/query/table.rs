//! Long lists of key ranges, handed to the database as one argument and joined like a table:
//! neither the length of a statement nor its text depends on how many there are.

use std::collections::BTreeMap;

use super::super::sql::{Dialect, Sql, Value};
use super::condition::{push_range, push_test};
use crate::search::plan::{KeyRange, KeyTest};

/// Up to so many ranges stand in the statement one by one.
pub(super) const FEW: usize = 8;

/// A key after all others.
const END: &[u8] = &[0xff];

/// Ranges that differ in nothing but bytes.
#[derive(Debug, Clone)]
pub(super) struct Table {
    form: Form,
    rows: Vec<KeyRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Single keys.
    Exact,
    /// Each row has bounds, and perhaps tests.
    Bounds,
    /// All rows have the same bounds, and each its tests.
    Tests,
}

/// What the rows of a table have in common: of each test the sort and the place.
type Shape = Vec<(u8, usize, usize)>;

impl Table {
    /// All of `ranges`, in as few tables as they fit into.
    pub fn all(ranges: &[KeyRange]) -> Vec<Self> {
        let (mut exact, mut bounds) = (Vec::new(), Vec::new());
        let mut tested: BTreeMap<Shape, Vec<KeyRange>> = BTreeMap::new();
        for range in ranges {
            if !range.test.is_empty() {
                tested.entry(shape(range)).or_default().push(range.clone());
            } else if range.is_exact() {
                exact.push(range.clone());
            } else {
                bounds.push(range.clone());
            }
        }
        exact.sort_by(|a, b| a.low.cmp(&b.low));
        exact.dedup();
        let mut tables = vec![
            Self {
                form: Form::Exact,
                rows: exact,
            },
            Self {
                form: Form::Bounds,
                rows: merged(bounds),
            },
        ];
        tables.retain(|table| !table.rows.is_empty());
        tables.extend(tested.into_values().map(|rows| Self {
            form: match rows.first() {
                Some(first) if rows.iter().all(|row| is_same_stretch(row, first)) => Form::Tests,
                _ => Form::Bounds,
            },
            rows,
        }));
        tables
    }

    /// True if each row is one key.
    pub fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }

    /// Appends a query of the resources, `rid`, with an entry of `param` in one of the ranges;
    /// `bounds` is what is said of the number.
    pub fn push_source(&self, sql: &mut Sql, param: u32, bounds: impl FnOnce(&mut Sql, &str)) {
        let (e, t) = (sql.alias('e'), sql.alias('t'));
        // Apart from the rows, PostgreSQL finds the way into the index as for a single range.
        let is_apart = sql.dialect == Dialect::Postgres && self.form != Form::Tests;
        if is_apart {
            let l = sql.alias('l');
            sql.push(&format!("SELECT {l}.rid AS rid FROM "));
            self.push_rows(sql, &t);
            sql.push(" CROSS JOIN LATERAL (");
            self.push_entries(sql, param, (&e, &t), bounds);
            sql.push(&format!(" OFFSET 0) {l}"));
        } else {
            self.push_entries(sql, param, (&e, &t), bounds);
        }
    }

    fn push_entries(
        &self,
        sql: &mut Sql,
        param: u32,
        (e, t): (&str, &str),
        bounds: impl FnOnce(&mut Sql, &str),
    ) {
        sql.push(&format!("SELECT {e}.rid AS rid FROM "));
        if sql.dialect == Dialect::Sqlite && self.form != Form::Tests {
            self.push_rows(sql, t);
            sql.push(" CROSS JOIN ");
        }
        sql.push(&format!("entry {e} WHERE {e}.param="));
        sql.bind(Value::Param(param)).push(" AND ");
        match self.form {
            Form::Exact => {
                sql.push(&format!("{e}.key={t}.c0"));
            }
            Form::Bounds => self.push_match(sql, e, t),
            Form::Tests => self.push_condition(sql, e),
        }
        bounds(sql, &format!("{e}.rid"));
    }

    /// Appends what says that the key of `alias` is in one of the ranges. The rows are made once
    /// for the statement.
    pub fn push_condition(&self, sql: &mut Sql, alias: &str) {
        let t = sql.alias('t');
        match self.form {
            Form::Exact => {
                // The plus keeps SQLite from one index probe for each row; what follows the list
                // keeps PostgreSQL from making a join of it.
                let (plus, alone) = match sql.dialect {
                    Dialect::Sqlite => ("+", ""),
                    Dialect::Postgres => ("", " OR 1=0"),
                };
                sql.push(&format!("({plus}{alias}.key IN (SELECT {t}.c0 FROM "));
                self.push_rows(sql, &t);
                sql.push(&format!("){alone})"));
            }
            Form::Bounds | Form::Tests => {
                sql.push("(");
                if let (Form::Tests, Some(first)) = (self.form, self.rows.first()) {
                    let stretch = KeyRange::between(first.low.clone(), first.high.clone());
                    push_range(sql, alias, &stretch);
                    sql.push(" AND ");
                }
                let names: Vec<String> = (0..self.width()).map(|at| format!("c{at}")).collect();
                let names = names.join(",");
                let r = sql.alias('t');
                sql.push(&format!(
                    "(WITH {t}({names}) AS MATERIALIZED (SELECT {names} FROM "
                ));
                self.push_rows(sql, &r);
                sql.push(&format!(") SELECT 1 FROM {t} WHERE "));
                self.push_match(sql, alias, &t);
                sql.push(" LIMIT 1) IS NOT NULL)");
            }
        }
    }

    /// Appends what says that the key of `alias` fits the row of the table `t`.
    fn push_match(&self, sql: &mut Sql, alias: &str, t: &str) {
        let mut column = 0;
        if self.form == Form::Bounds {
            sql.push(&format!("{alias}.key>={t}.c0 AND {alias}.key<{t}.c1"));
            column = 2;
        }
        let tests = self.rows.first().map_or(&[][..], |first| &first.test);
        for test in tests {
            if column > 0 {
                sql.push(" AND ");
            }
            push_test(sql, alias, test, |sql| {
                sql.push(&format!("{t}.c{column}"));
            });
            column += 1;
        }
    }

    fn width(&self) -> usize {
        let tests = self.rows.first().map_or(0, |first| first.test.len());
        match self.form {
            Form::Exact => 1,
            Form::Bounds => 2 + tests,
            Form::Tests => tests,
        }
    }

    /// The values of a row.
    fn cells<'t>(&self, row: &'t KeyRange) -> Vec<&'t [u8]> {
        let high = row.high.as_deref().unwrap_or(END);
        let tests = row.test.iter().map(|test| place(test).3);
        match self.form {
            Form::Exact => vec![&row.low],
            Form::Bounds => [row.low.as_slice(), high]
                .into_iter()
                .chain(tests)
                .collect(),
            Form::Tests => tests.collect(),
        }
    }

    /// Appends the rows as a table `t` with the columns `c0`, `c1` and so on.
    fn push_rows(&self, sql: &mut Sql, t: &str) {
        let columns = 0..self.width();
        match sql.dialect {
            Dialect::Sqlite => {
                let each: Vec<String> = columns
                    .map(|at| format!("unhex(value->>{at}) AS c{at}"))
                    .collect();
                sql.push(&format!("(SELECT {} FROM json_each(", each.join(",")));
                sql.bind(Value::Text(self.json())).push(&format!(")) {t}"));
            }
            Dialect::Postgres => {
                let names: Vec<String> = columns.clone().map(|at| format!("c{at}")).collect();
                sql.push("unnest(");
                for at in columns {
                    let cells = self.rows.iter().map(|row| self.cells(row)[at].to_vec());
                    if at > 0 {
                        sql.push(",");
                    }
                    sql.bind(Value::Keys(cells.collect())).push("::bytea[]");
                }
                sql.push(&format!(") AS {t}({})", names.join(",")));
            }
        }
    }

    /// The rows as a list of lists of hexadecimal digits.
    fn json(&self) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let mut text = String::from("[");
        for (at, row) in self.rows.iter().enumerate() {
            text.push_str(if at > 0 { ",[" } else { "[" });
            for (at, cell) in self.cells(row).into_iter().enumerate() {
                text.push_str(if at > 0 { ",\"" } else { "\"" });
                for byte in cell {
                    text.push(DIGITS[usize::from(byte >> 4)]);
                    text.push(DIGITS[usize::from(byte & 15)]);
                }
                text.push('"');
            }
            text.push(']');
        }
        text.push(']');
        text
    }
}

fn is_same_stretch(a: &KeyRange, b: &KeyRange) -> bool {
    a.low == b.low && a.high == b.high
}

/// Ranges without tests, in order, those that overlap or touch made one.
fn merged(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.sort_by(|a, b| a.low.cmp(&b.low));
    let mut merged: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if last.high.as_ref().is_none_or(|high| *high >= range.low) => {
                last.high = match (last.high.take(), range.high) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                };
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn shape(range: &KeyRange) -> Shape {
    let each = range.test.iter().map(|test| {
        let (sort, from, length, _) = place(test);
        (sort, from, length)
    });
    each.collect()
}

/// Sort and place of a test, as far as the statement depends on it, and what is compared.
fn place(test: &KeyTest) -> (u8, usize, usize, &[u8]) {
    match test {
        KeyTest::AtLeast(offset, bytes) => (0, *offset, bytes.len(), bytes),
        KeyTest::Below(offset, bytes) => (1, *offset, bytes.len(), bytes),
        KeyTest::EndsWith(bytes) => (2, 0, bytes.len(), bytes),
        KeyTest::TailEquals { from_end, bytes } => (3, *from_end, bytes.len(), bytes),
        KeyTest::Contains(offset, bytes) => (4, *offset, 0, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: &str, high: &str) -> KeyRange {
        KeyRange::between(low.into(), (!high.is_empty()).then(|| high.into()))
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        let given = ["e-g", "a-c", "b-d", "d-e", "k-m", "m-", "p-q"];
        let given = given.map(|text| text.split_once('-').unwrap());
        let given = given.map(|(low, high)| range(low, high)).to_vec();
        assert_eq!(merged(given), [range("a", "g"), range("k", "")]);
    }

    #[test]
    fn ranges_of_one_shape_share_a_table() {
        let tested =
            |low: &str, end: &str| range(low, "z").with(KeyTest::EndsWith(end.as_bytes().to_vec()));
        let exact = |key: &str| KeyRange::exact(key.into());
        let forms = |ranges: &[KeyRange]| -> Vec<(Form, usize)> {
            let tables = Table::all(ranges);
            tables
                .iter()
                .map(|table| (table.form, table.rows.len()))
                .collect()
        };
        let mixed = [
            exact("b"),
            tested("a", "x"),
            exact("a"),
            range("c", "d"),
            exact("b"),
        ];
        assert_eq!(
            forms(&mixed),
            [(Form::Exact, 2), (Form::Bounds, 1), (Form::Tests, 1)]
        );
        let same = [tested("a", "x"), tested("a", "y"), tested("a", "zz")];
        assert_eq!(forms(&same), [(Form::Tests, 2), (Form::Tests, 1)]);
        assert_eq!(
            forms(&[tested("a", "x"), tested("b", "y")]),
            [(Form::Bounds, 2)]
        );
    }

    #[test]
    fn a_statement_is_the_same_for_more_values() {
        let text = |dialect, count: u8| {
            let ranges: Vec<KeyRange> = (0..count)
                .flat_map(|at| [KeyRange::exact(vec![at]), KeyRange::prefix(vec![at, 1])])
                .collect();
            let mut sql = Sql::new(dialect, "");
            for table in Table::all(&ranges) {
                table.push_condition(&mut sql, "e");
                table.push_source(&mut sql, 7, |_, _| {});
            }
            sql.text
        };
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            assert_eq!(text(dialect, 9), text(dialect, 90));
        }
    }
}
