//! Messages inside the writer's transaction.

use rusqlite::{Connection, params};

use super::{
    super::{
        error::StoreError,
        messages::{
            self, Advanced, Delivered, MessageChange, MessageId, MessageOutcome, NewDelivery,
            NewMessage, Settled, VersionRef, earlier, packed_lines,
        },
    },
    session::{Handle, failure, now},
};

/// A message that came, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Packed {
    raw: Vec<u8>,
    ack: Option<Vec<u8>>,
    detail: Vec<u8>,
}

impl Packed {
    /// Packs what there is to pack: on the caller's task, not on the writer's.
    pub fn new(change: &MessageChange) -> Self {
        let outcome = |outcome: &MessageOutcome| Self {
            raw: Vec::new(),
            ack: outcome.ack.as_deref().map(messages::pack),
            detail: messages::packed(outcome),
        };
        match change {
            MessageChange::Receive(message) => Self {
                raw: messages::pack(&message.raw),
                ..outcome(&message.outcome)
            },
            MessageChange::Settle(settled) => {
                settled.outcome.as_ref().map_or_else(Self::default, outcome)
            }
            MessageChange::Queue(delivery) => Self {
                raw: messages::pack(&delivery.raw),
                ..Self::default()
            },
            MessageChange::Deliver(delivered) => Self {
                ack: delivered.ack.as_deref().map(messages::pack),
                ..Self::default()
            },
            MessageChange::Advance(_) => Self::default(),
        }
    }
}

/// Whether the changes may happen; for each message that came, which earlier one has its control
/// id.
pub(super) fn check(
    connection: &Connection,
    changes: &[MessageChange],
) -> Result<Vec<Option<MessageId>>, StoreError> {
    let mut reused = Vec::new();
    for change in changes {
        match change {
            MessageChange::Receive(message) => {
                let Some(since) = message.unless_since else {
                    reused.push(None);
                    continue;
                };
                let head = &message.head;
                let key = (head.sender.as_str(), head.control.as_str(), &head.hash);
                match now(earlier(&mut Handle(connection), key, since))? {
                    Some((id, true)) => return Err(StoreError::Duplicate(id)),
                    found => reused.push(found.map(|(id, _)| id)),
                }
            }
            MessageChange::Settle(settled) => {
                let sql = "SELECT 1 FROM message WHERE id=?1 AND state=?2";
                expect(
                    connection,
                    sql,
                    params![settled.id.0, settled.from.number()],
                )?;
            }
            MessageChange::Deliver(delivered) => {
                let sql = "SELECT 1 FROM delivery WHERE n=?1 AND state=?2";
                expect(
                    connection,
                    sql,
                    params![delivered.n, delivered.from.number()],
                )?;
            }
            MessageChange::Advance(advanced) => {
                let key = messages::setting_of(&advanced.follower);
                let from = messages::place(advanced.from);
                let sql = "SELECT 1 FROM setting WHERE key=?1 AND value=?2";
                expect(connection, sql, params![key, from])?;
            }
            MessageChange::Queue(_) => {}
        }
    }
    Ok(reused)
}

fn expect(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<(), StoreError> {
    let found = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.exists(values))
        .map_err(failure)?;
    match found {
        true => Ok(()),
        false => Err(StoreError::Settled),
    }
}

/// Writes the changes, after [`check`].
pub(super) fn write(
    connection: &Connection,
    changes: &[MessageChange],
    packed: &[Packed],
    reused: &[Option<MessageId>],
) -> Result<(), StoreError> {
    let mut reused = reused.iter();
    for (change, packed) in changes.iter().zip(packed) {
        match change {
            MessageChange::Receive(message) => {
                let reuses = reused.next().copied().flatten();
                receive(connection, message, packed, reuses)
            }
            MessageChange::Settle(settled) => settle(connection, settled, packed),
            MessageChange::Queue(delivery) => queue(connection, delivery, packed),
            MessageChange::Deliver(delivered) => deliver(connection, delivered, packed),
            MessageChange::Advance(advanced) => advance(connection, advanced),
        }
        .map_err(failure)?;
    }
    Ok(())
}

fn receive(
    connection: &Connection,
    message: &NewMessage,
    packed: &Packed,
    reuses: Option<MessageId>,
) -> rusqlite::Result<()> {
    let head = &message.head;
    connection
        .prepare_cached(
            "INSERT INTO message (id, state, channel, sender, control, kind, hash, lines, attempts,
                                  next, reuses, ack, detail, raw)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,NULL,?10,?11,?12,?13)",
        )?
        .execute(params![
            head.id.0,
            message.state.number(),
            head.channel,
            head.sender,
            head.control,
            head.kind,
            head.hash,
            packed_lines(&head.lines),
            message.attempts,
            reuses.map(|id| id.0),
            packed.ack,
            packed.detail,
            packed.raw,
        ])?;
    patients(connection, head.id, &message.outcome)
}

fn patients(
    connection: &Connection,
    id: MessageId,
    outcome: &MessageOutcome,
) -> rusqlite::Result<()> {
    for patient in &outcome.patients {
        connection
            .prepare_cached("INSERT OR IGNORE INTO message_patient (patient, id) VALUES (?1,?2)")?
            .execute(params![patient, id.0])?;
    }
    Ok(())
}

fn settle(connection: &Connection, settled: &Settled, packed: &Packed) -> rusqlite::Result<()> {
    let id = settled.id;
    let (state, attempts) = (settled.state.number(), settled.attempts);
    let Some(outcome) = &settled.outcome else {
        connection
            .prepare_cached("UPDATE message SET state=?2, attempts=?3, next=?4 WHERE id=?1")?
            .execute(params![id.0, state, attempts, settled.next])?;
        return Ok(());
    };
    connection
        .prepare_cached(
            "UPDATE message SET state=?2, attempts=?3, next=?4, ack=?5, detail=?6 WHERE id=?1",
        )?
        .execute(params![
            id.0,
            state,
            attempts,
            settled.next,
            packed.ack,
            packed.detail
        ])?;
    patients(connection, id, outcome)
}

fn queue(connection: &Connection, delivery: &NewDelivery, packed: &Packed) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO delivery (destination, state, line, created, attempts, control, kind,
                                   source, raw)
             VALUES (?1,0,?2,?3,0,?4,?5,?6,?7)",
        )?
        .execute(params![
            delivery.destination,
            delivery.line,
            delivery.created,
            delivery.control,
            delivery.kind,
            delivery.source.as_ref().map(VersionRef::path),
            packed.raw,
        ])?;
    Ok(())
}

fn deliver(
    connection: &Connection,
    delivered: &Delivered,
    packed: &Packed,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state=?2, attempts=?3, next=?4, ack=coalesce(?5,ack), error=?6
             WHERE n=?1",
        )?
        .execute(params![
            delivered.n,
            delivered.state.number(),
            delivered.attempts,
            delivered.next,
            packed.ack,
            delivered.error,
        ])?;
    Ok(())
}

fn advance(connection: &Connection, advanced: &Advanced) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE setting SET value=?2 WHERE key=?1")?
        .execute(params![
            messages::setting_of(&advanced.follower),
            messages::place(advanced.to)
        ])?;
    Ok(())
}
