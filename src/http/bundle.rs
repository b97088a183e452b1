//! batch and transaction.

use axum::body::Body;

use super::{Reply, body, call::Call, failure::Failure, negotiate::BodyType, write::JSON};
use crate::engine::{BundleOptions, Return};

/// `POST [base]`
pub async fn bundle(call: &Call<'_>, body: Body) -> Result<Reply, Failure> {
    call.expect_body(&[BodyType::Json], JSON)?;
    let limits = &call.engine().settings().limits;
    let bytes = call.receive(body, limits.bundle_bytes).await?;
    let doc = body::parse(bytes, limits.bundle_bounds(), call.working).await?;
    let options = BundleOptions {
        // The client has what it sent; a transaction may have thousands of entries.
        prefer: call.prefer.answer.unwrap_or(Return::Minimal),
        strict: call.strict(),
    };
    let answer = call
        .to_the_end(|engine, access| async move { engine.bundle(doc, &options, &access).await });
    Ok(call.ok(answer.await?))
}
