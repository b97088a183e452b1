//! Roles: those in the box, edited or not, and others.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Made, Managed, Management, Wish,
    form::{Form, wrong_key, wrong_name, wrong_order},
    last::Change,
    refuse,
};
use crate::auth::{
    error::{AuthError, Problem},
    records::{Changes, Found},
    role::{BUILT_IN, Role},
    user::User,
};

/// What an administrator writes of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleDraft {
    /// See [`Role::title`].
    pub title: String,
    /// See [`Role::grants`].
    pub grants: Vec<String>,
    /// See [`Role::care_relation`].
    pub care_relation: bool,
    /// See [`Role::orders`].
    pub orders: Vec<String>,
}

/// The version of a role in the box that nobody has edited.
const UNTOUCHED: i64 = 0;

impl Managed for Role {
    type Draft = RoleDraft;
    const FACTS: &'static [&'static str] = &[];
    const WISHES: &'static [&'static str] = &["id"];

    fn draft(&self) -> RoleDraft {
        RoleDraft {
            title: self.title.clone(),
            grants: self.grants.clone(),
            care_relation: self.care_relation,
            orders: self.orders.clone(),
        }
    }

    fn facts(&self) -> Vec<Value> {
        Vec::new()
    }

    async fn create(
        desk: &Management,
        wish: &Wish,
        draft: RoleDraft,
    ) -> Result<Made<Self>, AuthError> {
        let name = wish.id.as_deref().unwrap_or_default();
        refuse(
            wrong_key(name)
                .map(|reason| Problem::new("id", reason))
                .into_iter()
                .collect(),
        )?;
        let taken =
            || AuthError::Unfit(vec![Problem::new("id", "there is such a role; change it")]);
        if Self::built_in(name).is_some() {
            return Err(taken());
        }
        check(&draft)?;
        let role = role(draft);
        match desk
            .records
            .commit(Changes::new().create(name, &role)?)
            .await
        {
            Err(AuthError::Conflict) => return Err(taken()),
            other => other?,
        }
        let found = Found {
            id: name.to_owned(),
            version: 1,
            value: role,
        };
        let secrets = Vec::new();
        Ok(Made { found, secrets })
    }

    async fn replace(
        desk: &Management,
        old: Found<Self>,
        draft: RoleDraft,
    ) -> Result<Found<Self>, AuthError> {
        check(&draft)?;
        let new = Found {
            value: role(draft),
            ..old
        };
        let gate = desk
            .keep_an_administrator(Change::Role(&new.id, Some(&new.value)))
            .await?;
        let changes = match new.version {
            UNTOUCHED => Changes::new().create(&new.id, &new.value)?,
            _ => Changes::new().replace(&new)?,
        };
        desk.records.commit(changes.and(gate)).await?;
        Ok(Found {
            version: new.version + 1,
            ..new
        })
    }

    /// A role of the box becomes again as it was there.
    async fn remove(desk: &Management, found: Found<Self>) -> Result<(), AuthError> {
        let built_in = Self::built_in(&found.id);
        if built_in.is_none() {
            desk.check_unused(&found.id).await?;
        }
        if found.version == UNTOUCHED {
            return Ok(());
        }
        let change = Change::Role(&found.id, built_in.as_ref());
        let gate = desk.keep_an_administrator(change).await?;
        desk.records
            .commit(Changes::new().take(&found).and(gate))
            .await
    }

    async fn get(desk: &Management, id: &str) -> Result<Found<Self>, AuthError> {
        if let Some(found) = desk.records.find(id).await? {
            return Ok(found);
        }
        let built_in = Self::built_in(id).map(|role| untouched(id, role));
        built_in.ok_or_else(|| AuthError::Unknown("role", id.to_owned()))
    }

    async fn list(
        desk: &Management,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Found<Self>>, AuthError> {
        let mut all = desk.records.all::<Self>(None).await?;
        for (name, ..) in BUILT_IN {
            if !all.iter().any(|found| found.id == *name) {
                all.extend(Self::built_in(name).map(|role| untouched(name, role)));
            }
        }
        all.retain(|found| found.id.as_str() > after);
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.truncate(limit);
        Ok(all)
    }
}

/// How a role stands to the box: `built-in`, `edited` or `own`.
pub fn origin(found: &Found<Role>) -> Value {
    json!(match (Role::built_in(&found.id), found.version) {
        (None, _) => "own",
        (Some(_), UNTOUCHED) => "built-in",
        (Some(_), _) => "edited",
    })
}

fn untouched(name: &str, role: Role) -> Found<Role> {
    Found {
        id: name.to_owned(),
        version: UNTOUCHED,
        value: role,
    }
}

fn role(draft: RoleDraft) -> Role {
    Role {
        title: draft.title,
        grants: draft.grants,
        care_relation: draft.care_relation,
        orders: draft.orders,
    }
}

fn check(draft: &RoleDraft) -> Result<(), AuthError> {
    let mut form = Form::default();
    form.check("title", wrong_name(&draft.title));
    form.scopes("grants", &draft.grants);
    form.each("orders", &draft.orders, |text| wrong_order(text));
    refuse(form.0)
}

impl Management {
    async fn check_unused(&self, role: &str) -> Result<(), AuthError> {
        let users = self.records.all::<User>(None).await?;
        let having = users
            .iter()
            .filter(|user| user.value.roles.iter().any(|one| one == role));
        match having.count() {
            0 => Ok(()),
            count => Err(AuthError::Invalid(format!(
                "{count} users have the role '{role}'; take it from them first"
            ))),
        }
    }
}
