//! HL7 v2 over real connections, on both databases.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

/// Each function is a test, once on each database.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Postgres).await;
            })+
        }
    };
}

mod acknowledgements;
mod duplicates;
mod fixture;
mod frames;
mod killed;
mod order;
mod pins;
mod wire;
