//! `rotunda hl7 queue`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::{
    Failure,
    office::{Common, Office, moment, plain},
};
use crate::{
    engine::{
        DeliveryFilter, DeliveryState, MessageDesk, MessageFilter, MessageId, MessageState,
        Treatment,
    },
    hl7::browse,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What waits and what was given up, in both directions
    List(List),
    /// How many messages wait and were given up, for each destination
    Status(Status),
    /// One message, with its bytes
    Show(One),
    /// Try what was given up again
    Retry(Treat),
    /// Work on, or send, from a point on once more; nothing is done twice to the record
    Replay(Replay),
    /// Leave messages as they are
    Drop(Treat),
    /// Hold the messages to a destination back
    Pause(Named),
    /// Let the messages to a destination go again
    Resume(Named),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only to this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Only in this state: waiting, failed, done, dropped (and refused, of what came)
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// At most so many of each direction
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct One {
    /// The number of a message to be sent, or the id of one that came
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Treat {
    /// Numbers of messages to be sent, or ids of messages that came
    #[arg(required_unless_present_any = ["destination", "received"], value_name = "ID")]
    ids: Vec<String>,
    /// All that failed to this destination
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    destination: Option<String>,
    /// All that came and failed
    #[arg(long, conflicts_with_all = ["ids", "destination"])]
    received: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// Numbers of messages to be sent, or ids of messages that came
    #[arg(required_unless_present = "since", value_name = "ID")]
    ids: Vec<String>,
    /// All from this moment on (a date or a time), with --destination or --received
    #[arg(long, value_name = "TIME", conflicts_with = "ids")]
    since: Option<String>,
    /// Those to this destination
    #[arg(long, value_name = "NAME", requires = "since")]
    destination: Option<String>,
    /// Those that came
    #[arg(long, requires = "since", conflicts_with = "destination")]
    received: bool,
    /// Of those that came, only by this channel
    #[arg(long, value_name = "NAME", requires = "received")]
    channel: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The destination
    destination: String,
    #[command(flatten)]
    common: Common,
}

impl Command {
    fn common(&self) -> &Common {
        match self {
            Self::List(list) => &list.common,
            Self::Status(status) => &status.common,
            Self::Show(one) => &one.common,
            Self::Retry(treat) | Self::Drop(treat) => &treat.common,
            Self::Replay(replay) => &replay.common,
            Self::Pause(named) | Self::Resume(named) => &named.common,
        }
    }

    /// What is noted in the audit.
    fn change(&self) -> Option<String> {
        let of = |ids: &[String], name: &Option<String>, received: bool| match (name, received) {
            (Some(name), _) => format!("to {name}"),
            (None, true) => "received".to_owned(),
            (None, false) => ids.join(" "),
        };
        Some(match self {
            Self::List(_) | Self::Status(_) | Self::Show(_) => return None,
            Self::Retry(treat) => {
                let of = of(&treat.ids, &treat.destination, treat.received);
                format!("hl7 retry {of}")
            }
            Self::Drop(treat) => {
                let of = of(&treat.ids, &treat.destination, treat.received);
                format!("hl7 drop {of}")
            }
            Self::Replay(replay) => {
                let of = of(&replay.ids, &replay.destination, replay.received);
                format!("hl7 replay {of}")
            }
            Self::Pause(named) => format!("hl7 pause {}", named.destination),
            Self::Resume(named) => format!("hl7 resume {}", named.destination),
        })
    }
}

pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    let office = command.common().open().await?;
    let done = work(&office, &command).await;
    office.close(done, command.change()).await
}

async fn work(office: &Office, command: &Command) -> Result<(), Failure> {
    let desk = office.messages();
    match command {
        Command::List(list) => self::list(office, &desk, list).await,
        Command::Status(status) => {
            let config = status.common.settings.load()?;
            let mut all = Vec::new();
            for destination in &config.hl7.destinations {
                let name = &destination.name;
                let counts = desk.delivery_counts(name).await?;
                let paused = desk.orders(name).await?.paused;
                all.push(browse::queue(name, paused, &counts));
            }
            office.print_all(&all, status_line);
            Ok(())
        }
        Command::Show(one) => show(office, &desk, &one.id).await,
        Command::Retry(treat) => treated(office, &desk, treat, Treatment::Retry).await,
        Command::Drop(treat) => treated(office, &desk, treat, Treatment::Drop).await,
        Command::Replay(replay) => replayed(office, &desk, replay).await,
        Command::Pause(named) => {
            desk.pause(&named.destination, true).await?;
            office.say(&format!("messages to {} wait", named.destination));
            Ok(())
        }
        Command::Resume(named) => {
            desk.pause(&named.destination, false).await?;
            office.say(&format!("messages to {} go", named.destination));
            Ok(())
        }
    }
}

fn status_line(queue: &Value) -> String {
    let paused = match queue["paused"] == Value::Bool(true) {
        true => "  paused",
        false => "",
    };
    format!(
        "{}  waiting {}  failed {}{paused}",
        plain(&queue["destination"]),
        queue["waiting"],
        queue["failed"]
    )
}

async fn list(office: &Office, desk: &MessageDesk, list: &List) -> Result<(), Failure> {
    let wrong = || Failure("--state is waiting, failed, done, dropped or refused".to_owned());
    let mut all = Vec::new();
    let states: Vec<&str> = match &list.state {
        None => vec!["failed", "waiting"],
        Some(state) => vec![state],
    };
    for state in states {
        let came = MessageState::from_name(state).ok_or_else(wrong)?;
        if list.destination.is_none() {
            let filter = MessageFilter {
                state: Some(came),
                ..MessageFilter::default()
            };
            let found = desk.messages(&filter, list.limit).await?;
            all.extend(found.iter().map(browse::message));
        }
        let Some(state) = DeliveryState::from_name(state) else {
            continue;
        };
        let filter = DeliveryFilter {
            destination: list.destination.clone(),
            state: Some(state),
            ..DeliveryFilter::default()
        };
        let found = desk.deliveries(&filter, list.limit).await?;
        all.extend(found.iter().map(browse::delivery));
    }
    office.print_all(&all, line);
    Ok(())
}

/// A line for a message of either direction.
pub fn line(one: &Value) -> String {
    let (way, time) = match &one["destination"] {
        Value::String(name) => (format!("to {name}"), &one["queued"]),
        _ => (format!("by {}", plain(&one["channel"])), &one["received"]),
    };
    let parts = [
        plain(&one["id"]),
        plain(time),
        way,
        plain(&one["type"]),
        plain(&one["control_id"]),
        plain(&one["state"]),
    ];
    match one["error"].as_str() {
        None => parts.join("  "),
        Some(error) => format!("{}  {error}", parts.join("  ")),
    }
}

async fn show(office: &Office, desk: &MessageDesk, id: &str) -> Result<(), Failure> {
    let (mut one, raw) = match named(id)? {
        Which::Sent(n) => {
            let found = desk.delivery(n).await?;
            (browse::delivery(&found), found.delivery.raw)
        }
        Which::Came(id) => {
            let (found, raw) = desk.message(id).await?;
            (browse::message(&found), raw)
        }
    };
    if office.json() {
        one["message"] = json!(browse::text(&raw));
        office.print(&one);
    } else {
        office.print(&one);
        println!("\n{}", browse::text(&raw).trim_end());
    }
    Ok(())
}

/// A message by its name.
pub enum Which {
    /// To be sent.
    Sent(i64),
    /// That came.
    Came(MessageId),
}

/// Which message is meant.
pub fn named(id: &str) -> Result<Which, Failure> {
    if let Ok(n) = id.parse() {
        return Ok(Which::Sent(n));
    }
    let id = id.parse().map_err(|_| {
        Failure(format!(
            "'{id}' is neither the number of a message to be sent nor the id of one that came"
        ))
    })?;
    Ok(Which::Came(id))
}

async fn treated(
    office: &Office,
    desk: &MessageDesk,
    treat: &Treat,
    how: Treatment,
) -> Result<(), Failure> {
    if let Some(destination) = &treat.destination {
        let filter = DeliveryFilter {
            destination: Some(destination.clone()),
            state: Some(DeliveryState::Failed),
            ..DeliveryFilter::default()
        };
        let count = desk.treat_deliveries(&filter, i64::MIN, how).await?;
        office.say(&format!("{count} messages"));
    } else if treat.received {
        let filter = MessageFilter {
            state: Some(MessageState::Failed),
            ..MessageFilter::default()
        };
        let count = desk.treat_messages(&filter, how).await?;
        office.say(&format!("{count} messages"));
    }
    each(desk, &treat.ids, how).await
}

async fn each(desk: &MessageDesk, ids: &[String], how: Treatment) -> Result<(), Failure> {
    for id in ids {
        match named(id)? {
            Which::Sent(n) => desk.treat_delivery(n, how).await?,
            Which::Came(id) => desk.treat_message(id, how).await?,
        }
    }
    Ok(())
}

async fn replayed(office: &Office, desk: &MessageDesk, replay: &Replay) -> Result<(), Failure> {
    let how = Treatment::Replay;
    let Some(since) = &replay.since else {
        return each(desk, &replay.ids, how).await;
    };
    let since = moment(since, office.desk.now())?.0;
    let count = match (&replay.destination, replay.received) {
        (Some(destination), _) => {
            let filter = DeliveryFilter {
                destination: Some(destination.clone()),
                ..DeliveryFilter::default()
            };
            desk.treat_deliveries(&filter, since, how).await?
        }
        (None, true) => {
            let filter = MessageFilter {
                channel: replay.channel.clone(),
                since: Some(since),
                ..MessageFilter::default()
            };
            desk.treat_messages(&filter, how).await?
        }
        (None, false) => {
            return Err(Failure(
                "name what is to be replayed: --destination NAME, or --received".to_owned(),
            ));
        }
    };
    office.say(&format!("{count} messages"));
    Ok(())
}
