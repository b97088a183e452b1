//! Drafts from JSON, with the element that does not fit named.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Managed, refuse};
use crate::auth::error::{AuthError, Problem};

/// A draft from the members of a JSON object; what is not there is as in a new one. Facts are not
/// looked at, unknown members are refused.
///
/// # Errors
/// [`AuthError::Unfit`]
pub fn read<T: Managed>(mut given: Map<String, Value>) -> Result<T::Draft, AuthError> {
    for fact in T::FACTS.iter().chain(&["id", "version"]) {
        given.remove(*fact);
    }
    members(given)
}

/// A draft with the changes of a merge patch (RFC 7396).
///
/// # Errors
/// [`AuthError::Unfit`]
pub fn merged<T: Managed>(old: &T, patch: Map<String, Value>) -> Result<T::Draft, AuthError> {
    let mut all = object(&old.draft())?;
    for (name, change) in patch {
        let slot = all.entry(name).or_insert(Value::Null);
        merge(slot, change);
    }
    read::<T>(all)
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// A value from the members of an object, each tried alone, so that every problem has its place.
/// `null` is the same as nothing.
pub fn members<D: Serialize + DeserializeOwned + Default>(
    given: Map<String, Value>,
) -> Result<D, AuthError> {
    let fresh = object(&D::default())?;
    let known = || fresh.keys().cloned().collect::<Vec<_>>().join(", ");
    let mut all = fresh.clone();
    let mut problems = Vec::new();
    for (name, value) in given {
        if !fresh.contains_key(&name) {
            let reason = format!("there is no such element; there are {}", known());
            problems.push(Problem::new(name, reason));
            continue;
        }
        if value.is_null() {
            continue;
        }
        let mut alone = fresh.clone();
        alone.insert(name.clone(), value.clone());
        match serde_json::from_value::<D>(Value::Object(alone)) {
            Ok(_) => drop(all.insert(name, value)),
            Err(error) => problems.push(Problem::new(name, error.to_string())),
        }
    }
    refuse(problems)?;
    serde_json::from_value(Value::Object(all))
        .map_err(|error| AuthError::Invalid(error.to_string()))
}

fn object<D: Serialize>(draft: &D) -> Result<Map<String, Value>, AuthError> {
    match serde_json::to_value(draft) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(AuthError::Damaged("a draft has no JSON form".to_owned())),
    }
}
