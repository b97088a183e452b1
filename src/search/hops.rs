//! From one resource to others: chains and `_has`.

use resources::{
    index::{Kind, Param},
    model::ResourceType,
};

use super::{
    compile::{Compiler, type_named},
    fault::Fault,
    filter::Filter,
    plan::Canonical,
};

impl<'a> Compiler<'a> {
    /// The reference parameter, or why it cannot be followed.
    pub fn reference_param(&self, kind: ResourceType, code: &str) -> Result<&'a Param, Fault> {
        let param = self.param(kind, code)?;
        if param.kind != Kind::Reference {
            return Err(Fault::invalid(format!(
                "{kind}.{code} is no reference, so nothing can be chained to it"
            )));
        }
        self.check_outside(param)?;
        Ok(param)
    }

    /// Refuses to follow what leads into a resource rather than to another.
    pub fn check_outside(&self, param: &Param) -> Result<(), Fault> {
        if self.registry.traits(param).inside {
            return Err(Fault::not_supported(format!(
                "{}.{} is a resource inside the {}; it can be searched for by its type and id, but \
                 not by what it says, and it comes with the {} anyway",
                param.base, param.code, param.base, param.base
            )));
        }
        Ok(())
    }

    fn check_hops(&self, hops: usize) -> Result<(), Fault> {
        if hops >= self.limits.hops {
            return Err(Fault::too_costly(format!(
                "it follows more than {} references",
                self.limits.hops
            )));
        }
        Ok(())
    }

    /// `head` (a reference, with or without a type) leads to resources of which `next` gives the
    /// condition.
    pub fn chain(
        &self,
        kind: ResourceType,
        head: &str,
        hops: usize,
        next: &dyn Fn(ResourceType) -> Result<Filter, Fault>,
    ) -> Result<Filter, Fault> {
        self.check_hops(hops)?;
        let (code, target) = match head.split_once(':') {
            Some((code, name)) => (code, Some(type_named(name)?)),
            None => (head, None),
        };
        let param = self.reference_param(kind, code)?;
        if let Some(target) = target {
            check_target(param, target)?;
            return Ok(self.refers(param, target, next(target)?));
        }
        let targets = targets_of(param);
        let mut parts = Vec::new();
        let mut refused = None;
        for target in &targets {
            match next(*target) {
                Ok(inner) => parts.push(self.refers(param, *target, inner)),
                Err(fault) if fault.is_costly() => return Err(fault),
                // A value that says something is wrong with it says more than a missing name.
                Err(fault) => {
                    refused = refused
                        .filter(|known: &Fault| !known.ignorable)
                        .or(Some(fault))
                }
            }
        }
        match refused {
            Some(fault) if parts.is_empty() => Err(fault),
            _ => Ok(Filter::any(parts)),
        }
    }

    /// `_has:` was cut off: `Observation:patient:code`, and perhaps more.
    pub fn has(
        &self,
        kind: ResourceType,
        rest: &str,
        value: &str,
        hops: usize,
    ) -> Result<Filter, Fault> {
        self.check_hops(hops)?;
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::invalid(
                "_has takes a type, a reference parameter and a parameter: \
                 _has:Observation:patient:code",
            ));
        };
        let source = type_named(source)?;
        let param = self.reference_param(source, code)?;
        if !param.targets.is_empty() && !param.targets.contains(&kind) {
            return Err(Fault::invalid(format!(
                "{source}.{code} does not refer to {kind} but to {}",
                names(&param.targets)
            )));
        }
        let inner = self.condition(source, name, value, hops + 1)?;
        Ok(self.referred_by(source, param, kind, inner))
    }

    /// The resource refers by `param` to a `target` with `inner`, by its id or its canonical.
    fn refers(&self, param: &Param, target: ResourceType, inner: Filter) -> Filter {
        let by = |canonical| Filter::refers(param.id, target, canonical, inner.clone());
        match self.canonical(param, target) {
            Some(canonical) => Filter::any(vec![by(None), by(Some(canonical))]),
            None => by(None),
        }
    }

    /// A `source` with `inner` refers by `param` to the resource of type `kind`.
    fn referred_by(
        &self,
        source: ResourceType,
        param: &Param,
        kind: ResourceType,
        inner: Filter,
    ) -> Filter {
        let by = |canonical| Filter::referred_by(source, param.id, canonical, inner.clone());
        match self.canonical(param, kind) {
            Some(canonical) => Filter::any(vec![by(None), by(Some(canonical))]),
            None => by(None),
        }
    }

    fn canonical(&self, param: &Param, target: ResourceType) -> Option<Canonical> {
        let has_urls = self.registry.traits(param).urls;
        has_urls.then(|| Canonical::of(target, self.registry))?
    }
}

pub(super) fn check_target(param: &Param, target: ResourceType) -> Result<(), Fault> {
    if param.targets.is_empty() || param.targets.contains(&target) {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "{}.{} does not refer to {target} but to {}",
        param.base,
        param.code,
        names(&param.targets)
    )))
}

fn targets_of(param: &Param) -> Vec<ResourceType> {
    if param.targets.is_empty() {
        ResourceType::all().collect()
    } else {
        param.targets.clone()
    }
}

fn names(kinds: &[ResourceType]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}
