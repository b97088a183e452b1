//! `rotunda hl7 messages`.

use std::{io::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{
        Failure,
        office::{Common, Office, moment},
    },
    queue::{Which, line, named},
};
use crate::{
    engine::{MessageFilter, MessageState},
    hl7::browse,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Messages that came, newest first
    List(List),
    /// One message: what became of it, its bytes and the answer to it
    Show(Show),
}

#[derive(Debug, Args)]
pub struct List {
    /// About this patient: the id of the Patient
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Of this type: ADT, or ADT^A01
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// By this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// In this state: waiting, done, failed, dropped or refused
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// With this MSH-10
    #[arg(long, value_name = "ID")]
    control_id: Option<String>,
    /// That came at or after this date or time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// That came before this date or time
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// That came before this message: how to go on
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The message's id
    id: String,
    /// Print its bytes as they came, and nothing else
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    let common = match &command {
        Command::List(list) => &list.common,
        Command::Show(show) => &show.common,
    };
    let office = common.open().await?;
    let done = match &command {
        Command::List(list) => self::list(&office, list).await,
        Command::Show(show) => self::show(&office, show).await,
    };
    office.close(done, None).await
}

async fn list(office: &Office, list: &List) -> Result<(), Failure> {
    let now = office.desk.now();
    let time = |text: &Option<String>| -> Result<Option<i64>, Failure> {
        let time = text.as_deref().map(|text| moment(text, now)).transpose()?;
        Ok(time.map(|time| time.0))
    };
    let state = list.state.as_deref().map(|name| {
        let wrong = "--state is waiting, done, failed, dropped or refused";
        MessageState::from_name(name).ok_or_else(|| Failure(wrong.to_owned()))
    });
    let below = list.after.as_deref().map(|id| {
        id.parse()
            .map_err(|_| Failure(format!("'{id}' is no id of a message")))
    });
    let filter = MessageFilter {
        state: state.transpose()?,
        channel: list.channel.clone(),
        kind: list.kind.clone(),
        control: list.control_id.clone(),
        patient: list.patient.clone(),
        since: time(&list.since)?,
        before: time(&list.before)?,
        below: below.transpose()?,
    };
    let found = office.messages().messages(&filter, list.limit).await?;
    let all: Vec<_> = found.iter().map(browse::message).collect();
    office.print_all(&all, line);
    Ok(())
}

async fn show(office: &Office, show: &Show) -> Result<(), Failure> {
    let Which::Came(id) = named(&show.id)? else {
        return Err(Failure(format!(
            "{} is a message to be sent: rotunda hl7 queue show {}",
            show.id, show.id
        )));
    };
    let (found, raw) = office.messages().message(id).await?;
    if show.raw {
        std::io::stdout().write_all(&raw)?;
        return Ok(());
    }
    let mut one = browse::message(&found);
    let answer = found.outcome.ack.as_deref().map(browse::text);
    if office.json() {
        one["message"] = json!(browse::text(&raw));
        one["acknowledgement"] = json!(answer);
        office.print(&one);
        return Ok(());
    }
    office.print(&one);
    println!("\n{}", browse::text(&raw).trim_end());
    if let Some(answer) = answer {
        println!("\nanswered with\n{}", answer.trim_end());
    }
    Ok(())
}
