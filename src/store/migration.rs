//! The schema's versions, embedded.

use super::{error::StoreError, sql::Dialect};

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub number: i64,
    pub name: &'static str,
    pub text: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($number:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $name,
            text: include_str!(concat!("../../migrations/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

static SQLITE: &[Migration] = migrations!["sqlite": 1 "0001_core", 2 "0002_fulltext", 3 "0003_generation", 4 "0004_identity", 5 "0005_audit", 6 "0006_claims", 7 "0007_messages"];
static POSTGRES: &[Migration] = migrations!["postgres": 1 "0001_core", 2 "0002_fulltext", 3 "0003_generation", 4 "0004_identity", 5 "0005_audit", 6 "0006_claims", 7 "0007_messages"];

/// The table that says which steps a database has had; good for both dialects.
pub(super) const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS migration (number bigint PRIMARY KEY, name text NOT NULL)";

/// What to do when a store is not where it should be.
pub(super) const NO_STORE: &str =
    "check the address of the store, or make one there with `rotunda migrate`";

/// Refuses a database without a schema, unless it may be made.
pub(super) fn check_made(applied: &[i64], create: bool) -> Result<(), StoreError> {
    if create || !applied.is_empty() {
        return Ok(());
    }
    Err(StoreError::Open(format!(
        "the database holds no store; {NO_STORE}"
    )))
}

/// Refuses a database that this release would have to migrate: another process may have it open.
pub(super) fn check_current(dialect: Dialect, applied: &[i64]) -> Result<(), StoreError> {
    check_made(applied, false)?;
    match missing(dialect, applied)?.next() {
        None => Ok(()),
        Some(_) => Err(StoreError::Open(
            "its schema is of an older release; start this release's server on it, or run \
             `rotunda migrate`"
                .to_owned(),
        )),
    }
}

/// All steps, oldest first.
pub(super) fn all(dialect: Dialect) -> &'static [Migration] {
    match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    }
}

/// The steps that a database with `applied` still needs.
pub(super) fn missing(
    dialect: Dialect,
    applied: &[i64],
) -> Result<impl Iterator<Item = &'static Migration> + use<>, StoreError> {
    let known = all(dialect);
    let newest = known.last().map_or(0, |step| step.number);
    if let Some(newer) = applied
        .iter()
        .copied()
        .filter(|&number| number > newest)
        .max()
    {
        return Err(StoreError::Open(format!(
            "it was last used by a newer release (its schema is {newer}, this one knows up to \
             {newest}); use that release or a newer one"
        )));
    }
    let applied = applied.to_vec();
    Ok(known
        .iter()
        .filter(move |step| !applied.contains(&step.number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations_and_all_files_are_embedded() {
        let embedded = |dialect| -> Vec<String> {
            all(dialect)
                .iter()
                .map(|step| format!("{}.sql", step.name))
                .collect()
        };
        for (folder, dialect) in [("sqlite", Dialect::Sqlite), ("postgres", Dialect::Postgres)] {
            let path = format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, embedded(dialect));
        }
        assert_eq!(embedded(Dialect::Sqlite), embedded(Dialect::Postgres));
        for (at, step) in all(Dialect::Sqlite).iter().enumerate() {
            assert_eq!(step.number, at as i64 + 1);
            assert!(step.name.starts_with(&format!("{:04}_", step.number)));
        }
    }

    #[test]
    fn a_newer_database_is_refused() {
        assert_eq!(
            missing(Dialect::Sqlite, &[]).unwrap().count(),
            all(Dialect::Sqlite).len()
        );
        assert_eq!(
            missing(Dialect::Sqlite, &[1]).unwrap().count(),
            all(Dialect::Sqlite).len() - 1
        );
        assert!(matches!(
            missing(Dialect::Sqlite, &[1, 99]),
            Err(StoreError::Open(_))
        ));
    }
}
