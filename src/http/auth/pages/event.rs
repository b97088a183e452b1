//! What happens on the pages, for the audit: who logged in, who could not, who let which app in.

use std::sync::Arc;

use super::{
    super::{super::failure::Failure, Visit},
    form,
};
use crate::{
    access::{Caller, Identity},
    audit::{Code, Outcome},
    auth::{records::Found, user::User},
};

/// Somebody, or nobody in particular, did something; with a sentence that holds nothing that they
/// typed, which may be a password in the wrong field.
///
/// # Errors
/// The audit takes no more: then it must not go on.
pub async fn record(
    visit: &Visit<'_>,
    user: Option<&Found<User>>,
    client: Option<&str>,
    (code, outcome): (Code, Outcome),
    detail: &str,
) -> Result<(), Failure> {
    let identity = match user {
        None => Identity::default(),
        Some(user) => Identity {
            user: Some(user.id.clone()),
            fhir_user: user.value.fhir_user.clone(),
            roles: user.value.roles.clone(),
            client: client.map(str::to_owned),
            ..Identity::default()
        },
    };
    let caller = Caller {
        identity: Arc::new(identity),
        address: form::visitor(visit).address,
        request: String::new(),
    };
    let event = visit.server.engine.event(&caller, code, outcome);
    let recorder = visit.server.engine.recorder();
    let done = recorder.record(&event.saying(detail)).await;
    done.map_err(|error| crate::engine::Error::from(error).into())
}
