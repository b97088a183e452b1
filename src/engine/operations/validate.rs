//! `$validate`: would this write be accepted?

use std::borrow::Cow;

use profiles::validate;
use resources::{
    Doc, Value,
    model::ResourceType,
    outcome::{Issue, Severity},
};

use crate::{
    access::Access,
    engine::{
        Engine,
        draft::parse,
        error::{Error, ErrorKind},
        operation::ValidateRequest,
    },
};

/// What is asked, from the address and from a Parameters body.
struct Asked<'r> {
    resource: Option<Cow<'r, Doc>>,
    mode: Option<String>,
    profile: Option<String>,
}

impl Engine {
    /// `$validate`: the issues to answer with (status 200), an `information` one if all is well.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is nothing to validate or the mode is not known.
    pub async fn validate(
        &self,
        request: &ValidateRequest,
        access: &Access,
    ) -> Result<Vec<Issue>, Error> {
        let asked = asked(request)?;
        let mut issues = match asked.mode.as_deref() {
            None | Some("create" | "update" | "profile") => {
                self.would_write(request, &asked, access).await?
            }
            Some("delete") => self.would_delete(request, access).await?,
            Some(other) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "code-invalid",
                    format!("'{other}' is no mode; it must be create, update, delete or profile"),
                ));
            }
        };
        if let Some(profile) = &asked.profile {
            issues.push(Issue::warning(
                "not-supported",
                format!("the profile {profile} was not looked at; only the structure was"),
            ));
        }
        if !issues.iter().any(|issue| issue.severity >= Severity::Error) {
            issues.push(Issue {
                severity: Severity::Information,
                ..Issue::error("informational", "all is well: the server would accept it")
            });
        }
        Ok(issues)
    }

    async fn would_write(
        &self,
        request: &ValidateRequest,
        asked: &Asked<'_>,
        access: &Access,
    ) -> Result<Vec<Issue>, Error> {
        let doc = match (&asked.resource, &request.id) {
            (Some(doc), _) => doc.clone(),
            (None, Some(id)) => {
                let stored = self.read(request.kind, id, access).await?;
                Cow::Owned(parse(stored.text()?)?)
            }
            (None, None) => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "required",
                    "there is nothing to validate; send the resource, \
                     or Parameters with a parameter named 'resource'",
                ));
            }
        };
        let mut issues = validate(&doc);
        if let Some(named) = doc.resource_type()
            && ResourceType::from_name(named).is_some_and(|kind| kind != request.kind)
        {
            issues.push(Issue::error(
                "invalid",
                format!(
                    "the resource is a {named}, but the address is that of {}",
                    request.kind
                ),
            ));
        }
        let id = doc.root().get("id").and_then(|id| id.as_str());
        if asked.mode.as_deref() == Some("update")
            && let Some(wanted) = &request.id
            && id.as_deref() != Some(wanted)
        {
            issues.push(
                Issue::error(
                    "invalid",
                    format!("the id must be '{wanted}', as in the address"),
                )
                .at(format!("{}.id", request.kind)),
            );
        }
        Ok(issues)
    }

    async fn would_delete(
        &self,
        request: &ValidateRequest,
        access: &Access,
    ) -> Result<Vec<Issue>, Error> {
        let Some(id) = &request.id else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "required",
                "mode delete needs the address of one resource: Type/id/$validate",
            ));
        };
        match self.read(request.kind, id, access).await {
            Ok(_) => Ok(Vec::new()),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Gone) => {
                Ok(error.issues)
            }
            Err(error) => Err(error),
        }
    }
}

fn asked(request: &ValidateRequest) -> Result<Asked<'_>, Error> {
    let mut asked = Asked {
        resource: request.body.as_ref().map(Cow::Borrowed),
        mode: request.mode.clone(),
        profile: request.profile.clone(),
    };
    let Some(doc) = &request.body else {
        return Ok(asked);
    };
    if doc.resource_type() != Some("Parameters") || request.kind == ResourceType::PARAMETERS {
        return Ok(asked);
    }
    asked.resource = None;
    let parameters = doc.root().get("parameter");
    for parameter in parameters.into_iter().flat_map(|all| all.items()) {
        let text = |name: &str| parameter.get(name).and_then(|value| value.as_str());
        match text("name").as_deref() {
            Some("resource") => {
                let resource: Option<Value<'_>> = parameter.get("resource");
                asked.resource = resource
                    .map(|resource| parse(resource.raw()).map(Cow::Owned))
                    .transpose()?;
            }
            Some("mode") => asked.mode = text("valueCode").map(Cow::into_owned),
            Some("profile") => {
                let profile = text("valueUri").or_else(|| text("valueCanonical"));
                asked.profile = profile.map(Cow::into_owned);
            }
            _ => {}
        }
    }
    Ok(asked)
}
