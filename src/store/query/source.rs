//! Sets of candidates that an index gives: what drives a search.

use resources::{index::key::reference_prefix, model::ResourceType};

use super::super::{
    fulltext,
    sql::{Dialect, Sql, Value},
};
use super::{
    canonical::{push_named, push_naming, references},
    condition::{id_of_reference, push_range, push_updated, reference_to},
    table::{FEW, Table},
};
use crate::search::plan::{Canonical, Clause, KeyRange, TextPart};

pub(super) use super::condition::push_bounds;

/// Queries that are joined by `UNION ALL` at one level.
const JOINED: usize = 100;

/// Resources of one type that one index range, or a hop from one, gives. All that satisfy the
/// clause it was made from are among them; others may be.
#[derive(Debug, Clone)]
pub(super) enum Source<'p> {
    /// Entries in a range of keys.
    Range { param: u32, range: &'p KeyRange },
    /// Entries in one of many ranges of keys.
    Table { param: u32, table: Table },
    /// Logical ids.
    Ids(&'p [String]),
    /// Times of the last change.
    Updated { from: Option<i64>, to: Option<i64> },
    /// Words in a text.
    Text {
        part: TextPart,
        words: &'p [Vec<String>],
    },
    /// What refers to candidates of another type.
    Refers {
        param: u32,
        target: ResourceType,
        canonical: Option<Canonical>,
        inner: Vec<Source<'p>>,
    },
    /// What candidates of another type refer to.
    ReferredBy {
        source: ResourceType,
        param: u32,
        canonical: Option<Canonical>,
        inner: Vec<Source<'p>>,
    },
}

/// The sources whose union holds all that satisfies `clause`; `None` if no index gives them.
pub(super) fn sources(clause: &Clause) -> Option<Vec<Source<'_>>> {
    match clause {
        Clause::Keys { param, ranges } if ranges.len() > FEW => Some(
            Table::all(ranges)
                .into_iter()
                .map(|table| Source::Table {
                    param: param.0,
                    table,
                })
                .collect(),
        ),
        Clause::Keys { param, ranges } => Some(
            ranges
                .iter()
                .map(|range| Source::Range {
                    param: param.0,
                    range,
                })
                .collect(),
        ),
        Clause::Ids(ids) => Some(vec![Source::Ids(ids)]),
        Clause::Decided(part) => sources(part),
        Clause::Updated { from, to } => Some(vec![Source::Updated {
            from: *from,
            to: *to,
        }]),
        Clause::Any(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(sources(part)?);
            }
            Some(all)
        }
        Clause::All(parts) => parts
            .iter()
            .filter_map(sources)
            .min_by_key(|found| rank(found)),
        Clause::Refers {
            param,
            target,
            canonical,
            inner,
        } => Some(vec![Source::Refers {
            param: param.0,
            target: *target,
            canonical: *canonical,
            inner: sources(inner)?,
        }]),
        Clause::ReferredBy {
            source,
            param,
            canonical,
            inner,
        } => Some(vec![Source::ReferredBy {
            source: *source,
            param: param.0,
            canonical: *canonical,
            inner: sources(inner)?,
        }]),
        Clause::Text { part, words } => Some(vec![Source::Text { part: *part, words }]),
        Clause::HasParam(_) | Clause::Not(_) | Clause::Type(_) => None,
    }
}

/// True if the sources are single keys: what is in somebody's record, say.
pub(super) fn are_exact(sources: &[Source<'_>]) -> bool {
    let is_exact = |source: &Source<'_>| match source {
        Source::Range { range, .. } => range.is_exact(),
        Source::Table { table, .. } => table.is_exact(),
        _ => false,
    };
    !sources.is_empty() && sources.iter().all(is_exact)
}

/// How good a driver the sources look without asking the database; less is better.
fn rank(sources: &[Source<'_>]) -> usize {
    let each = |source: &Source<'_>| match source {
        Source::Ids(_) => 0,
        Source::Range { range, .. } if range.is_exact() => 1,
        Source::Table { table, .. } if table.is_exact() => 1,
        Source::Refers { inner, .. } | Source::ReferredBy { inner, .. } => 2 + rank(inner),
        Source::Range { .. } | Source::Table { .. } => 4,
        Source::Text { .. } => 4,
        Source::Updated { .. } => 8,
    };
    sources.iter().map(each).max().unwrap_or(0)
}

/// Appends a query of the numbers, `rid`, that the sources give, with repetitions.
pub(super) fn push_union(sql: &mut Sql, sources: &[Source<'_>], kind: ResourceType) {
    if sources.is_empty() {
        sql.push("SELECT rid FROM resource WHERE 1=0");
    }
    // SQLite joins up to 500 queries this way, and more if they are nested.
    if sources.len() > JOINED {
        for (at, part) in sources.chunks(sources.len().div_ceil(JOINED)).enumerate() {
            sql.push(if at > 0 { " UNION ALL " } else { "" });
            let p = sql.alias('p');
            sql.push("SELECT rid FROM (");
            push_union(sql, part, kind);
            sql.push(&format!(") {p}"));
        }
        return;
    }
    for (at, source) in sources.iter().enumerate() {
        if at > 0 {
            sql.push(" UNION ALL ");
        }
        push_source(sql, source, kind);
    }
}

fn push_source(sql: &mut Sql, source: &Source<'_>, kind: ResourceType) {
    match source {
        Source::Range { param, range } => {
            let e = sql.alias('e');
            sql.push(&format!(
                "SELECT {e}.rid AS rid FROM entry {e} WHERE {e}.param="
            ));
            sql.bind(Value::Param(*param)).push(" AND ");
            push_range(sql, &e, range);
            push_bounds(sql, &format!("{e}.rid"), kind);
        }
        Source::Table { param, table } => {
            table.push_source(sql, *param, |sql, rid| push_bounds(sql, rid, kind));
        }
        Source::Ids(ids) => {
            let r = sql.alias('r');
            sql.push(&format!(
                "SELECT {r}.rid AS rid FROM resource {r} WHERE {r}.type={} AND {r}.deleted=0 AND {r}.id",
                kind.number()
            ));
            sql.in_texts(ids);
        }
        Source::Text { part, words } => {
            let (f, w, r) = (sql.alias('f'), sql.alias('w'), sql.alias('r'));
            let number = fulltext::number_column(sql.dialect);
            // Apart from the rest, PostgreSQL has no other way to the rows than the words' index.
            sql.push(&format!(
                "SELECT {r}.rid AS rid FROM (SELECT {w}.{number} AS rid FROM fulltext {w} WHERE "
            ));
            fulltext::push_match(sql, &w, *part, words);
            if sql.dialect == Dialect::Sqlite {
                push_bounds(sql, &format!("{w}.{number}"), kind);
            } else {
                sql.push(" OFFSET 0");
            }
            sql.push(&format!(
                ") {f} CROSS JOIN resource {r} WHERE {r}.rid={f}.rid AND {r}.deleted=0"
            ));
            push_bounds(sql, &format!("{f}.rid"), kind);
        }
        Source::Updated { from, to } => {
            let r = sql.alias('r');
            sql.push(&format!(
                "SELECT {r}.rid AS rid FROM resource {r} WHERE {r}.type={} AND {r}.deleted=0",
                kind.number()
            ));
            push_updated(sql, &r, *from, *to);
        }
        Source::Refers {
            param,
            target,
            canonical: Some(canonical),
            inner,
        } => {
            let (i, u, e) = (sql.alias('i'), sql.alias('u'), sql.alias('e'));
            sql.push(&format!("SELECT {e}.rid AS rid FROM ("));
            push_union(sql, inner, *target);
            sql.push(&format!(
                ") {i} CROSS JOIN entry {u} CROSS JOIN entry {e} WHERE {u}.rid={i}.rid AND {u}.param="
            ));
            sql.bind(Value::Param(canonical.url.0));
            push_naming(sql, &u, &e, *param);
            push_bounds(sql, &format!("{e}.rid"), kind);
        }
        Source::Refers {
            param,
            target,
            canonical: None,
            inner,
        } => {
            let (i, t, e) = (sql.alias('i'), sql.alias('t'), sql.alias('e'));
            sql.push(&format!("SELECT {e}.rid AS rid FROM ("));
            push_union(sql, inner, *target);
            sql.push(&format!(
                ") {i} CROSS JOIN resource {t} CROSS JOIN entry {e} WHERE {t}.rid={i}.rid AND {e}.param="
            ));
            sql.bind(Value::Param(*param));
            sql.push(&format!(
                " AND {e}.key={}",
                reference_to(sql.dialect, *target, &t)
            ));
            push_bounds(sql, &format!("{e}.rid"), kind);
        }
        Source::ReferredBy {
            source,
            param,
            canonical: Some(canonical),
            inner,
        } => {
            let (i, e, u) = (sql.alias('i'), sql.alias('e'), sql.alias('u'));
            sql.push(&format!("SELECT {u}.rid AS rid FROM ("));
            push_union(sql, inner, *source);
            sql.push(&format!(
                ") {i} CROSS JOIN entry {e} CROSS JOIN entry {u} WHERE {e}.rid={i}.rid AND {e}.param="
            ));
            sql.bind(Value::Param(*param)).push(" AND ");
            push_range(sql, &e, &references());
            push_named(sql, &e, &u, *canonical);
            push_bounds(sql, &format!("{u}.rid"), kind);
        }
        Source::ReferredBy {
            source,
            param,
            canonical: None,
            inner,
        } => {
            let (i, e, t) = (sql.alias('i'), sql.alias('e'), sql.alias('t'));
            sql.push(&format!("SELECT {t}.rid AS rid FROM ("));
            push_union(sql, inner, *source);
            sql.push(&format!(
                ") {i} CROSS JOIN entry {e} CROSS JOIN resource {t} WHERE {e}.rid={i}.rid AND {e}.param="
            ));
            sql.bind(Value::Param(*param)).push(" AND ");
            push_range(sql, &e, &KeyRange::prefix(reference_prefix(kind)));
            sql.push(&format!(
                " AND {t}.type={} AND {t}.id={} AND {t}.deleted=0",
                kind.number(),
                id_of_reference(sql.dialect, &e)
            ));
        }
    }
}
