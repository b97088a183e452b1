//! `rotunda key`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Failure,
    office::{Common, Office, moment, plain, scopes},
};
use crate::{
    auth::{
        client::ApiKey,
        manage::{KeyDraft, Managed, When, Wish, duration, shown},
    },
    network::Network,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which there are, and when each was last used
    List(Common),
    /// One key, without its secret
    Show(One),
    /// Make a key for an engine that cannot do OAuth; prints it
    Add(Add),
    /// Change a key; what is not named stays
    Set(Set),
    /// Make the key that follows another; prints it
    Rotate(Rotate),
    /// Remove a key; it ends within two seconds
    Remove(One),
}

#[derive(Debug, Args)]
pub struct One {
    /// Id of the key
    key: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Add {
    /// What it is for
    name: String,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Set {
    /// Id of the key
    key: String,
    /// What it is for
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Facts {
    /// system/ scopes, instead of those before
    #[arg(long, value_name = "SCOPES")]
    scope: Vec<String>,
    /// Address or network from which it is taken (several times for several, instead of those
    /// before)
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<Network>,
    /// When it ends: a date, or a time from now as in 90d
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// Id of the key
    key: String,
    /// How long the key before is still taken
    #[arg(long, value_name = "TIME", default_value = "24h")]
    overlap: String,
    #[command(flatten)]
    common: Common,
}

impl Facts {
    fn write(&self, expires: Option<When>, draft: &mut KeyDraft) {
        if !self.scope.is_empty() {
            draft.scopes = scopes(&self.scope);
        }
        if !self.address.is_empty() {
            draft.addresses.clone_from(&self.address);
        }
        draft.expires = expires.or(draft.expires);
    }

    fn expires(&self, now: i64) -> Result<Option<When>, Failure> {
        let given = self.expires.as_deref();
        given.map(|text| moment(text, now)).transpose()
    }
}

pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    let office = command.common().open().await?;
    let done = work(&office, &command).await;
    office.close(done, command.change()).await
}

impl Command {
    /// What is noted in the audit.
    fn change(&self) -> Option<String> {
        let (change, of) = match self {
            Self::List(_) | Self::Show(_) => return None,
            Self::Add(add) => ("add", &add.name),
            Self::Set(set) => ("set", &set.key),
            Self::Rotate(rotate) => ("rotate", &rotate.key),
            Self::Remove(one) => ("remove", &one.key),
        };
        Some(format!("key {change} {of}"))
    }

    fn common(&self) -> &Common {
        match self {
            Self::List(common) => common,
            Self::Add(add) => &add.common,
            Self::Set(set) => &set.common,
            Self::Rotate(rotate) => &rotate.common,
            Self::Show(one) | Self::Remove(one) => &one.common,
        }
    }
}

async fn work(office: &Office, command: &Command) -> Result<(), Failure> {
    let desk = &office.desk;
    match command {
        Command::List(_) => {
            let all: Vec<Value> = office.all::<ApiKey>().await?.iter().map(shown).collect();
            office.print_all(&all, |key| {
                let used = format!("used {}", plain(&key["last_used"]));
                let ends = format!("ends {}", plain(&key["expires"]));
                let parts = ["id", "name", "scopes"].map(|name| plain(&key[name]));
                format!("{}  {used}  {ends}", parts.join("  "))
            });
        }
        Command::Show(one) => office.print(&shown(&ApiKey::get(desk, &one.key).await?)),
        Command::Add(add) => {
            let mut draft = KeyDraft {
                name: add.name.clone(),
                ..KeyDraft::default()
            };
            add.facts.write(add.facts.expires(desk.now())?, &mut draft);
            office.print_made(&ApiKey::create(desk, &Wish::default(), draft).await?);
        }
        Command::Set(set) => {
            let expires = set.facts.expires(desk.now())?;
            let change = |draft: &mut KeyDraft| {
                set.facts.write(expires, draft);
                if let Some(name) = &set.name {
                    draft.name.clone_from(name);
                }
            };
            office.print(&shown(&office.change::<ApiKey>(&set.key, change).await?));
        }
        Command::Rotate(rotate) => {
            let overlap = duration(&rotate.overlap).map_err(Failure)?;
            let old = ApiKey::get(desk, &rotate.key).await?;
            office.print_made(&desk.rotate_key(old, overlap).await?);
        }
        Command::Remove(one) => {
            ApiKey::remove(desk, ApiKey::get(desk, &one.key).await?).await?;
            office.say(&format!("removed {}", one.key));
        }
    }
    Ok(())
}
