//! Words of resources, kept behind the log.
//!
//! Words are cut the same for both databases, here: the databases only compare them.

use std::collections::{BTreeSet, HashMap};

use resources::index::key::normalise;

use super::{
    error::StoreError,
    maintain,
    session::Session,
    sql::{Dialect, Sql, Value},
    types::{LogEntry, Texts},
};
use crate::search::plan::TextPart;

/// The setting that holds the log position up to which words are kept.
pub(super) const POSITION: &str = "fulltext";

/// Longer words are cut: nobody looks for them, and PostgreSQL has a bound of its own.
const LONGEST: usize = 64;
/// More different words of one resource are left out.
const MOST: usize = 10_000;

/// The different words of a text.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    normalise(text)
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LONGEST).collect())
        .take(MOST)
        .collect()
}

/// What a search for words asks of either database: `words` is conditions, each alternatives.
/// `None` if there is no word in it.
pub(super) fn query(dialect: Dialect, part: TextPart, wanted: &[Vec<String>]) -> Option<String> {
    let (and, or) = match dialect {
        Dialect::Sqlite => (" AND ", " OR "),
        Dialect::Postgres => (" & ", " | "),
    };
    let conditions = wanted.iter().map(|alternatives| {
        let each = alternatives.iter().filter_map(|word| {
            let is_prefix = word.ends_with('*');
            let pieces: Vec<String> = words(word).into_iter().collect();
            let pieces: Vec<String> = pieces
                .iter()
                .map(|piece| quoted(dialect, piece, is_prefix))
                .collect();
            (!pieces.is_empty()).then(|| format!("({})", pieces.join(and)))
        });
        let each: Vec<String> = each.collect();
        (!each.is_empty()).then(|| format!("({})", each.join(or)))
    });
    let all = conditions.flatten().collect::<Vec<_>>().join(and);
    if all.is_empty() {
        return None;
    }
    Some(match (dialect, part) {
        (Dialect::Sqlite, TextPart::Narrative) => format!("narrative : ({all})"),
        (Dialect::Sqlite, TextPart::Content) => format!("content : ({all})"),
        (Dialect::Postgres, _) => all,
    })
}

fn quoted(dialect: Dialect, word: &str, is_prefix: bool) -> String {
    match (dialect, is_prefix) {
        (Dialect::Sqlite, true) => format!("\"{word}\"*"),
        (Dialect::Sqlite, false) => format!("\"{word}\""),
        (Dialect::Postgres, true) => format!("'{word}':*"),
        (Dialect::Postgres, false) => format!("'{word}'"),
    }
}

/// Appends what says that the row of `alias` has the words.
pub(super) fn push_match(sql: &mut Sql, alias: &str, part: TextPart, wanted: &[Vec<String>]) {
    let Some(query) = query(sql.dialect, part, wanted) else {
        sql.push("1=0");
        return;
    };
    match sql.dialect {
        Dialect::Sqlite => sql
            .push(&format!("{alias}.fulltext MATCH "))
            .bind(Value::Text(query)),
        Dialect::Postgres => {
            let column = match part {
                TextPart::Narrative => "narrative",
                TextPart::Content => "content",
            };
            sql.push(&format!("{alias}.{column} @@ "))
                .bind(Value::Text(query))
                .push("::tsquery")
        }
    };
}

/// True if some word is only the beginning of one.
pub(super) fn has_prefix(wanted: &[Vec<String>]) -> bool {
    wanted.iter().flatten().any(|word| word.ends_with('*'))
}

/// The column of `fulltext` that holds the resource's number.
pub(super) fn number_column(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "rowid",
        Dialect::Postgres => "rid",
    }
}

/// How far words are kept.
pub(super) async fn position<S: Session>(session: &mut S) -> Result<i64, StoreError> {
    match maintain::setting(session, POSITION).await? {
        None => Ok(0),
        Some(bytes) => {
            let bytes = bytes.as_slice().try_into();
            let bytes = bytes.map_err(|_| StoreError::Damaged("setting fulltext".to_owned()))?;
            Ok(i64::from_be_bytes(bytes))
        }
    }
}

/// The words of the newest of the versions of each resource; `None` for what is deleted.
pub(super) fn changes(
    log: &[LogEntry],
    extract: impl Fn(&LogEntry) -> Texts,
) -> Vec<(i64, Option<[Vec<String>; 2]>)> {
    let newest: HashMap<i64, &LogEntry> = log
        .iter()
        .map(|version| (version.stored.head.rid, version))
        .collect();
    let mut rids: Vec<i64> = newest.keys().copied().collect();
    rids.sort_unstable();
    let each = rids.into_iter().map(|rid| {
        let version = newest[&rid];
        let found = (!version.stored.head.deleted).then(|| {
            let texts = extract(version);
            [texts.narrative, texts.content].map(|text| words(&text).into_iter().collect())
        });
        (rid, found)
    });
    each.collect()
}

/// Replaces words, if they are still kept just up to `from`. Needs a transaction around it.
pub(super) async fn apply<S: Session>(
    session: &mut S,
    (from, to): (i64, i64),
    changes: &[(i64, Option<[Vec<String>; 2]>)],
) -> Result<bool, StoreError> {
    maintain::set_setting(session, POSITION, &0_i64.to_be_bytes(), false).await?;
    let mut sql = Sql::new(session.dialect(), "UPDATE setting SET value=");
    sql.bytes(&to.to_be_bytes())
        .push(" WHERE key=")
        .bind(Value::Text(POSITION.to_owned()));
    sql.push(" AND value=").bytes(&from.to_be_bytes());
    if session.execute(&sql).await? == 0 {
        return Ok(false);
    }
    for (rid, found) in changes {
        let column = number_column(session.dialect());
        let mut sql = Sql::new(
            session.dialect(),
            &format!("DELETE FROM fulltext WHERE {column}="),
        );
        sql.int(*rid);
        session.execute(&sql).await?;
        let Some([narrative, content]) = found else {
            continue;
        };
        let mut sql = Sql::new(session.dialect(), "INSERT INTO fulltext (");
        sql.push(column)
            .push(", narrative, content) VALUES (")
            .int(*rid);
        for part in [narrative, content] {
            match sql.dialect {
                Dialect::Sqlite => sql.push(", ").bind(Value::Text(part.join(" "))),
                Dialect::Postgres => sql
                    .push(", array_to_tsvector(")
                    .bind(Value::Texts(part.clone()))
                    .push(")"),
            };
        }
        sql.push(")");
        session.execute(&sql).await?;
    }
    Ok(true)
}

/// Refuses words that are broken in themselves, or ahead of the log.
pub(super) async fn check<S: Session>(session: &mut S) -> Result<(), StoreError> {
    if session.dialect() == Dialect::Sqlite {
        let sql = "INSERT INTO fulltext (fulltext, rank) VALUES ('integrity-check', 0)";
        session.execute(&Sql::new(Dialect::Sqlite, sql)).await?;
    }
    let position = position(session).await?;
    let sql = Sql::new(
        session.dialect(),
        "SELECT coalesce(max(vid),0) FROM version",
    );
    let newest = session.rows(&sql).await?.pop();
    let newest = newest.map_or(Ok(0), |mut row| row.int())?;
    if position > newest {
        return Err(StoreError::Words(format!(
            "they are kept up to version {position} of the log, which ends at {newest}"
        )));
    }
    Ok(())
}

/// How many of the next resources lack their words or have some that they should not, and the
/// last one looked at.
pub(super) async fn misworded<S: Session>(
    session: &mut S,
    after_rid: i64,
    limit: usize,
) -> Result<(u64, Option<i64>), StoreError> {
    let position = position(session).await?;
    let column = number_column(session.dialect());
    let mut sql = Sql::new(
        session.dialect(),
        &format!(
            "SELECT r.rid, r.vid, r.deleted,
                    CASE WHEN (SELECT 1 FROM fulltext f WHERE f.{column}=r.rid LIMIT 1) IS NULL
                         THEN 0 ELSE 1 END
             FROM resource r WHERE r.rid>"
        ),
    );
    sql.int(after_rid)
        .push(" ORDER BY r.rid LIMIT ")
        .int(limit as i64);
    let (mut count, mut last) = (0, None);
    for mut row in session.rows(&sql).await? {
        let (rid, vid, deleted, has_words) = (row.int()?, row.int()?, row.int()?, row.int()?);
        last = Some(rid);
        // What is newer than the position is behind as it should be.
        count += u64::from(vid <= position && has_words == deleted);
    }
    Ok((count, last))
}

/// Throws all words away; true if there may have been any. Needs a transaction around it.
pub(super) async fn reset<S: Session>(session: &mut S) -> Result<bool, StoreError> {
    let was = position(session).await;
    let statements: &[&str] = match session.dialect() {
        // The table cannot be used without its version, not even to empty it.
        Dialect::Sqlite => &[
            "INSERT OR IGNORE INTO fulltext_config (k, v) VALUES ('version', 4)",
            "INSERT INTO fulltext (fulltext) VALUES ('delete-all')",
        ],
        Dialect::Postgres => &["TRUNCATE fulltext"],
    };
    for statement in statements {
        let sql = Sql::new(session.dialect(), statement);
        session.execute(&sql).await?;
    }
    maintain::set_setting(session, POSITION, &0_i64.to_be_bytes(), true).await?;
    Ok(!matches!(was, Ok(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_asked_for_alike() {
        let found: Vec<String> = words("Don't panic, Zoë-Ann! 12.5 mg").into_iter().collect();
        assert_eq!(found, ["12", "5", "ann", "don", "mg", "panic", "t", "zoe"]);
        let wanted = vec![
            vec!["don't".to_owned(), "Pan*".to_owned()],
            vec!["...".to_owned()],
        ];
        assert_eq!(
            query(Dialect::Sqlite, TextPart::Content, &wanted).unwrap(),
            r#"content : ((("don" AND "t") OR ("pan"*)))"#
        );
        assert_eq!(
            query(Dialect::Sqlite, TextPart::Content, &wanted[1..]),
            None
        );
        assert_eq!(
            query(Dialect::Postgres, TextPart::Narrative, &wanted).unwrap(),
            "(('don' & 't') | ('pan':*))"
        );
    }
}
