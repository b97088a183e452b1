//! `rotunda token`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Failure,
    office::{Common, Office, plain},
};
use crate::auth::manage::{TokenOrder, token::shown};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What was authorized and has not ended
    List(List),
    /// End a token, or all that come from one authorization; takes effect within two seconds
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Make {
    /// All that a role gives, without a user and without care relations (several times for several)
    #[arg(long, value_name = "ROLE", conflicts_with = "user")]
    role: Vec<String>,
    /// What this user may do
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    /// Narrow the token to these scopes
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// The patient in context, by id
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// How long it lives, 24h at most [default: 1h]
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct List {
    /// Those of one user
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Revoke {
    /// An id as `rotunda token list` shows them; `-` reads a token from standard input
    token: String,
    #[command(flatten)]
    common: Common,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let common = match &arguments.command {
        None => &arguments.make.common,
        Some(Command::List(list)) => &list.common,
        Some(Command::Revoke(revoke)) => &revoke.common,
    };
    let office = common.open().await?;
    let done = match &arguments.command {
        None => make(&office, &arguments.make).await,
        Some(Command::List(list)) => show_all(&office, list).await,
        Some(Command::Revoke(one)) => revoke(&office, one).await,
    };
    let change = match &arguments.command {
        None => Some(arguments.make.change()),
        Some(Command::List(_)) => None,
        // A token from standard input is not shown to anybody.
        Some(Command::Revoke(revoke)) => Some(format!("token revoke {}", revoke.token)),
    };
    office.close(done, change).await
}

impl Make {
    /// What is noted in the audit.
    fn change(&self) -> String {
        match &self.user {
            Some(user) => format!("token for user {user}"),
            None => format!("token for roles {}", self.role.join(" ")),
        }
    }
}

async fn make(office: &Office, make: &Make) -> Result<(), Failure> {
    let order = TokenOrder {
        roles: make.role.clone(),
        user: make.user.clone(),
        scope: make.scope.clone(),
        patient: make.patient.clone(),
        ttl: make.ttl.clone(),
    };
    let made = office.desk.make_token(&order).await?;
    if make.common.json {
        office.print(&json!({
            "access_token": made.token,
            "id": made.grant,
            "scope": made.scope,
            "expires": made.expires,
        }));
    } else {
        // Nothing else, so that it can be taken into a variable.
        println!("{}", made.token);
    }
    Ok(())
}

async fn show_all(office: &Office, list: &List) -> Result<(), Failure> {
    let owner = match &list.user {
        None => None,
        Some(login) => Some(office.desk.user(login).await?.id),
    };
    let mut all: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let page = office
            .desk
            .grants(owner.as_deref(), None, &after, 500)
            .await?;
        let Some(last) = page.last() else {
            break;
        };
        after.clone_from(&last.id);
        all.extend(page.iter().map(shown));
    }
    office.print_all(&all, |one| {
        let parts = ["id", "user", "roles", "client", "expires", "scope"];
        parts.map(|name| plain(&one[name])).join("  ")
    });
    Ok(())
}

async fn revoke(office: &Office, one: &Revoke) -> Result<(), Failure> {
    let name = match one.token.as_str() {
        "-" => super::office::secret_from_stdin()?,
        name if name.starts_with("at_") => {
            return Err(Failure(
                "a token in an argument is seen by all users of this computer, so this one is not \
                 taken; end it with `rotunda token revoke -` from standard input"
                    .to_owned(),
            ));
        }
        name => name.to_owned(),
    };
    office.desk.revoke(&name).await?;
    office.say("revoked");
    Ok(())
}
