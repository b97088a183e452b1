//! `rotunda user`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Failure,
    office::{Common, Office, moment, plain, secret_from_stdin, set},
};
use crate::auth::{
    manage::{Managed, ProxyDraft, UserDraft, Wish, session, shown},
    records::Found,
    user::User,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who there is
    List(Common),
    /// One user, without any secret
    Show(One),
    /// Add a user; prints a one-time password
    Add(Add),
    /// Change a user; what is not named stays
    Set(Set),
    /// Remove a user, with all sessions and tokens
    Remove(One),
    /// Give a user a new one-time password, and log them out everywhere
    ResetPassword(Password),
    /// Take a user's second factor away, and log them out everywhere
    ResetSecondFactor(One),
    /// Where a user is logged in
    Sessions(One),
    /// Log a user out everywhere, and end what apps were granted
    Logout(One),
}

#[derive(Debug, Args)]
pub struct One {
    /// Log-in name, or id
    user: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Add {
    /// Log-in name
    login: String,
    /// Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Set {
    /// Log-in name, or id
    user: String,
    /// Another log-in name
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Give one more role
    #[arg(long, value_name = "ROLE")]
    add_role: Vec<String>,
    /// Take a role away
    #[arg(long, value_name = "ROLE")]
    remove_role: Vec<String>,
    /// May not log in from now on; sessions and tokens end
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// May log in again
    #[arg(long)]
    enable: bool,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Facts {
    /// What pages call the person
    #[arg(long)]
    name: Option<String>,
    /// Where a password reset is sent; "" is nowhere
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A role, instead of those before (several times for several)
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// The person's own resource, as in Practitioner/1
    #[arg(long, value_name = "REFERENCE")]
    fhir_user: Option<String>,
    /// A patient for whom the person may act: ID, or ID=DATE until when; instead of those before
    #[arg(long, value_name = "PATIENT[=DATE]")]
    proxy: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Password {
    /// Log-in name, or id
    user: String,
    /// Read the password from standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    common: Common,
}

impl Facts {
    fn write(&self, proxies: &[ProxyDraft], draft: &mut UserDraft) {
        if let Some(name) = &self.name {
            draft.name.clone_from(name);
        }
        set(&mut draft.email, self.email.as_ref());
        set(&mut draft.fhir_user, self.fhir_user.as_ref());
        if !self.role.is_empty() {
            draft.roles.clone_from(&self.role);
        }
        if !proxies.is_empty() {
            draft.proxies = proxies.to_vec();
        }
    }

    fn proxies(&self, now: i64) -> Result<Vec<ProxyDraft>, Failure> {
        let read = |text: &String| {
            let (patient, until) = match text.split_once('=') {
                None => (text.as_str(), None),
                Some((patient, until)) => (patient, Some(moment(until, now)?)),
            };
            let patient = patient.to_owned();
            Ok(ProxyDraft { patient, until })
        };
        self.proxy.iter().map(read).collect()
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
            Self::List(_) | Self::Show(_) | Self::Sessions(_) => return None,
            Self::Add(add) => ("add", &add.login),
            Self::Set(set) => ("set", &set.user),
            Self::Remove(one) => ("remove", &one.user),
            Self::ResetPassword(one) => ("reset-password", &one.user),
            Self::ResetSecondFactor(one) => ("reset-second-factor", &one.user),
            Self::Logout(one) => ("logout", &one.user),
        };
        Some(format!("user {change} {of}"))
    }

    fn common(&self) -> &Common {
        match self {
            Self::List(common) => common,
            Self::Add(add) => &add.common,
            Self::Set(set) => &set.common,
            Self::ResetPassword(password) => &password.common,
            Self::Show(one)
            | Self::Remove(one)
            | Self::ResetSecondFactor(one)
            | Self::Sessions(one)
            | Self::Logout(one) => &one.common,
        }
    }
}

async fn work(office: &Office, command: &Command) -> Result<(), Failure> {
    let desk = &office.desk;
    match command {
        Command::List(_) => {
            let mut all: Vec<Value> = office.all::<User>().await?.iter().map(shown).collect();
            all.sort_by_key(|user| plain(&user["login"]));
            office.print_all(&all, line);
        }
        Command::Show(one) => office.print(&shown(&desk.user(&one.user).await?)),
        Command::Add(add) => {
            let mut draft = UserDraft {
                login: add.login.clone(),
                ..UserDraft::default()
            };
            add.facts.write(&add.facts.proxies(desk.now())?, &mut draft);
            let password = add.password_stdin.then(secret_from_stdin).transpose()?;
            let wish = Wish {
                password,
                ..Wish::default()
            };
            office.print_made(&User::create(desk, &wish, draft).await?);
        }
        Command::Set(set) => office.print(&shown(&change(office, set).await?)),
        Command::Remove(one) => {
            User::remove(desk, desk.user(&one.user).await?).await?;
            office.say(&format!("removed {}", one.user));
        }
        Command::ResetPassword(one) => reset_password(office, one).await?,
        Command::ResetSecondFactor(one) => {
            let user = desk.user(&one.user).await?;
            desk.reset_second_factor(user).await?;
            office.say(&format!("{} logs in without a second factor", one.user));
        }
        Command::Sessions(one) => {
            let user = desk.user(&one.user).await?;
            let all = desk.sessions(Some(&user.id), "", 500).await?;
            let all: Vec<Value> = all.iter().map(session::shown).collect();
            office.print_all(&all, |one| {
                let parts = ["created", "seen", "address", "agent"].map(|name| plain(&one[name]));
                parts.join("  ")
            });
        }
        Command::Logout(one) => {
            let user = desk.user(&one.user).await?;
            desk.log_out(&user.id).await?;
            office.say(&format!("{} is logged out everywhere", one.user));
        }
    }
    Ok(())
}

fn line(user: &Value) -> String {
    let state = match user["disabled"] == Value::Bool(true) {
        true => "  disabled",
        false => "",
    };
    let parts = ["login", "roles", "fhir_user", "name"].map(|name| plain(&user[name]));
    format!("{}{state}", parts.join("  "))
}

async fn change(office: &Office, set: &Set) -> Result<Found<User>, Failure> {
    let proxies = set.facts.proxies(office.desk.now())?;
    let id = office.desk.user(&set.user).await?.id;
    office
        .change::<User>(&id, |draft| {
            set.facts.write(&proxies, draft);
            if let Some(login) = &set.login {
                draft.login.clone_from(login);
            }
            draft.roles.retain(|role| !set.remove_role.contains(role));
            for role in &set.add_role {
                if !draft.roles.contains(role) {
                    draft.roles.push(role.clone());
                }
            }
            draft.disabled = (draft.disabled || set.disable) && !set.enable;
        })
        .await
}

async fn reset_password(office: &Office, one: &Password) -> Result<(), Failure> {
    let password = one.password_stdin.then(secret_from_stdin).transpose()?;
    let user = office.desk.user(&one.user).await?;
    let login = user.value.login.clone();
    let made = office
        .desk
        .reset_password(user, password.as_deref())
        .await?;
    match (made, one.common.json) {
        (None, _) => office.say(&format!("{login} has the new password")),
        (Some(password), true) => {
            office.print(&serde_json::json!({ "login": login, "password": password }));
        }
        (Some(password), false) => {
            println!("{login} logs in once with the password {password}");
            println!("  (shown this once: only a hash is kept)");
        }
    }
    Ok(())
}
