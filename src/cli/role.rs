//! `rotunda role`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Failure,
    office::{Common, Office, plain, scopes},
};
use crate::auth::{
    AuthError,
    manage::{Managed, RoleDraft, Wish, role, shown},
    records::Found,
    role::Role,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which there are: in the box, edited, and others
    List(Common),
    /// What one gives
    Show(One),
    /// Change a role, or make one; what is not named stays
    Set(Set),
    /// Make a role as it is in the box; remove one that is not there
    Reset(One),
}

#[derive(Debug, Args)]
pub struct One {
    /// Name of the role
    role: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Set {
    /// Name of the role
    role: String,
    /// What pages call it
    #[arg(long)]
    title: Option<String>,
    /// What it gives, in the grammar of scopes, instead of what it gave
    #[arg(long, value_name = "SCOPES")]
    grant: Vec<String>,
    /// Give one more scope
    #[arg(long, value_name = "SCOPE")]
    add_grant: Vec<String>,
    /// Give a scope no more
    #[arg(long, value_name = "SCOPE")]
    remove_grant: Vec<String>,
    /// Whether user/ scopes reach only patients in the user's care
    #[arg(long, value_name = "true|false")]
    care_relation: Option<bool>,
    /// Reach only patients for whom there is such an order, or one of several, or who are in the
    /// user's care if that is asked for too: ServiceRequest?category=laboratory&status=active;
    /// '' for no such bound
    #[arg(long, value_name = "ORDER")]
    order: Vec<String>,
    #[command(flatten)]
    common: Common,
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
            Self::Set(set) => ("set", &set.role),
            Self::Reset(one) => ("reset", &one.role),
        };
        Some(format!("role {change} {of}"))
    }

    fn common(&self) -> &Common {
        match self {
            Self::List(common) => common,
            Self::Set(set) => &set.common,
            Self::Show(one) | Self::Reset(one) => &one.common,
        }
    }
}

async fn work(office: &Office, command: &Command) -> Result<(), Failure> {
    let desk = &office.desk;
    match command {
        Command::List(_) => {
            let all: Vec<Value> = office.all::<Role>().await?.iter().map(one).collect();
            office.print_all(&all, |role| {
                let parts = ["id", "origin", "title"].map(|name| plain(&role[name]));
                parts.join("  ")
            });
        }
        Command::Show(named) => office.print(&one(&Role::get(desk, &named.role).await?)),
        Command::Set(set) => office.print(&one(&change(office, set).await?)),
        Command::Reset(named) => {
            Role::remove(desk, Role::get(desk, &named.role).await?).await?;
            office.say(match Role::built_in(&named.role) {
                Some(_) => "the role is as it was in the box",
                None => "removed",
            });
        }
    }
    Ok(())
}

fn one(found: &Found<Role>) -> Value {
    let mut role = shown(found);
    role["origin"] = role::origin(found);
    role
}

async fn change(office: &Office, set: &Set) -> Result<Found<Role>, Failure> {
    let change = |draft: &mut RoleDraft| {
        if let Some(title) = &set.title {
            draft.title.clone_from(title);
        }
        if !set.grant.is_empty() {
            draft.grants = scopes(&set.grant);
        }
        draft
            .grants
            .retain(|grant| !set.remove_grant.contains(grant));
        for grant in scopes(&set.add_grant) {
            if !draft.grants.contains(&grant) {
                draft.grants.push(grant);
            }
        }
        draft.care_relation = set.care_relation.unwrap_or(draft.care_relation);
        if !set.order.is_empty() {
            let orders = set.order.iter().filter(|order| !order.is_empty());
            draft.orders = orders.cloned().collect();
        }
    };
    match Role::get(&office.desk, &set.role).await {
        Ok(_) => office.change::<Role>(&set.role, change).await,
        Err(AuthError::Unknown(..)) => {
            let mut draft = RoleDraft::default();
            change(&mut draft);
            let wish = Wish {
                id: Some(set.role.clone()),
                ..Wish::default()
            };
            Ok(Role::create(&office.desk, &wish, draft).await?.found)
        }
        Err(error) => Err(error.into()),
    }
}
