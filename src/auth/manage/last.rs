//! There is always somebody who may manage: the last administrator cannot be removed.

use serde::{Deserialize, Serialize};

use super::Management;
use crate::auth::{
    error::AuthError,
    records::{Changes, Kept},
    role::{BUILT_IN, Role},
    scope::Scope,
    user::User,
};

/// Changed with every change that takes somebody's right to manage, so that of two who take each
/// other's right at the same time one is refused.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Gate {}

impl Kept for Gate {
    const KIND: i64 = 40;
    const NAME: &'static str = "gate of the administrators";
}

/// A change that somebody wants to make.
#[derive(Debug, Clone, Copy)]
pub enum Change<'c> {
    /// Of a user, to this or to nothing.
    User(&'c str, Option<&'c User>),
    /// Of a role, to this or to nothing.
    Role(&'c str, Option<&'c Role>),
}

impl Management {
    /// What must be committed with a change so that an administrator is left.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] if none is left; the store refuses.
    pub(super) async fn keep_an_administrator(
        &self,
        change: Change<'_>,
    ) -> Result<Changes, AuthError> {
        let gate = self.records.find::<Gate>("administrators").await?;
        let before = self.administering().await?;
        let mut after = before.clone();
        if let Change::Role(name, role) = change {
            after.retain(|known| known != name);
            after.extend(role.filter(|role| gives_it(role)).map(|_| name.to_owned()));
        }
        let has = |user: &User, roles: &[String]| {
            !user.disabled && user.roles.iter().any(|role| roles.contains(role))
        };
        let mut loses = false;
        let mut is_left = false;
        for found in self.records.all::<User>(None).await? {
            let changed = match change {
                Change::User(id, user) if id == found.id => user,
                _ => Some(&found.value),
            };
            let had = has(&found.value, &before);
            let keeps = changed.is_some_and(|user| has(user, &after));
            loses |= had && !keeps;
            is_left |= keeps;
        }
        if !loses {
            return Ok(Changes::new());
        }
        if !is_left {
            return Err(AuthError::Invalid(
                "this would leave nobody who may manage users: give another user the role \
                 administrator first"
                    .to_owned(),
            ));
        }
        match gate {
            None => Changes::new().create("administrators", &Gate {}),
            Some(gate) => Changes::new().replace(&gate),
        }
    }

    /// The names of the roles that give the right to manage.
    async fn administering(&self) -> Result<Vec<String>, AuthError> {
        let edited = self.records.all::<Role>(None).await?;
        let is_edited = |name: &str| edited.iter().any(|found| found.id == name);
        let built_in = BUILT_IN.iter().map(|(name, ..)| *name);
        let untouched = built_in.filter(|name| !is_edited(name));
        let untouched =
            untouched.filter(|name| Role::built_in(name).is_some_and(|role| gives_it(&role)));
        let mut names: Vec<String> = untouched.map(str::to_owned).collect();
        names.extend(
            edited
                .into_iter()
                .filter(|found| gives_it(&found.value))
                .map(|found| found.id),
        );
        Ok(names)
    }
}

fn gives_it(role: &Role) -> bool {
    role.scopes().has(&Scope::Admin)
}
