//! Hops by canonical references: from the entry of the one resource to the entry of the other's
//! URL, whose texts are the same.

use resources::{
    index::key::{reference_url_prefix, space, uri},
    model::ResourceType,
};

use super::super::{
    error::StoreError,
    sql::{Dialect, Sql, Value},
    view::View,
};
use super::condition::{by_rid, push_bounds, push_hop, push_range};
use crate::search::plan::{Canonical, Clause, KeyRange};

/// What says that the resource with the number `rid` refers by the parameter to a `target` with
/// `inner`.
pub(super) fn push_refers(
    sql: &mut Sql,
    (param, canonical): (u32, Canonical),
    (target, inner): (ResourceType, &Clause),
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    let (e, u) = (sql.alias('e'), sql.alias('u'));
    sql.push(&format!(
        "(SELECT 1 FROM {} CROSS JOIN entry {u} WHERE {e}.rid={rid} AND {e}.param=",
        by_rid(sql, &e)
    ));
    sql.bind(Value::Param(param)).push(" AND ");
    push_range(sql, &e, &references());
    push_named(sql, &e, &u, canonical);
    push_bounds(sql, &format!("{u}.rid"), target);
    push_version(sql, &e, &u, canonical);
    push_hop(sql, inner, target, &format!("{u}.rid"), view)
}

/// What says that a `source` with `inner` refers by the parameter to the resource with the number
/// `rid`.
pub(super) fn push_referred_by(
    sql: &mut Sql,
    (param, canonical): (u32, Canonical),
    (source, inner): (ResourceType, &Clause),
    rid: &str,
    view: &View,
) -> Result<(), StoreError> {
    let (u, e) = (sql.alias('u'), sql.alias('e'));
    sql.push(&format!(
        "(SELECT 1 FROM {} CROSS JOIN entry {e} WHERE {u}.rid={rid} AND {u}.param=",
        by_rid(sql, &u)
    ));
    sql.bind(Value::Param(canonical.url.0));
    push_naming(sql, &u, &e, param);
    push_bounds(sql, &format!("{e}.rid"), source);
    push_version(sql, &e, &u, canonical);
    push_hop(sql, inner, source, &format!("{e}.rid"), view)
}

/// The keys of all canonical references.
pub(super) fn references() -> KeyRange {
    KeyRange::prefix(vec![space::REFERENCE_URL])
}

/// Appends ` AND` that the entry `url` is the URL that the entry `reference` names.
pub(super) fn push_named(sql: &mut Sql, reference: &str, url: &str, canonical: Canonical) {
    sql.push(&format!(" AND {url}.param="));
    sql.bind(Value::Param(canonical.url.0));
    let space = &uri("")[..1];
    let key = joined(
        sql.dialect,
        &[hex(sql.dialect, space), url_of(sql.dialect, reference)],
    );
    sql.push(&format!(" AND {url}.key={key}"));
}

/// Appends ` AND` that the entry `reference` of the parameter names the URL of the entry `url`,
/// in whatever version.
pub(super) fn push_naming(sql: &mut Sql, url: &str, reference: &str, param: u32) {
    sql.push(&format!(" AND {reference}.param="));
    sql.bind(Value::Param(param));
    let (dialect, text) = (sql.dialect, format!("substr({url}.key,2)"));
    let prefix = reference_url_prefix("");
    let (space, end) = prefix.split_at(1);
    let key = |end: &[u8]| {
        joined(
            dialect,
            &[hex(dialect, space), text.clone(), hex(dialect, end)],
        )
    };
    let after: Vec<u8> = end.iter().map(|byte| byte + 1).collect();
    sql.push(&format!(
        " AND {reference}.key>={} AND {reference}.key<{}",
        key(end),
        key(&after)
    ));
}

/// Appends ` AND` that the entry `reference` names no version, or one of the resource with the
/// entry `url`.
fn push_version(sql: &mut Sql, reference: &str, url: &str, canonical: Canonical) {
    let (dialect, v) = (sql.dialect, sql.alias('v'));
    let version = format!(
        "substr({reference}.key,{}+2)",
        length_of_url(dialect, reference)
    );
    let key = joined(
        dialect,
        &[
            hex(dialect, &[space::TOKEN]),
            version.clone(),
            hex(dialect, &[0]),
        ],
    );
    sql.push(&format!(
        " AND (length({version})=0 OR (SELECT 1 FROM entry {v} WHERE {v}.rid={url}.rid AND {v}.param="
    ));
    sql.bind(Value::Param(canonical.version.0));
    sql.push(&format!(" AND {v}.key={key} LIMIT 1) IS NOT NULL)"));
}

/// One more than the length of the URL in a reference's key.
fn length_of_url(dialect: Dialect, reference: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("instr(substr({reference}.key,2),x'00')"),
        Dialect::Postgres => format!("position('\\x00'::bytea in substr({reference}.key,2))"),
    }
}

fn url_of(dialect: Dialect, reference: &str) -> String {
    let length = length_of_url(dialect, reference);
    format!("substr({reference}.key,2,{length}-1)")
}

fn hex(dialect: Dialect, bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match dialect {
        Dialect::Sqlite => format!("x'{digits}'"),
        Dialect::Postgres => format!("'\\x{digits}'::bytea"),
    }
}

fn joined(dialect: Dialect, parts: &[String]) -> String {
    let joined = parts.join("||");
    match dialect {
        Dialect::Sqlite => format!("CAST({joined} AS BLOB)"),
        Dialect::Postgres => format!("({joined})"),
    }
}
