use super::*;
use crate::model::ResourceType;

#[test]
fn every_built_in_parameter_compiles() {
    let registry = Registry::builtin();
    let mut refused = Vec::new();
    for kind in ResourceType::all() {
        for (id, reason) in registry.refused(kind) {
            let param = registry.by_id(*id).unwrap();
            refused.push(format!(
                "{}.{}: {reason} [{}]",
                kind.name(),
                param.code,
                param.expression
            ));
        }
    }
    assert_eq!(registry.all().count(), 3008);
    assert_eq!(refused, [""; 0]);
}
