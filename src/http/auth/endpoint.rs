//! The endpoints that apps and their browsers call, each with its methods and what pages of other
//! origins may do with it.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{
    super::{BASE_PATH, Reply, failure::Failure},
    SMART_CONFIGURATION, Visit, authorize, brands, discovery, glass, launch, revoke, token,
    userinfo,
};
use crate::auth::keys::Algorithm;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `[base]/.well-known/smart-configuration`
    SmartConfiguration,
    /// `[issuer]/.well-known/openid-configuration`
    OpenIdConfiguration,
    /// `authorize`
    Authorize,
    /// `token`
    Token,
    /// `jwks`: the keys of id_tokens.
    Jwks,
    /// `server-jwks`: the keys with which the server signs what it says of itself.
    ServerJwks,
    /// `revoke`
    Revoke,
    /// `introspect`
    Introspect,
    /// `userinfo`
    UserInfo,
    /// `launch`
    Launch,
    /// `break-glass`
    BreakGlass,
    /// `brands`
    Brands,
    /// `smart-style.json`
    Style,
}

impl Endpoint {
    /// The endpoint of a path.
    pub fn of(path: &str) -> Option<Self> {
        if path.strip_prefix(BASE_PATH) == Some(SMART_CONFIGURATION) {
            return Some(Self::SmartConfiguration);
        }
        Some(match path {
            "/.well-known/openid-configuration" => Self::OpenIdConfiguration,
            "/auth/authorize" => Self::Authorize,
            "/auth/token" => Self::Token,
            "/auth/jwks" => Self::Jwks,
            "/auth/server-jwks" => Self::ServerJwks,
            "/auth/revoke" => Self::Revoke,
            "/auth/introspect" => Self::Introspect,
            "/auth/userinfo" => Self::UserInfo,
            "/auth/launch" => Self::Launch,
            "/auth/break-glass" => Self::BreakGlass,
            "/auth/brands" => Self::Brands,
            "/auth/smart-style.json" => Self::Style,
            _ => return None,
        })
    }

    /// Whether it says what the server can do, and where.
    pub const fn is_public(self) -> bool {
        matches!(
            self,
            Self::SmartConfiguration
                | Self::OpenIdConfiguration
                | Self::Jwks
                | Self::ServerJwks
                | Self::Brands
                | Self::Style
        )
    }

    const fn methods(self) -> &'static str {
        match self {
            Self::SmartConfiguration
            | Self::OpenIdConfiguration
            | Self::Jwks
            | Self::ServerJwks
            | Self::Brands
            | Self::Style => "GET, HEAD, OPTIONS",
            Self::Authorize => "GET, HEAD, POST",
            // GET is answered too, with an error of OAuth.
            Self::Token => "POST, GET, OPTIONS",
            Self::Revoke | Self::Introspect | Self::Launch | Self::BreakGlass => "POST, OPTIONS",
            Self::UserInfo => "GET, HEAD, POST, OPTIONS",
        }
    }

    /// Answers a request to it.
    ///
    /// # Errors
    /// What is wrong with the request as a whole; the rest is answered in the words of OAuth.
    pub async fn answer(self, visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
        let method = &visit.parts.method;
        let is_known = self.methods().split(", ").any(|known| known == method);
        if !is_known {
            return Err(Failure::method(self.methods()));
        }
        if *method == Method::OPTIONS {
            return Ok(options(self.methods()));
        }
        match self {
            Self::SmartConfiguration => Ok(discovery::smart_configuration(visit)),
            Self::OpenIdConfiguration => Ok(discovery::openid_configuration(visit)),
            Self::Authorize => authorize::answer(visit, body).await,
            Self::Token => token::answer(visit, body).await,
            Self::Jwks => discovery::keys(visit, Algorithm::Rs256).await,
            Self::ServerJwks => discovery::keys(visit, Algorithm::Es384).await,
            Self::Revoke => revoke::revoke(visit, body).await,
            Self::Introspect => revoke::introspect(visit, body).await,
            Self::UserInfo => userinfo::answer(visit).await,
            Self::Launch => launch::answer(visit, body).await,
            Self::BreakGlass => glass::answer(visit, body).await,
            Self::Brands => brands::answer(visit).await,
            Self::Style => Ok(brands::style()),
        }
    }
}

/// Which methods there are. CORS headers are added to all answers.
fn options(methods: &'static str) -> Reply {
    let mut reply = Reply::new(Bytes::new());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let allow = HeaderValue::from_static(methods);
    reply.headers_mut().insert(header::ALLOW, allow);
    reply
}
