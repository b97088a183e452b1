//! The store from outside: each behaviour on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

/// Each function is a test, once on each database.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Fixture::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Fixture::postgres().await).await;
            })+
        }
    };
}

mod behaviour;
mod bookings;
mod changes;
mod claim_model;
mod claims;
mod durability;
mod fixture;
mod guards;
mod messages;
mod model;
mod oracle;
mod readers;
mod records;
mod searches;
