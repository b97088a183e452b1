//! `rotunda client`.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Failure,
    office::{Common, Office, plain, scopes, set},
};
use crate::auth::{
    client::Client,
    manage::{ClientDraft, Managed, Wish, duration, shown},
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which there are
    List(Common),
    /// One client, without any secret
    Show(One),
    /// Register a client; prints its id, and its secret if it is confidential
    Add(Add),
    /// Change a client; what is not named stays
    Set(Set),
    /// Remove a client, and end everything that it was granted
    Remove(One),
    /// Give a client another secret
    AddSecret(AddSecret),
    /// Remove a secret, by its id as `show` has it
    RemoveSecret(RemoveSecret),
    /// Add a public key to the key set of a client
    AddKey(AddKey),
    /// Remove a key from the key set of a client
    RemoveKey(RemoveKey),
}

#[derive(Debug, Args)]
pub struct One {
    /// Id of the client
    client: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Add {
    /// What pages call it
    name: String,
    /// Its id (client_id); made if nothing is said
    #[arg(long)]
    id: Option<String>,
    /// It proves who it is with a secret, which is made now
    #[arg(long)]
    confidential: bool,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Set {
    /// Id of the client
    client: String,
    /// What pages call it
    #[arg(long)]
    name: Option<String>,
    /// Gets no tokens from now on, and those that it has end
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Gets tokens again
    #[arg(long)]
    enable: bool,
    #[command(flatten)]
    facts: Facts,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Facts {
    /// Where users come back to (several times for several, instead of those before)
    #[arg(long, value_name = "URL")]
    redirect_uri: Vec<String>,
    /// Where an EHR launch begins; "" is nowhere
    #[arg(long, value_name = "URL")]
    launch_uri: Option<String>,
    /// Origin of its pages, beside those of its redirects, for CORS
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Scopes that it may ask for, instead of those before
    #[arg(long, value_name = "SCOPES")]
    scope: Vec<String>,
    /// File with its public keys (a JWK set)
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where its public keys are; "" is nowhere
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// Seconds that its access tokens live
    #[arg(long, value_name = "SECONDS")]
    access_seconds: Option<u32>,
    /// Whether users are not asked for consent: for programs of the hospital itself
    #[arg(long, value_name = "true|false")]
    trusted: Option<bool>,
    /// Whom to ask about it; "" is nobody
    #[arg(long)]
    contact: Option<String>,
}

#[derive(Debug, Args)]
pub struct AddSecret {
    /// Id of the client
    client: String,
    /// The secrets before end after this time, as in 24h; they stay if nothing is said
    #[arg(long, value_name = "TIME")]
    overlap: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct RemoveSecret {
    /// Id of the client
    client: String,
    /// Id of the secret
    secret: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct AddKey {
    /// Id of the client
    client: String,
    /// File with one public key (JWK)
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct RemoveKey {
    /// Id of the client
    client: String,
    /// The key's kid
    kid: String,
    #[command(flatten)]
    common: Common,
}

impl Facts {
    fn write(&self, jwks: Option<&Value>, draft: &mut ClientDraft) {
        if !self.redirect_uri.is_empty() {
            draft.redirect_uris.clone_from(&self.redirect_uri);
        }
        if !self.origin.is_empty() {
            draft.origins.clone_from(&self.origin);
        }
        if !self.scope.is_empty() {
            draft.scopes = scopes(&self.scope);
        }
        set(&mut draft.launch_uri, self.launch_uri.as_ref());
        set(&mut draft.contact, self.contact.as_ref());
        set(&mut draft.jwks_uri, self.jwks_uri.as_ref());
        draft.access_seconds = self.access_seconds.or(draft.access_seconds);
        draft.trusted = self.trusted.unwrap_or(draft.trusted);
        if let Some(keys) = jwks {
            draft.jwks = Some(keys.clone());
        }
    }

    fn jwks(&self) -> Result<Option<Value>, Failure> {
        self.jwks.as_ref().map(read_json).transpose()
    }
}

fn read_json(path: &PathBuf) -> Result<Value, Failure> {
    let at = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure(format!("{at} cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure(format!("{at} is no JSON: {error}")))
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
            Self::Add(add) => ("add", add.id.as_ref().unwrap_or(&add.name)),
            Self::Set(set) => ("set", &set.client),
            Self::Remove(one) => ("remove", &one.client),
            Self::AddSecret(one) => ("add-secret", &one.client),
            Self::RemoveSecret(one) => ("remove-secret", &one.client),
            Self::AddKey(one) => ("add-key", &one.client),
            Self::RemoveKey(one) => ("remove-key", &one.client),
        };
        Some(format!("client {change} {of}"))
    }

    fn common(&self) -> &Common {
        match self {
            Self::List(common) => common,
            Self::Add(add) => &add.common,
            Self::Set(set) => &set.common,
            Self::AddSecret(one) => &one.common,
            Self::RemoveSecret(one) => &one.common,
            Self::AddKey(one) => &one.common,
            Self::RemoveKey(one) => &one.common,
            Self::Show(one) | Self::Remove(one) => &one.common,
        }
    }
}

async fn work(office: &Office, command: &Command) -> Result<(), Failure> {
    let desk = &office.desk;
    match command {
        Command::List(_) => {
            let all: Vec<Value> = office.all::<Client>().await?.iter().map(shown).collect();
            office.print_all(&all, line);
        }
        Command::Show(one) => office.print(&shown(&Client::get(desk, &one.client).await?)),
        Command::Add(add) => {
            let mut draft = ClientDraft {
                name: add.name.clone(),
                ..ClientDraft::default()
            };
            add.facts.write(add.facts.jwks()?.as_ref(), &mut draft);
            let wish = Wish {
                id: add.id.clone(),
                confidential: add.confidential,
                ..Wish::default()
            };
            office.print_made(&Client::create(desk, &wish, draft).await?);
        }
        Command::Set(set) => {
            let jwks = set.facts.jwks()?;
            let change = |draft: &mut ClientDraft| {
                set.facts.write(jwks.as_ref(), draft);
                if let Some(name) = &set.name {
                    draft.name.clone_from(name);
                }
                draft.disabled = (draft.disabled || set.disable) && !set.enable;
            };
            office.print(&shown(&office.change::<Client>(&set.client, change).await?));
        }
        Command::Remove(one) => {
            Client::remove(desk, Client::get(desk, &one.client).await?).await?;
            office.say(&format!("removed {}", one.client));
        }
        Command::AddSecret(one) => {
            let overlap = one.overlap.as_deref().map(duration).transpose();
            let overlap = overlap.map_err(Failure)?;
            let client = Client::get(desk, &one.client).await?;
            office.print_made(&desk.add_secret(client, overlap).await?);
        }
        Command::RemoveSecret(one) => {
            let client = Client::get(desk, &one.client).await?;
            office.print(&shown(&desk.remove_secret(client, &one.secret).await?));
        }
        Command::AddKey(one) => {
            let key = read_json(&one.file)?;
            let add = |keys: &mut Vec<Value>| keys.push(key.clone());
            change_keys(office, &one.client, add).await?;
        }
        Command::RemoveKey(one) => {
            let remove = |keys: &mut Vec<Value>| keys.retain(|key| key["kid"] != one.kid.as_str());
            change_keys(office, &one.client, remove).await?;
        }
    }
    Ok(())
}

async fn change_keys(
    office: &Office,
    client: &str,
    change: impl Fn(&mut Vec<Value>),
) -> Result<(), Failure> {
    let change = |draft: &mut ClientDraft| {
        let kept = draft.jwks.as_ref().and_then(|set| set["keys"].as_array());
        let mut keys = kept.cloned().unwrap_or_default();
        change(&mut keys);
        draft.jwks = (!keys.is_empty()).then(|| serde_json::json!({ "keys": keys }));
    };
    office.print(&shown(&office.change::<Client>(client, change).await?));
    Ok(())
}

fn line(client: &Value) -> String {
    let state = match client["disabled"] == Value::Bool(true) {
        true => "  disabled",
        false => "",
    };
    let parts = ["id", "proof", "name", "scopes"].map(|name| plain(&client[name]));
    format!("{}{state}", parts.join("  "))
}
