//! What PostgreSQL's errors mean.

use super::super::error::StoreError;

/// True if the connection is of no use after this.
pub(super) fn breaks(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .code()
            .is_none_or(|code| code.starts_with("57P") || code.starts_with("08")),
        _ => true,
    }
}

/// The five characters by which PostgreSQL names an error.
pub(super) fn code(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    }
}

/// The server's sentence, without the place in its source.
fn text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

/// What an error means to the callers of the store.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failure(error: sqlx::Error) -> StoreError {
    let text = text(&error);
    match (&error, code(&error).as_str()) {
        (sqlx::Error::Database(_), code) => match code {
            // A statement too complex, too many columns or arguments, a limit of the program.
            "54000" | "54001" | "54011" | "54023" => StoreError::TooLarge(text),
            "57014" => StoreError::Timeout(0),
            "53100" | "58030" => StoreError::Storage(text),
            "XX001" | "XX002" => StoreError::Damaged(text),
            "25006" => StoreError::Unavailable(text),
            code if code.starts_with("57P") || code.starts_with("08") || code.starts_with("53") => {
                StoreError::Unavailable(text)
            }
            _ => StoreError::Failed(text),
        },
        (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_), _) => {
            StoreError::Unavailable(text)
        }
        _ => StoreError::Failed(text),
    }
}

/// Why there is no connection.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn refused(error: sqlx::Error) -> StoreError {
    let advice = match code(&error).as_str() {
        "28P01" | "28000" => "check user and password, and the server's pg_hba.conf",
        "3D000" => "make the database first, with createdb",
        "53300" => "raise its max_connections, or lower store.connections",
        _ => return StoreError::Unavailable(text(&error)),
    };
    StoreError::Unavailable(format!("{}; {advice}", text(&error)))
}
