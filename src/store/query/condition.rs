//! Clauses as SQL conditions on one candidate.
//!
//! Each condition is a scalar subquery with `LIMIT 1`, which neither planner turns into a join:
//! the candidate comes first, then one index probe per condition, whatever the statistics say.

use resources::{index::key::reference_prefix, model::ResourceType};

use super::super::{
    error::StoreError,
    fulltext,
    sql::{Dialect, Sql, Value, rid_range},
    view::View,
};
use super::{
    canonical,
    table::{FEW, Table},
};
use crate::search::plan::{Clause, KeyRange, KeyTest};

/// Appends what says that the resource of type `kind` whose number is the SQL expression `rid`
/// satisfies `clause`. Never null.
pub(crate) fn push(
    sql: &mut Sql,
    clause: &Clause,
    kind: ResourceType,
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    match clause {
        Clause::All(parts) => push_list(sql, parts, (" AND ", "1=1"), kind, rid, view)?,
        Clause::Any(parts) => push_list(sql, parts, (" OR ", "1=0"), kind, rid, view)?,
        Clause::Not(part) => {
            sql.push("NOT (");
            push(sql, part, kind, rid, view)?;
            sql.push(")");
        }
        Clause::Decided(part) => push(sql, part, kind, rid, &view.whole())?,
        Clause::Keys { param, ranges } => push_keys(sql, param.0, ranges, rid),
        Clause::HasParam(param) => {
            let e = sql.alias('e');
            sql.push(&format!(
                "(SELECT 1 FROM {} WHERE {e}.rid={rid} AND {e}.param=",
                by_rid(sql, &e)
            ));
            sql.bind(Value::Param(param.0))
                .push(" LIMIT 1) IS NOT NULL");
        }
        Clause::Type(wanted) => {
            sql.push(if *wanted == kind { "1=1" } else { "1=0" });
        }
        Clause::Ids(ids) => {
            let r = sql.alias('r');
            sql.push(&format!(
                "(SELECT 1 FROM resource {r} WHERE {r}.rid={rid} AND {r}.id"
            ));
            sql.in_texts(ids).push(" LIMIT 1) IS NOT NULL");
        }
        Clause::Updated { from, to } => {
            let r = sql.alias('r');
            sql.push(&format!("(SELECT 1 FROM resource {r} WHERE {r}.rid={rid}"));
            push_updated(sql, &r, *from, *to);
            sql.push(" LIMIT 1) IS NOT NULL");
        }
        Clause::Refers {
            param,
            target,
            canonical: None,
            inner,
        } => {
            push_refers(sql, param.0, (*target, inner), rid, view)?;
        }
        Clause::Refers {
            param,
            target,
            canonical: Some(canonical),
            inner,
        } => {
            canonical::push_refers(sql, (param.0, *canonical), (*target, inner), rid, view)?;
        }
        Clause::ReferredBy {
            source,
            param,
            canonical: None,
            inner,
        } => {
            push_referred_by(sql, (*source, param.0, inner), kind, rid, view)?;
        }
        Clause::ReferredBy {
            source,
            param,
            canonical: Some(canonical),
            inner,
        } => {
            canonical::push_referred_by(sql, (param.0, *canonical), (*source, inner), rid, view)?;
        }
        // SQLite collects what begins with a prefix anew for each look: once is enough.
        Clause::Text { part, words }
            if sql.dialect == Dialect::Sqlite && fulltext::has_prefix(words) =>
        {
            let f = sql.alias('f');
            sql.push(&format!(
                "{rid} IN (SELECT {f}.rowid FROM fulltext {f} WHERE "
            ));
            fulltext::push_match(sql, &f, *part, words);
            sql.push(")");
        }
        Clause::Text { part, words } => {
            let f = sql.alias('f');
            let number = fulltext::number_column(sql.dialect);
            sql.push(&format!(
                "(SELECT 1 FROM fulltext {f} WHERE {f}.{number}={rid} AND "
            ));
            fulltext::push_match(sql, &f, *part, words);
            sql.push(" LIMIT 1) IS NOT NULL");
        }
    }
    Ok(())
}

/// Appends ` AND` the view's own condition on a resource of type `kind`.
pub(crate) fn push_access(
    sql: &mut Sql,
    kind: ResourceType,
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    if let Some(clause) = view.clause(kind) {
        sql.push(" AND ");
        push(sql, &clause, kind, rid, view)?;
    }
    Ok(())
}

fn push_list(
    sql: &mut Sql,
    parts: &[Clause],
    (joint, empty): (&str, &str),
    kind: ResourceType,
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    if parts.is_empty() {
        sql.push(empty);
        return Ok(());
    }
    if let [only] = parts {
        return push(sql, only, kind, rid, view);
    }
    // Halves of halves: both databases bound how deep an expression may be.
    let (before, after) = parts.split_at(parts.len() / 2);
    sql.push("(");
    push_list(sql, before, (joint, empty), kind, rid, view)?;
    sql.push(joint);
    push_list(sql, after, (joint, empty), kind, rid, view)?;
    sql.push(")");
    Ok(())
}

/// `entry` under an alias, read by resource.
pub(super) fn by_rid(sql: &Sql, alias: &str) -> String {
    match sql.dialect {
        Dialect::Sqlite => format!("entry {alias} INDEXED BY entry_rid"),
        Dialect::Postgres => format!("entry {alias}"),
    }
}

fn push_keys(sql: &mut Sql, param: u32, ranges: &[KeyRange], rid: &str) {
    let e = sql.alias('e');
    if let [only] = ranges
        && only.is_exact()
        && only.test.is_empty()
    {
        sql.push(&format!("(SELECT 1 FROM entry {e} WHERE {e}.param="));
        sql.bind(Value::Param(param))
            .push(&format!(" AND {e}.key="))
            .bytes(&only.low);
        sql.push(&format!(" AND {e}.rid={rid} LIMIT 1) IS NOT NULL"));
        return;
    }
    sql.push(&format!(
        "(SELECT 1 FROM {} WHERE {e}.rid={rid} AND {e}.param=",
        by_rid(sql, &e)
    ));
    sql.bind(Value::Param(param)).push(" AND ");
    push_ranges(sql, &e, ranges);
    sql.push(" LIMIT 1) IS NOT NULL");
}

/// Appends what says that the key of `alias` is in one of the ranges.
pub(crate) fn push_ranges(sql: &mut Sql, alias: &str, ranges: &[KeyRange]) {
    if let [only] = ranges {
        push_range(sql, alias, only);
        return;
    }
    if ranges.len() > FEW {
        sql.push("(");
        for (at, table) in Table::all(ranges).iter().enumerate() {
            sql.push(if at > 0 { " OR " } else { "" });
            table.push_condition(sql, alias);
        }
        sql.push(")");
        return;
    }
    let exact = |range: &&KeyRange| range.is_exact() && range.test.is_empty();
    sql.push("(");
    let mut joint = "";
    if ranges.iter().any(|range| exact(&range)) {
        // The plus keeps SQLite from one index probe for each alternative.
        let plus = if sql.dialect == Dialect::Sqlite {
            "+"
        } else {
            ""
        };
        sql.push(&format!("{plus}{alias}.key"));
        sql.in_keys(
            ranges
                .iter()
                .filter(exact)
                .map(|range| range.low.as_slice()),
        );
        joint = " OR ";
    }
    for range in ranges.iter().filter(|range| !exact(range)) {
        sql.push(joint).push("(");
        push_range(sql, alias, range);
        sql.push(")");
        joint = " OR ";
    }
    if joint.is_empty() {
        sql.push("1=0");
    }
    sql.push(")");
}

/// Appends what says that the key of `alias` is in the range and passes its tests.
pub(crate) fn push_range(sql: &mut Sql, alias: &str, range: &KeyRange) {
    if range.is_exact() {
        sql.push(&format!("{alias}.key=")).bytes(&range.low);
    } else {
        sql.push(&format!("{alias}.key>=")).bytes(&range.low);
        if let Some(high) = &range.high {
            sql.push(&format!(" AND {alias}.key<")).bytes(high);
        }
    }
    for test in &range.test {
        sql.push(" AND ");
        push_test(sql, alias, test, |sql| {
            let (KeyTest::AtLeast(_, bytes)
            | KeyTest::Below(_, bytes)
            | KeyTest::EndsWith(bytes)
            | KeyTest::TailEquals { bytes, .. }
            | KeyTest::Contains(_, bytes)) = test;
            sql.bytes(bytes);
        });
    }
}

/// Appends the test of the key of `alias`; `operand` appends what it is compared with.
pub(crate) fn push_test(
    sql: &mut Sql,
    alias: &str,
    test: &KeyTest,
    operand: impl FnOnce(&mut Sql),
) {
    let sqlite = sql.dialect == Dialect::Sqlite;
    match test {
        KeyTest::AtLeast(offset, bytes) => {
            let (from, length) = (offset + 1, bytes.len());
            sql.push(&format!("substr({alias}.key,{from},{length})>="));
            operand(sql);
        }
        KeyTest::Below(offset, bytes) => {
            let (from, length) = (offset + 1, bytes.len());
            sql.push(&format!("substr({alias}.key,{from},{length})<"));
            operand(sql);
        }
        KeyTest::EndsWith(bytes) => push_tail(sql, alias, bytes.len(), bytes.len(), operand),
        KeyTest::TailEquals { from_end, bytes } => {
            push_tail(sql, alias, *from_end, bytes.len(), operand);
        }
        KeyTest::Contains(offset, _) if sqlite => {
            sql.push(&format!("instr(substr({alias}.key,{}),", offset + 1));
            operand(sql);
            sql.push(")>0");
        }
        KeyTest::Contains(offset, _) => {
            sql.push("position(");
            operand(sql);
            sql.push(&format!("::bytea in substr({alias}.key,{}))>0", offset + 1));
        }
    }
}

fn push_tail(
    sql: &mut Sql,
    alias: &str,
    from_end: usize,
    length: usize,
    operand: impl FnOnce(&mut Sql),
) {
    sql.push(&format!(
        "(length({alias}.key)>={from_end} AND substr({alias}.key,length({alias}.key)-{from_end}+1,{length})="
    ));
    operand(sql);
    sql.push(")");
}

/// Appends ` AND` bounds of `updated`.
pub(crate) fn push_updated(sql: &mut Sql, alias: &str, from: Option<i64>, to: Option<i64>) {
    if let Some(from) = from {
        sql.push(&format!(" AND {alias}.updated>=")).int(from);
    }
    if let Some(to) = to {
        sql.push(&format!(" AND {alias}.updated<")).int(to);
    }
}

/// The logical id in the reference key of `alias`.
pub(crate) fn id_of_reference(dialect: Dialect, alias: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("CAST(substr({alias}.key,4) AS TEXT)"),
        Dialect::Postgres => format!("convert_from(substr({alias}.key,4),'UTF8')"),
    }
}

/// The key of a reference to the resource of type `kind` in `alias`.
pub(crate) fn reference_to(dialect: Dialect, kind: ResourceType, alias: &str) -> String {
    let prefix: String = reference_prefix(kind)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match dialect {
        Dialect::Sqlite => format!("CAST(x'{prefix}'||{alias}.id AS BLOB)"),
        Dialect::Postgres => format!("('\\x{prefix}'::bytea||convert_to({alias}.id,'UTF8'))"),
    }
}

fn push_refers(
    sql: &mut Sql,
    param: u32,
    (target, inner): (ResourceType, &Clause),
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    let (e, t) = (sql.alias('e'), sql.alias('t'));
    let all = KeyRange::prefix(reference_prefix(target));
    sql.push(&format!(
        "(SELECT 1 FROM {} CROSS JOIN resource {t} WHERE {e}.rid={rid} AND {e}.param=",
        by_rid(sql, &e)
    ));
    sql.bind(Value::Param(param)).push(" AND ");
    push_range(sql, &e, &all);
    sql.push(&format!(
        " AND {t}.type={} AND {t}.id={} AND {t}.deleted=0",
        target.number(),
        id_of_reference(sql.dialect, &e)
    ));
    push_hop(sql, inner, target, &format!("{t}.rid"), view)
}

fn push_referred_by(
    sql: &mut Sql,
    (source, param, inner): (ResourceType, u32, &Clause),
    kind: ResourceType,
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    let (h, e) = (sql.alias('h'), sql.alias('e'));
    sql.push(&format!(
        "(SELECT 1 FROM resource {h} CROSS JOIN entry {e} WHERE {h}.rid={rid} AND {e}.param="
    ));
    sql.bind(Value::Param(param));
    sql.push(&format!(
        " AND {e}.key={}",
        reference_to(sql.dialect, kind, &h)
    ));
    push_bounds(sql, &format!("{e}.rid"), source);
    push_hop(sql, inner, source, &format!("{e}.rid"), view)
}

/// Appends the end of a hop: what the resource at the other end, of type `kind` and with the
/// number `rid`, must satisfy, and that it may be seen.
pub(super) fn push_hop(
    sql: &mut Sql,
    inner: &Clause,
    kind: ResourceType,
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    sql.push(" AND ");
    push(sql, inner, kind, rid, view)?;
    push_access(sql, kind, rid, view)?;
    sql.push(" LIMIT 1) IS NOT NULL");
    Ok(())
}

/// Appends ` AND` that a number is one of the type's.
pub(super) fn push_bounds(sql: &mut Sql, rid: &str, kind: ResourceType) {
    let (low, high) = rid_range(kind);
    sql.push(&format!(" AND {rid}>={low} AND {rid}<{high}"));
}
