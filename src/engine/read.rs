//! Reading one resource.

use resources::model::ResourceType;

use super::{
    Engine,
    error::{Error, ErrorKind},
    operation::Resource,
    submit::resource,
};
use crate::{
    access::{Access, Right},
    audit::Code,
    store::Change,
};

impl Engine {
    /// The newest version of a resource.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Gone`].
    pub async fn read(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<Resource, Error> {
        let found = self.look_at(kind, id, access).await;
        self.record_read(access, Code::Read, (kind, id), &found)
            .await?;
        found
    }

    /// As [`Engine::read`], for work on a request that is recorded as a whole.
    pub(super) async fn look_at(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<Resource, Error> {
        let access = &access.to(Right::Read);
        self.permit(kind, access)?;
        self.read_seen(kind, id, access).await
    }

    /// The newest version of a resource, as `access` says for whatever is to be done.
    pub(super) async fn read_seen(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<Resource, Error> {
        match self.seen(kind, id, access).await? {
            Some(stored) if stored.head.deleted => Err(Error::gone(kind, id)),
            Some(stored) => Ok(resource(&stored)),
            None => self
                .read_computed(kind, id, access)
                .await?
                .ok_or_else(|| Error::not_found(kind, id)),
        }
    }

    /// One version of a resource.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Gone`] if the version is a deletion.
    pub async fn vread(
        &self,
        kind: ResourceType,
        id: &str,
        version: i64,
        access: &Access,
    ) -> Result<Resource, Error> {
        let found = self.look_at_version(kind, id, version, access).await;
        self.record_read(access, Code::Vread, (kind, id), &found)
            .await?;
        found
    }

    /// As [`Engine::vread`], for work on a request that is recorded as a whole.
    pub(super) async fn look_at_version(
        &self,
        kind: ResourceType,
        id: &str,
        version: i64,
        access: &Access,
    ) -> Result<Resource, Error> {
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                "not-found",
                format!("{kind}/{id} has no version '{version}'"),
            )
        };
        let access = &access.to(Right::Read);
        self.permit(kind, access)?;
        let all = Access::system("what a Binary says decides who may see it");
        let found = if !self.is_by_context(kind, access) {
            self.store.version(kind, id, version, access).await?
        } else if self.seen(kind, id, access).await?.is_some() {
            self.store.version(kind, id, version, &all).await?
        } else {
            None
        };
        match found {
            // The index knows only newest versions; of older ones the text decides.
            Some(entry) if !self.covers(&entry.stored, access).await? => Err(missing()),
            Some(entry) if entry.change == Change::Delete => Err(Error::new(
                ErrorKind::Gone,
                "deleted",
                format!("version {version} of {kind}/{id} is its deletion"),
            )),
            Some(entry) => Ok(resource(&entry.stored)),
            None if kind == ResourceType::SLOT => {
                let found = self.read_computed(kind, id, access).await?;
                found
                    .filter(|found| found.version == version)
                    .ok_or_else(missing)
            }
            None if version == 1 => self
                .read_computed(kind, id, access)
                .await?
                .ok_or_else(missing),
            None => Err(missing()),
        }
    }

    /// The one resource that a search matches (conditional read).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for none, [`ErrorKind::MultipleMatches`] for several.
    pub async fn read_matching(
        &self,
        kind: ResourceType,
        query: &str,
        access: &Access,
    ) -> Result<Resource, Error> {
        let found = self.find(kind, query, 2, access).await?;
        match &found.hits[..] {
            [one] => Ok(resource(one)),
            [] => Err(Error::new(
                ErrorKind::NotFound,
                "not-found",
                format!("no {kind} matches the condition"),
            )),
            _ => Err(Error::new(
                ErrorKind::MultipleMatches,
                "multiple-matches",
                format!("several resources of type {kind} match the condition; make it match one"),
            )),
        }
    }

    /// A computed resource, unless a stored one (even a deleted one) hides it.
    pub(super) async fn read_computed(
        &self,
        kind: ResourceType,
        id: &str,
        access: &Access,
    ) -> Result<Option<Resource>, Error> {
        if kind == ResourceType::AUDIT_EVENT {
            // Boxed, so that other reads do not carry the room for it.
            return Box::pin(self.read_event(id, access)).await;
        }
        if kind == ResourceType::SLOT {
            let found = Box::pin(self.offered_slot(id, access)).await?;
            // It may have changed at any moment, with whatever is booked.
            return Ok(found.map(|found| Resource {
                updated: self.clock.now(),
                ..found
            }));
        }
        if !self.is_computed(kind, id) {
            return Ok(None);
        }
        Ok(self.computed.visible((kind, id), access, &self.registry()))
    }
}
