//! Messages looked for.

use bytes::Bytes;

use super::{
    DeliveryState, MessageHead, MessageId, MessageState, NewDelivery, StoredDelivery,
    StoredMessage, VersionRef, WaitingMessage, unpack, unpacked,
};
use crate::store::{
    Backend, Store, StoreError, change, run,
    session::Session,
    sql::{Row, Sql, Value},
    sqlite::{Handle, now},
};

/// Which messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// In this state.
    pub state: Option<MessageState>,
    /// Of this channel.
    pub channel: Option<String>,
    /// `ADT^A01`, or all of `ADT`.
    pub kind: Option<String>,
    /// With this control id.
    pub control: Option<String>,
    /// About this patient: a logical id.
    pub patient: Option<String>,
    /// That came at or after this time, milliseconds since 1970.
    pub since: Option<i64>,
    /// That came before this time.
    pub before: Option<i64>,
    /// That came before this message: how to go on behind a page.
    pub below: Option<MessageId>,
}

/// Which messages to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this destination.
    pub destination: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// With this control id.
    pub control: Option<String>,
    /// Behind this one, in the order of sending.
    pub after: i64,
}

const COLUMNS: &str = "m.id, m.channel, m.sender, m.control, m.kind, m.hash, m.lines, m.state, \
     m.attempts, m.next, m.reuses, m.ack, m.detail";

const DELIVERY: &str = "d.n, d.destination, d.line, d.control, d.kind, d.created, d.raw, \
     d.source, d.state, d.attempts, d.next, d.ack, d.error";

/// The numbers of lines as the table has them.
pub(in crate::store) fn packed_lines(lines: &[i64]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.to_be_bytes()).collect()
}

fn unpacked_lines(stored: &[u8]) -> Result<Vec<i64>, StoreError> {
    let (lines, rest) = stored.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(damaged("lines"));
    }
    Ok(lines.iter().map(|line| i64::from_be_bytes(*line)).collect())
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("the {what} of a message cannot be read"))
}

fn id(stored: Vec<u8>) -> Result<MessageId, StoreError> {
    stored
        .try_into()
        .map(MessageId)
        .map_err(|_| damaged("number"))
}

fn attempts(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| damaged("attempts"))
}

fn message(mut row: Row) -> Result<StoredMessage, StoreError> {
    let head = MessageHead {
        id: id(row.bytes()?)?,
        channel: row.text()?,
        sender: row.text()?,
        control: row.text()?,
        kind: row.text()?,
        hash: row.bytes()?.try_into().map_err(|_| damaged("hash"))?,
        lines: unpacked_lines(&row.bytes()?)?,
    };
    let state = MessageState::from_number(row.int()?).ok_or_else(|| damaged("state"))?;
    let attempts = attempts(row.int()?)?;
    let next = row.maybe_int()?;
    let reuses = row.maybe_bytes()?.map(id).transpose()?;
    let ack = row.maybe_bytes()?;
    let mut outcome = unpacked(row.bytes()?)?;
    outcome.ack = ack.map(|ack| unpack(&ack)).transpose()?.map(Bytes::from);
    Ok(StoredMessage {
        head,
        state,
        attempts,
        next,
        reuses,
        outcome,
    })
}

fn waiting(mut row: Row) -> Result<WaitingMessage, StoreError> {
    Ok(WaitingMessage {
        id: id(row.bytes()?)?,
        channel: row.text()?,
        lines: unpacked_lines(&row.bytes()?)?,
        attempts: attempts(row.int()?)?,
        next: row.maybe_int()?,
    })
}

fn delivery(mut row: Row) -> Result<StoredDelivery, StoreError> {
    let n = row.int()?;
    let mut delivery = NewDelivery {
        destination: row.text()?,
        line: row.int()?,
        control: row.text()?,
        kind: row.text()?,
        created: row.int()?,
        raw: Bytes::from(unpack(&row.bytes()?)?),
        source: None,
    };
    if let Some(source) = row.maybe_text()? {
        let source = VersionRef::parse(&source).ok_or_else(|| damaged("source"))?;
        delivery.source = Some(source);
    }
    Ok(StoredDelivery {
        n,
        delivery,
        state: DeliveryState::from_number(row.int()?).ok_or_else(|| damaged("state"))?,
        attempts: attempts(row.int()?)?,
        next: row.maybe_int()?,
        ack: match row.maybe_bytes()? {
            Some(ack) => Some(Bytes::from(unpack(&ack)?)),
            None => None,
        },
        error: row.maybe_text()?,
    })
}

/// The newest message of a sender with a control id that came at or after `since`, and its hash;
/// the one with this hash before others.
pub(in crate::store) async fn earlier<S: Session>(
    session: &mut S,
    (sender, control, hash): (&str, &str, &[u8; 16]),
    since: i64,
) -> Result<Option<(MessageId, bool)>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT m.id, m.hash FROM message m WHERE m.control=",
    );
    sql.bind(Value::Text(control.to_owned()))
        .push(" AND m.sender=")
        .bind(Value::Text(sender.to_owned()))
        .push(" AND m.id>=")
        .bytes(&MessageId::at(since).0)
        .push(" AND m.state<>")
        .int(MessageState::Refused.number())
        .push(" ORDER BY m.hash=")
        .bytes(hash)
        .push(" DESC, m.id DESC LIMIT 1");
    match session.rows(&sql).await?.pop() {
        Some(mut row) => Ok(Some((id(row.bytes()?)?, row.bytes()? == hash))),
        None => Ok(None),
    }
}

async fn one<S: Session>(
    session: &mut S,
    wanted: MessageId,
) -> Result<Option<StoredMessage>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(COLUMNS).push(" FROM message m WHERE m.id=");
    sql.bytes(&wanted.0);
    session.rows(&sql).await?.pop().map(message).transpose()
}

async fn bytes_of<S: Session>(
    session: &mut S,
    wanted: MessageId,
) -> Result<Option<Bytes>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT m.raw FROM message m WHERE m.id=");
    sql.bytes(&wanted.0);
    match session.rows(&sql).await?.pop() {
        Some(mut row) => Ok(Some(Bytes::from(unpack(&row.bytes()?)?))),
        None => Ok(None),
    }
}

async fn in_state<S: Session>(
    session: &mut S,
    state: MessageState,
    after: MessageId,
    limit: usize,
) -> Result<Vec<WaitingMessage>, StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "SELECT m.id, m.channel, m.lines, m.attempts, m.next FROM message m WHERE m.state<>1 AND m.state=",
    );
    sql.int(state.number()).push(" AND m.id>").bytes(&after.0);
    sql.push(" ORDER BY m.id LIMIT ").int(limit as i64);
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(waiting).collect()
}

async fn list<S: Session>(
    session: &mut S,
    filter: &MessageFilter,
    limit: usize,
) -> Result<Vec<StoredMessage>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(COLUMNS);
    // The page goes along the numbers of the table that drives.
    let by = match &filter.patient {
        Some(patient) => {
            sql.push(" FROM message_patient p CROSS JOIN message m WHERE m.id=p.id AND p.patient=");
            sql.bind(Value::Text(patient.clone()));
            "p.id"
        }
        None => {
            sql.push(" FROM message m WHERE 1=1");
            "m.id"
        }
    };
    let mut equal = |column: &str, value: &Option<String>| {
        if let Some(value) = value {
            sql.push(" AND m.").push(column).push("=");
            sql.bind(Value::Text(value.clone()));
        }
    };
    equal("channel", &filter.channel);
    equal("control", &filter.control);
    if let Some(kind) = &filter.kind {
        if kind.contains('^') {
            equal("kind", &filter.kind);
        } else {
            // `^` and what follows it in ASCII.
            sql.push(" AND (m.kind=").bind(Value::Text(kind.clone()));
            sql.push(" OR (m.kind>=")
                .bind(Value::Text(format!("{kind}^")));
            sql.push(" AND m.kind<")
                .bind(Value::Text(format!("{kind}_")))
                .push("))");
        }
    }
    if let Some(state) = filter.state {
        sql.push(" AND m.state=").int(state.number());
        if state != MessageState::Done {
            sql.push(" AND m.state<>1");
        }
    }
    let before = filter.before.map(MessageId::at).into_iter();
    for bound in before.chain(filter.below) {
        sql.push(" AND ").push(by).push("<").bytes(&bound.0);
    }
    if let Some(since) = filter.since {
        sql.push(" AND ").push(by).push(">=");
        sql.bytes(&MessageId::at(since).0);
    }
    sql.push(" ORDER BY ").push(by).push(" DESC LIMIT ");
    sql.int(limit as i64);
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(message).collect()
}

async fn counts<S: Session>(session: &mut S) -> Result<Vec<(MessageState, u64)>, StoreError> {
    let sql = Sql::new(
        session.dialect(),
        "SELECT m.state, count(*) FROM message m WHERE m.state<>1 GROUP BY m.state",
    );
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        let state = MessageState::from_number(row.int()?).ok_or_else(|| damaged("state"))?;
        found.push((state, row.int()?.max(0).unsigned_abs()));
    }
    Ok(found)
}

/// One message to be sent.
pub(in crate::store) async fn delivery_at<S: Session>(
    session: &mut S,
    n: i64,
) -> Result<Option<StoredDelivery>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(DELIVERY)
        .push(" FROM delivery d WHERE d.n=")
        .int(n);
    session.rows(&sql).await?.pop().map(delivery).transpose()
}

async fn deliveries<S: Session>(
    session: &mut S,
    filter: &DeliveryFilter,
    limit: usize,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT ");
    sql.push(DELIVERY).push(" FROM delivery d WHERE d.n>");
    sql.int(filter.after);
    for (column, value) in [
        ("destination", &filter.destination),
        ("control", &filter.control),
    ] {
        if let Some(value) = value {
            sql.push(" AND d.").push(column).push("=");
            sql.bind(Value::Text(value.clone()));
        }
    }
    if let Some(state) = filter.state {
        sql.push(" AND d.state=").int(state.number());
        if state != DeliveryState::Done {
            sql.push(" AND d.state<>1");
        }
    }
    sql.push(" ORDER BY d.n LIMIT ").int(limit as i64);
    let rows = session.rows(&sql).await?;
    rows.into_iter().map(delivery).collect()
}

/// Removes messages that came before `before` and are done, refused or dropped; how many.
async fn sweep<S: Session>(session: &mut S, before: i64, limit: usize) -> Result<u64, StoreError> {
    let old = |sql: &mut Sql| {
        sql.push("(SELECT m.id FROM message m WHERE m.id<")
            .bytes(&MessageId::at(before).0)
            .push(" AND m.state IN (1,3,4) ORDER BY m.id LIMIT ")
            .int(limit as i64)
            .push(")");
    };
    let mut sql = Sql::new(
        session.dialect(),
        "DELETE FROM message_patient WHERE id IN ",
    );
    old(&mut sql);
    session.execute(&sql).await?;
    let mut sql = Sql::new(session.dialect(), "DELETE FROM message WHERE id IN ");
    old(&mut sql);
    session.execute(&sql).await
}

impl Store {
    /// The newest message of a sender with a control id that came at or after `since`
    /// (milliseconds since 1970), and whether it has this hash; one that has, before others.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn earlier_message(
        &self,
        sender: &str,
        control: &str,
        (hash, since): ([u8; 16], i64),
    ) -> Result<Option<(MessageId, bool)>, StoreError> {
        let key = (sender, control, &hash);
        run!(self, read, |session| earlier(session, key, since))
    }

    /// A message without its bytes.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        run!(self, read, |session| one(session, id))
    }

    /// The bytes of a message.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn message_bytes(&self, id: MessageId) -> Result<Option<Bytes>, StoreError> {
        run!(self, read, |session| bytes_of(session, id))
    }

    /// Messages in a state other than done, in the order in which they came, after one.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn messages_in(
        &self,
        state: MessageState,
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<WaitingMessage>, StoreError> {
        run!(self, search, |session| in_state(
            session, state, after, limit
        ))
    }

    /// Messages, newest first, without their bytes.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn messages(
        &self,
        filter: &MessageFilter,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let filter = filter.clone();
        run!(self, search, |session| list(session, &filter, limit))
    }

    /// How many messages are in each state other than done.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn message_counts(&self) -> Result<Vec<(MessageState, u64)>, StoreError> {
        run!(self, search, |session| counts(session))
    }

    /// Messages to be sent, in the order of sending.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let filter = filter.clone();
        run!(self, search, |session| deliveries(session, &filter, limit))
    }

    /// Removes up to `limit` messages that came before a time (milliseconds since 1970) and that
    /// nobody has to look at any more; how many.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn sweep_messages(&self, before: i64, limit: usize) -> Result<u64, StoreError> {
        change!(self, |session| sweep(session, before, limit))
    }
}
