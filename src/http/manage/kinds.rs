//! What can be done with each kind.

use axum::http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    super::{Reply, failure::Failure},
    Request, nothing_more, path, reply,
};
use crate::auth::{
    AuthError, Problem,
    client::{ApiKey, Client},
    manage::{
        self, Made, Managed, TokenOrder, Wish, duration, merged, read, session, shown, token,
    },
    records::Found,
    user::User,
};

/// Records of a page, if nothing is said and at most.
const PAGE: usize = 100;
const LONGEST_PAGE: usize = 500;

/// Lists, reads, makes, changes and removes.
///
/// # Errors
/// What is wrong with the request.
pub async fn answer<T: Managed>(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.desk;
    let method = &request.parts.method;
    let Some(id) = request.place.id else {
        return match *method {
            Method::GET | Method::HEAD => {
                let (after, limit) = page(request)?;
                let found = T::list(desk, &after, limit).await?;
                let last = found.last().map(|last| last.id.clone());
                listed(request, found.iter().map(shown).collect(), last, limit)
            }
            Method::POST => create::<T>(request).await,
            _ => Err(Failure::method("GET, HEAD, POST")),
        };
    };
    match *method {
        Method::GET | Method::HEAD => one(StatusCode::OK, &T::get(desk, id).await?),
        Method::PUT => {
            let old = expected::<T>(request, id).await?;
            let draft = read::<T>(request.members()?)?;
            one(StatusCode::OK, &T::replace(desk, old, draft).await?)
        }
        Method::PATCH => {
            let old = expected::<T>(request, id).await?;
            let draft = merged(&old.value, request.members()?)?;
            one(StatusCode::OK, &T::replace(desk, old, draft).await?)
        }
        Method::DELETE => {
            T::remove(desk, expected::<T>(request, id).await?).await?;
            Ok(nothing_more())
        }
        _ => Err(Failure::method("GET, HEAD, PUT, PATCH, DELETE")),
    }
}

fn one<T: Managed>(status: StatusCode, found: &Found<T>) -> Result<Reply, Failure> {
    reply(status, &shown(found), Some(found.version))
}

/// One, as `If-Match` says it must be.
async fn expected<T: Managed>(request: &Request<'_>, id: &str) -> Result<Found<T>, Failure> {
    let found = T::get(request.desk, id).await?;
    match request.if_match()? {
        Some(version) if version != found.version => Err(Failure::new(
            StatusCode::PRECONDITION_FAILED,
            "conflict",
            format!(
                "It has version {} by now; read it again and make the change on that.",
                found.version
            ),
        )),
        _ => Ok(found),
    }
}

async fn create<T: Managed>(request: &Request<'_>) -> Result<Reply, Failure> {
    let mut members = request.members()?;
    let mut wish = Map::new();
    for name in T::WISHES {
        wish.extend(members.remove_entry(*name));
    }
    let wish: Wish = manage::members(wish)?;
    let draft = read::<T>(members)?;
    made_one(request, &T::create(request.desk, &wish, draft).await?)
}

/// What was made, with its secrets: this once.
fn made_one<T: Managed>(request: &Request<'_>, made: &Made<T>) -> Result<Reply, Failure> {
    let mut value = shown(&made.found);
    for (name, secret) in &made.secrets {
        value[*name] = json!(secret);
    }
    let mut reply = reply(StatusCode::CREATED, &value, Some(made.found.version))?;
    locate(&mut reply, request.place.kind, &made.found.id)?;
    Ok(reply)
}

fn locate(reply: &mut Reply, kind: &str, id: &str) -> Result<(), Failure> {
    let location = HeaderValue::from_str(&format!("{}/{kind}/{id}", super::PATH));
    let location = location.map_err(|_| Failure::fault())?;
    reply.headers_mut().insert(header::LOCATION, location);
    Ok(())
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, AuthError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AuthError::Unfit(vec![Problem::new(
            name,
            "must be a string",
        )])),
    }
}

/// Refuses members that are left when those that are known were taken.
fn only(members: &Map<String, Value>) -> Result<(), AuthError> {
    let unknown = members
        .keys()
        .map(|name| Problem::new(name, "there is no such element"));
    let problems: Vec<Problem> = unknown.collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(AuthError::Unfit(problems)),
    }
}

fn length(members: &mut Map<String, Value>, name: &str) -> Result<Option<i64>, AuthError> {
    let given = text(members, name)?;
    let read = given.as_deref().map(duration).transpose();
    read.map_err(|reason| AuthError::Unfit(vec![Problem::new(name, reason)]))
}

fn page(request: &Request<'_>) -> Result<(String, usize), Failure> {
    let after = request.parameter("after").unwrap_or_default();
    let limit = match request.parameter("limit") {
        None => PAGE,
        Some(text) => text.parse().unwrap_or(0),
    };
    if !(1..=LONGEST_PAGE).contains(&limit) {
        let reason = format!("limit must be a number from 1 to {LONGEST_PAGE}.");
        return Err(Failure::bad_request(reason));
    }
    Ok((after, limit))
}

/// A page, with the address of the next if there may be one.
fn listed(
    request: &Request<'_>,
    items: Vec<Value>,
    last: Option<String>,
    limit: usize,
) -> Result<Reply, Failure> {
    let is_full = items.len() == limit;
    let next = last.filter(|_| is_full).map(|last| {
        let kind = request.place.kind;
        let filters = ["user", "client"].into_iter().filter_map(|name| {
            let value = request.parameter(name)?;
            let set = percent_encoding::NON_ALPHANUMERIC;
            let value = percent_encoding::utf8_percent_encode(&value, set);
            Some(format!("&{name}={value}"))
        });
        let filter: String = filters.collect();
        format!("{}/{kind}?limit={limit}&after={last}{filter}", super::PATH)
    });
    reply(
        StatusCode::OK,
        &json!({ "items": items, "next": next }),
        None,
    )
}

/// `/admin/users/[id]/…`
///
/// # Errors
/// What is wrong with the request.
pub async fn of_user(request: &Request<'_>, action: &str) -> Result<Reply, Failure> {
    let desk = request.desk;
    let id = request.place.id.unwrap_or_default();
    match (&request.parts.method, action, request.place.part) {
        (&Method::POST, "password", None) => {
            let mut members = request.members()?;
            let password = text(&mut members, "password")?;
            only(&members)?;
            let user = expected::<User>(request, id).await?;
            match desk.reset_password(user, password.as_deref()).await? {
                None => Ok(nothing_more()),
                Some(made) => reply(StatusCode::OK, &json!({ "password": made }), None),
            }
        }
        (&Method::DELETE, "second-factor", None) => {
            let user = expected::<User>(request, id).await?;
            desk.reset_second_factor(user).await?;
            Ok(nothing_more())
        }
        (&Method::POST, "logout", None) => {
            let user = User::get(desk, id).await?;
            desk.log_out(&user.id).await?;
            Ok(nothing_more())
        }
        (_, "password" | "logout", None) => Err(Failure::method("POST")),
        (_, "second-factor", None) => Err(Failure::method("DELETE")),
        _ => Err(path::nothing()),
    }
}

/// `/admin/clients/[id]/secrets`
///
/// # Errors
/// What is wrong with the request.
pub async fn of_client(request: &Request<'_>, action: &str) -> Result<Reply, Failure> {
    let desk = request.desk;
    let id = request.place.id.unwrap_or_default();
    match (&request.parts.method, action, request.place.part) {
        (&Method::POST, "secrets", None) => {
            let mut members = request.members()?;
            let overlap = length(&mut members, "overlap")?;
            only(&members)?;
            let client = expected::<Client>(request, id).await?;
            made_one(request, &desk.add_secret(client, overlap).await?)
        }
        (&Method::DELETE, "secrets", Some(secret)) => {
            let client = expected::<Client>(request, id).await?;
            one(StatusCode::OK, &desk.remove_secret(client, secret).await?)
        }
        (_, "secrets", None) => Err(Failure::method("POST")),
        (_, "secrets", Some(_)) => Err(Failure::method("DELETE")),
        _ => Err(path::nothing()),
    }
}

/// `/admin/keys/[id]/rotate`
///
/// # Errors
/// What is wrong with the request.
pub async fn of_key(request: &Request<'_>, action: &str) -> Result<Reply, Failure> {
    const DAY: i64 = 86_400_000;
    let id = request.place.id.unwrap_or_default();
    match (&request.parts.method, action, request.place.part) {
        (&Method::POST, "rotate", None) => {
            let mut members = request.members()?;
            let overlap = length(&mut members, "overlap")?.unwrap_or(DAY);
            only(&members)?;
            let key = expected::<ApiKey>(request, id).await?;
            made_one(request, &request.desk.rotate_key(key, overlap).await?)
        }
        (_, "rotate", None) => Err(Failure::method("POST")),
        _ => Err(path::nothing()),
    }
}

/// `/admin/tokens`: tokens that administrators make, and what was authorized.
///
/// # Errors
/// What is wrong with the request.
pub async fn tokens(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.desk;
    match (&request.parts.method, request.place.id) {
        (&Method::GET | &Method::HEAD, None) => {
            let (after, limit) = page(request)?;
            let (user, client) = (request.parameter("user"), request.parameter("client"));
            let found = desk.grants(user.as_deref(), client.as_deref(), &after, limit);
            let found = found.await?;
            let last = found.last().map(|last| last.id.clone());
            listed(
                request,
                found.iter().map(token::shown).collect(),
                last,
                limit,
            )
        }
        (&Method::POST, None) => {
            let order: TokenOrder = manage::members(request.members()?)?;
            let made = desk.make_token(&order).await?;
            let value = json!({
                "id": made.grant,
                "access_token": made.token,
                "token_type": "Bearer",
                "scope": made.scope,
                "expires": made.expires,
            });
            let mut reply = reply(StatusCode::CREATED, &value, None)?;
            locate(&mut reply, request.place.kind, &made.grant)?;
            Ok(reply)
        }
        (&Method::GET | &Method::HEAD, Some(id)) => {
            let grant = desk.records().get(id).await?;
            reply(StatusCode::OK, &token::shown(&grant), None)
        }
        (&Method::DELETE, Some(id)) => {
            desk.revoke(id).await?;
            Ok(nothing_more())
        }
        (_, None) => Err(Failure::method("GET, HEAD, POST")),
        (_, Some(_)) => Err(Failure::method("GET, HEAD, DELETE")),
    }
}

/// `/admin/sessions`
///
/// # Errors
/// What is wrong with the request.
pub async fn sessions(request: &Request<'_>) -> Result<Reply, Failure> {
    let desk = request.desk;
    match (&request.parts.method, request.place.id) {
        (&Method::GET | &Method::HEAD, None) => {
            let (after, limit) = page(request)?;
            let user = request.parameter("user");
            let found = desk.sessions(user.as_deref(), &after, limit).await?;
            let last = found.last().map(|last| last.id.clone());
            listed(
                request,
                found.iter().map(session::shown).collect(),
                last,
                limit,
            )
        }
        (&Method::DELETE, Some(id)) => {
            desk.end_session(id).await?;
            Ok(nothing_more())
        }
        (_, None) => Err(Failure::method("GET, HEAD")),
        (_, Some(_)) => Err(Failure::method("DELETE")),
    }
}
