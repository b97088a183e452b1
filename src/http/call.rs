//! A request whose head was understood.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header, request::Parts},
};

use super::{
    Reply, Server, body,
    failure::Failure,
    headers::{Handling, Prefer},
    load::Working,
    negotiate::{self, BodyType, Format},
    query::Pairs,
};
use crate::{
    access::Access,
    engine::{self, Engine},
};

/// A request whose head was understood.
pub struct Call<'r> {
    /// What all requests share.
    pub server: &'r Server,
    /// Its part of the load.
    pub working: &'r Working<'r>,
    /// The head.
    pub parts: &'r Parts,
    /// The query, decoded.
    pub pairs: Pairs,
    /// The format of the answer.
    pub format: Format,
    /// The client's preferences.
    pub prefer: Prefer,
    /// What the client may see and do.
    pub access: Access,
}

impl Call<'_> {
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.server.engine
    }

    /// The headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Unknown parameters are errors.
    pub fn strict(&self) -> bool {
        match self.prefer.handling {
            Some(handling) => handling == Handling::Strict,
            None => !self.server.settings.lenient_search,
        }
    }

    /// What the body is; refuses what is neither of `wanted`.
    pub fn expect_body(&self, wanted: &[BodyType], names: &str) -> Result<BodyType, Failure> {
        let content_type = self.headers().get(header::CONTENT_TYPE);
        let refuse = |issue| Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, issue);
        let sent = negotiate::body_type(content_type).map_err(refuse)?;
        if wanted.contains(&sent) {
            return Ok(sent);
        }
        Err(refuse(negotiate::unsupported_body(content_type, names)))
    }

    /// The body, of at most `limit` bytes.
    pub async fn receive(&self, body: Body, limit: usize) -> Result<Bytes, Failure> {
        body::read(body, self.headers(), limit, self.working).await
    }

    /// Does a write in a task of its own: one that has begun ends, whether the client waits for
    /// it or not.
    pub async fn to_the_end<T, F>(
        &self,
        work: impl FnOnce(Arc<Engine>, Access) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, engine::Error>> + Send + 'static,
    {
        let work = work(self.server.engine.clone(), self.access.clone());
        match tokio::spawn(work).await {
            Ok(result) => Ok(result?),
            Err(_panic) => Err(Failure::fault()),
        }
    }

    /// 200 with a JSON body.
    pub fn ok(&self, body: impl Into<Bytes>) -> Reply {
        let mut reply = Reply::new(body.into());
        // Room for all headers of an answer at once.
        reply.headers_mut().reserve(12);
        let content_type = self.format.content_type();
        reply
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        reply
    }
}
