//! Parameters out of a query or a form.

use axum::{body::Body, http::header};

use super::{
    super::{body, failure::Failure, query},
    Visit,
};
use crate::auth::{parameters::Parameters, refusal::OAuthError};

/// Bytes of a form: a request with the longest scopes that make sense is shorter.
const LONGEST: usize = 64 << 10;

/// The parameters of the request's query.
///
/// # Errors
/// `invalid_request`
pub fn of_query(visit: &Visit<'_>) -> Result<Parameters, OAuthError> {
    read(visit.parts.uri.query().unwrap_or_default())
}

/// The parameters of the request's body.
///
/// # Errors
/// As [`body::read`]; what is wrong with the form is the inner error, `invalid_request`.
pub async fn of_body(
    visit: &Visit<'_>,
    body: Body,
) -> Result<Result<Parameters, OAuthError>, Failure> {
    let headers = &visit.parts.headers;
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    let is_form = essence
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    let bytes = body::read(body, headers, LONGEST, visit.working).await?;
    let refuse = |sentence| Ok(Err(OAuthError::new("invalid_request", sentence)));
    if !is_form {
        return refuse("Send the parameters as application/x-www-form-urlencoded in the body.");
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(read(text)),
        Err(_) => refuse("The body is not UTF-8 text."),
    }
}

fn read(text: &str) -> Result<Parameters, OAuthError> {
    let mut pairs = query::Pairs::new();
    match query::read(text, &mut pairs) {
        Ok(()) => Ok(Parameters::new(pairs)),
        Err(_) => Err(OAuthError::new(
            "invalid_request",
            "A parameter is not UTF-8 text after percent-decoding, or holds a NUL.",
        )),
    }
}
