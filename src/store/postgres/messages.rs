//! Messages as parts of one statement.

use sqlx::{postgres::PgArguments, query::Query};

use super::super::{
    error::StoreError,
    hash,
    messages::{
        self, MessageChange, MessageId, MessageOutcome, NewMessage, VersionRef, earlier,
        packed_lines,
    },
    session::Session,
    sql::{Sql, Value},
};

/// Changes of messages as columns.
#[derive(Debug, Default)]
pub(super) struct Messages {
    received: Received,
    settled: Settled,
    patients: Vec<(String, Vec<u8>)>,
    queued: Queued,
    delivered: Delivered,
    advanced: Advanced,
    /// `patients` as columns.
    patient: Vec<String>,
    patient_id: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Received {
    id: Vec<Vec<u8>>,
    once: Vec<Option<Vec<u8>>>,
    since: Vec<Option<Vec<u8>>>,
    state: Vec<i16>,
    attempts: Vec<i32>,
    channel: Vec<String>,
    sender: Vec<String>,
    control: Vec<String>,
    kind: Vec<String>,
    hash: Vec<Vec<u8>>,
    lines: Vec<Vec<u8>>,
    ack: Vec<Option<Vec<u8>>>,
    detail: Vec<Vec<u8>>,
    raw: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Settled {
    id: Vec<Vec<u8>>,
    from: Vec<i16>,
    state: Vec<i16>,
    attempts: Vec<i32>,
    next: Vec<Option<i64>>,
    /// Whether `ack` and `detail` take the place of what was.
    known: Vec<bool>,
    ack: Vec<Option<Vec<u8>>>,
    detail: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Queued {
    line: Vec<i64>,
    created: Vec<i64>,
    destination: Vec<String>,
    control: Vec<String>,
    kind: Vec<String>,
    source: Vec<Option<String>>,
    raw: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Delivered {
    n: Vec<i64>,
    from: Vec<i16>,
    state: Vec<i16>,
    attempts: Vec<i32>,
    next: Vec<Option<i64>>,
    ack: Vec<Option<Vec<u8>>>,
    error: Vec<Option<String>>,
}

#[derive(Debug, Default)]
struct Advanced {
    key: Vec<String>,
    from: Vec<Vec<u8>>,
    to: Vec<Vec<u8>>,
}

impl Messages {
    pub fn new<'c>(changes: impl IntoIterator<Item = &'c MessageChange>) -> Self {
        let mut all = Self::default();
        for change in changes {
            all.push(change);
        }
        for (patient, id) in std::mem::take(&mut all.patients) {
            all.patient.push(patient);
            all.patient_id.push(id);
        }
        all
    }

    fn push(&mut self, change: &MessageChange) {
        match change {
            MessageChange::Receive(message) => {
                let to = &mut self.received;
                let head = &message.head;
                to.id.push(head.id.0.to_vec());
                to.once.push(once(message));
                let since = message.unless_since.map(MessageId::at);
                to.since.push(since.map(|id| id.0.to_vec()));
                to.state.push(message.state.number() as i16);
                to.attempts.push(whole(message.attempts));
                to.channel.push(clean(&head.channel));
                to.sender.push(clean(&head.sender));
                to.control.push(clean(&head.control));
                to.kind.push(clean(&head.kind));
                to.hash.push(head.hash.to_vec());
                to.lines.push(packed_lines(&head.lines));
                to.ack
                    .push(message.outcome.ack.as_deref().map(messages::pack));
                to.detail.push(messages::packed(&message.outcome));
                to.raw.push(messages::pack(&message.raw));
                self.patients_of(head.id, &message.outcome);
            }
            MessageChange::Settle(settled) => {
                let to = &mut self.settled;
                let outcome = settled.outcome.as_ref();
                to.id.push(settled.id.0.to_vec());
                to.from.push(settled.from.number() as i16);
                to.state.push(settled.state.number() as i16);
                to.attempts.push(whole(settled.attempts));
                to.next.push(settled.next);
                to.known.push(outcome.is_some());
                let ack = outcome.and_then(|outcome| outcome.ack.as_deref());
                to.ack.push(ack.map(messages::pack));
                to.detail
                    .push(outcome.map(messages::packed).unwrap_or_default());
                if let Some(outcome) = outcome {
                    self.patients_of(settled.id, outcome);
                }
            }
            MessageChange::Queue(delivery) => {
                let to = &mut self.queued;
                to.line.push(delivery.line);
                to.created.push(delivery.created);
                to.destination.push(clean(&delivery.destination));
                to.control.push(clean(&delivery.control));
                to.kind.push(clean(&delivery.kind));
                to.source
                    .push(delivery.source.as_ref().map(VersionRef::path));
                to.raw.push(messages::pack(&delivery.raw));
            }
            MessageChange::Deliver(delivered) => {
                let to = &mut self.delivered;
                to.n.push(delivered.n);
                to.from.push(delivered.from.number() as i16);
                to.state.push(delivered.state.number() as i16);
                to.attempts.push(whole(delivered.attempts));
                to.next.push(delivered.next);
                to.ack.push(delivered.ack.as_deref().map(messages::pack));
                to.error.push(delivered.error.as_deref().map(clean));
            }
            MessageChange::Advance(advanced) => {
                let to = &mut self.advanced;
                to.key.push(messages::setting_of(&advanced.follower));
                to.from.push(messages::place(advanced.from).to_vec());
                to.to.push(messages::place(advanced.to).to_vec());
            }
        }
    }

    fn patients_of(&mut self, id: MessageId, outcome: &MessageOutcome) {
        let each = outcome.patients.iter();
        self.patients
            .extend(each.map(|patient| (clean(patient), id.0.to_vec())));
    }

    /// What writes them, each a part of a `WITH`; the arguments are numbered from `next`.
    /// `received` has the messages that came, with what came before them; `stored` and `settled`
    /// the numbers of those that were stored and settled, `sent` of deliveries.
    pub fn parts(&self, next: &mut usize) -> Vec<String> {
        let mut parts = Vec::new();
        let mut list = |types: &[&str]| {
            let arrays = types.iter().map(|kind| {
                let array = format!("${next}::{kind}[]");
                *next += 1;
                array
            });
            format!("unnest({})", arrays.collect::<Vec<_>>().join(","))
        };
        if !self.received.id.is_empty() {
            let list = list(&[
                "bytea", "bytea", "bytea", "smallint", "integer", "text", "text", "text", "text",
                "bytea", "bytea", "bytea", "bytea", "bytea",
            ]);
            parts.push(format!(
                "received AS MATERIALIZED (
                   SELECT r.*, e.id AS prior, e.hash=r.hash AS same
                   FROM {list} AS r(id,once,since,state,attempts,channel,sender,control,kind,hash,
                                    lines,ack,detail,raw)
                   LEFT JOIN LATERAL (
                     SELECT m.id, m.hash FROM message m
                     WHERE m.control=r.control AND m.sender=r.sender AND m.id>=r.since
                       AND m.state<>4
                     ORDER BY m.hash=r.hash DESC, m.id DESC LIMIT 1
                   ) e ON true
                 ), stored AS (
                   INSERT INTO message (id,once,state,attempts,channel,sender,control,kind,hash,
                                        lines,ack,detail,raw,reuses)
                   SELECT id,once,state,attempts,channel,sender,control,kind,hash,lines,ack,detail,
                          raw,prior
                   FROM received WHERE same IS NOT TRUE
                   ON CONFLICT (once) DO NOTHING RETURNING id
                 )"
            ));
        }
        if !self.settled.id.is_empty() {
            let list = list(&[
                "bytea", "smallint", "smallint", "integer", "bigint", "boolean", "bytea", "bytea",
            ]);
            parts.push(format!(
                "settled AS (
                   UPDATE message m
                   SET state=s.state, attempts=s.attempts, next=s.next,
                       ack=CASE WHEN s.known THEN s.ack ELSE m.ack END,
                       detail=CASE WHEN s.known THEN s.detail ELSE m.detail END
                   FROM {list} AS s(id,was,state,attempts,next,known,ack,detail)
                   WHERE m.id=s.id AND m.state=s.was RETURNING m.id
                 )"
            ));
        }
        if !self.patient.is_empty() {
            let list = list(&["text", "bytea"]);
            parts.push(format!(
                "known AS (INSERT INTO message_patient (patient,id) SELECT * FROM {list}
                   ON CONFLICT DO NOTHING)"
            ));
        }
        if !self.queued.raw.is_empty() {
            let list = list(&["bigint", "bigint", "text", "text", "text", "text", "bytea"]);
            parts.push(format!(
                "queued AS (
                   INSERT INTO delivery (state,attempts,line,created,destination,control,kind,
                                         source,raw)
                   SELECT 0,0,line,created,destination,control,kind,source,raw
                   FROM {list} WITH ORDINALITY
                     AS q(line,created,destination,control,kind,source,raw,n) ORDER BY n
                 )"
            ));
        }
        if !self.delivered.n.is_empty() {
            let list = list(&[
                "bigint", "smallint", "smallint", "integer", "bigint", "bytea", "text",
            ]);
            parts.push(format!(
                "sent AS (
                   UPDATE delivery d
                   SET state=s.state, attempts=s.attempts, next=s.next,
                       ack=coalesce(s.ack,d.ack), error=s.error
                   FROM {list} AS s(n,was,state,attempts,next,ack,error)
                   WHERE d.n=s.n AND d.state=s.was RETURNING d.n
                 )"
            ));
        }
        if !self.advanced.key.is_empty() {
            let list = list(&["text", "bytea", "bytea"]);
            parts.push(format!(
                "advanced AS (
                   UPDATE setting f SET value=a.value
                   FROM {list} AS a(key,was,value)
                   WHERE f.key=a.key AND f.value=a.was RETURNING f.key
                 )"
            ));
        }
        parts
    }

    /// Adds the arguments of [`Messages::parts`].
    pub fn bind<'q>(
        &'q self,
        mut query: Query<'q, sqlx::Postgres, PgArguments>,
    ) -> Query<'q, sqlx::Postgres, PgArguments> {
        let from = &self.received;
        if !from.id.is_empty() {
            query = query
                .bind(&from.id)
                .bind(&from.once)
                .bind(&from.since)
                .bind(&from.state)
                .bind(&from.attempts)
                .bind(&from.channel)
                .bind(&from.sender)
                .bind(&from.control)
                .bind(&from.kind)
                .bind(&from.hash)
                .bind(&from.lines)
                .bind(&from.ack)
                .bind(&from.detail)
                .bind(&from.raw);
        }
        let from = &self.settled;
        if !from.id.is_empty() {
            query = query
                .bind(&from.id)
                .bind(&from.from)
                .bind(&from.state)
                .bind(&from.attempts)
                .bind(&from.next)
                .bind(&from.known)
                .bind(&from.ack)
                .bind(&from.detail);
        }
        if !self.patient.is_empty() {
            query = query.bind(&self.patient).bind(&self.patient_id);
        }
        let from = &self.queued;
        if !from.raw.is_empty() {
            query = query
                .bind(&from.line)
                .bind(&from.created)
                .bind(&from.destination)
                .bind(&from.control)
                .bind(&from.kind)
                .bind(&from.source)
                .bind(&from.raw);
        }
        let from = &self.delivered;
        if !from.n.is_empty() {
            query = query
                .bind(&from.n)
                .bind(&from.from)
                .bind(&from.state)
                .bind(&from.attempts)
                .bind(&from.next)
                .bind(&from.ack)
                .bind(&from.error);
        }
        let from = &self.advanced;
        if !from.key.is_empty() {
            query = query.bind(&from.key).bind(&from.from).bind(&from.to);
        }
        query
    }

    /// Conditions that hold if all that was to be done was done: ` AND …`.
    pub fn complete(&self) -> String {
        let mut text = String::new();
        for (part, count) in [
            ("stored", self.received.id.len()),
            ("settled", self.settled.id.len()),
            ("sent", self.delivered.n.len()),
            ("advanced", self.advanced.key.len()),
        ] {
            // One is the rule; the number stands in the text, which is prepared by it.
            if count > 0 {
                text.push_str(&format!(" AND (SELECT count(*) FROM {part})={count}"));
            }
        }
        text
    }

    /// What gives the messages that came, with what came before them, and the numbers of those
    /// that were stored or settled.
    pub fn told(&self) -> String {
        let mut rows = Vec::new();
        if !self.received.id.is_empty() {
            rows.push("SELECT 0::bigint, id, prior, same FROM received");
            rows.push("SELECT 1::bigint, id, NULL::bytea, NULL::boolean FROM stored");
        }
        if !self.settled.id.is_empty() {
            rows.push("SELECT 1::bigint, id, NULL::bytea, NULL::boolean FROM settled");
        }
        if rows.is_empty() {
            rows.push("SELECT 2::bigint, NULL::bytea, NULL::bytea, NULL::boolean");
        }
        rows.join(" UNION ALL ")
    }
}

/// Why the changes cannot be made now; `None` if they can.
pub(super) async fn refusal<S: Session>(
    session: &mut S,
    changes: &[MessageChange],
) -> Result<Option<StoreError>, StoreError> {
    for change in changes {
        let (table, key, state) = match change {
            MessageChange::Receive(message) => {
                if let Some(id) = same_before(session, message).await? {
                    return Ok(Some(StoreError::Duplicate(id)));
                }
                continue;
            }
            MessageChange::Settle(settled) => (
                "message WHERE id=",
                Value::Bytes(settled.id.0.to_vec()),
                settled.from.number(),
            ),
            MessageChange::Deliver(delivered) => (
                "delivery WHERE n=",
                Value::Int(delivered.n),
                delivered.from.number(),
            ),
            MessageChange::Advance(advanced) => {
                let mut sql = Sql::new(session.dialect(), "SELECT 1 FROM setting WHERE key=");
                sql.bind(Value::Text(messages::setting_of(&advanced.follower)));
                sql.push(" AND value=")
                    .bytes(&messages::place(advanced.from));
                if session.rows(&sql).await?.is_empty() {
                    return Ok(Some(StoreError::Settled));
                }
                continue;
            }
            MessageChange::Queue(_) => continue,
        };
        let mut sql = Sql::new(session.dialect(), "SELECT 1 FROM ");
        sql.push(table).bind(key).push(" AND state=").int(state);
        if session.rows(&sql).await?.is_empty() {
            return Ok(Some(StoreError::Settled));
        }
    }
    Ok(None)
}

/// The same message that came before, if it did.
pub(super) async fn same_before<S: Session>(
    session: &mut S,
    message: &NewMessage,
) -> Result<Option<MessageId>, StoreError> {
    let Some(since) = message.unless_since else {
        return Ok(None);
    };
    let (sender, control) = (clean(&message.head.sender), clean(&message.head.control));
    let key = (sender.as_str(), control.as_str(), &message.head.hash);
    let found = earlier(session, key, since).await?;
    Ok(found.filter(|(_, same)| *same).map(|(id, _)| id))
}

/// What is the same for the same message within its window, and for no other.
fn once(message: &NewMessage) -> Option<Vec<u8>> {
    let head = &message.head;
    let received = head.id.received();
    let window = received.checked_sub(message.unless_since?)?.max(1);
    let key = format!(
        "{}\0{}\0{:?}\0{}\0{window}",
        head.sender,
        head.control,
        head.hash,
        received / window
    );
    Some(hash::of(&key).to_vec())
}

/// PostgreSQL's texts have no NUL.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn whole(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}
