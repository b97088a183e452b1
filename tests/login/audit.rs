//! What the audit holds of log-ins and consents.

use resources::model::ResourceType;
use rotunda::{
    access::Access,
    engine::{Scope, SearchRequest},
};
use serde_json::Value;

use crate::{
    person::Person,
    world::{DATABASES, PASSWORD, World},
};

/// Subtype and outcome of each AuditEvent that is about no resource, in their order.
async fn events(world: &World) -> Vec<(String, String)> {
    let engine = world.auth.engine();
    engine.recorder().flush().await.unwrap();
    let request = SearchRequest {
        scope: Scope::Type(ResourceType::from_name("AuditEvent").unwrap()),
        params: vec![("_sort".to_owned(), "date".to_owned())],
        strict: true,
        explain: false,
    };
    let access = Access::system("what the audit holds");
    let bundle = engine.search(&request, &access).await.unwrap();
    assert!(!bundle.contains(PASSWORD) && !bundle.contains("in the wrong field"));
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    let entries = bundle["entry"].as_array().unwrap().iter();
    let all = entries.map(|entry| {
        let event = &entry["resource"];
        let code = event["subtype"][0]["code"].as_str().unwrap_or("");
        let code = if code.is_empty() {
            event["type"]["code"].as_str().unwrap_or("")
        } else {
            code
        };
        let outcome = event["outcome"].as_str().unwrap_or("");
        (code.to_owned(), outcome.to_owned())
    });
    all.filter(|(code, _)| !["read", "search-type", "update"].contains(&code.as_str()))
        .collect()
}

#[tokio::test]
async fn log_ins_and_consents_are_recorded() {
    for database in DATABASES {
        let world = World::new(database).await;
        let mut ann = Person::new(&world);
        ann.open("/auth/login").await;
        let wrong = [("login", "in the wrong field"), ("password", "x")];
        ann.send("/auth/login", &wrong).await;
        world.wait(1);
        ann.log_in(&world.app("launch/patient patient/Observation.rs"), "ann")
            .await;
        world.wait(1);
        ann.send("/auth/consent", &[("answer", "deny")]).await;
        world.wait(1);
        ann.open("/auth/account").await;
        ann.send("/auth/logout", &[]).await;
        let found = events(&world).await;
        let outcomes: Vec<&str> = found.iter().map(|(_, outcome)| outcome.as_str()).collect();
        assert_eq!(outcomes, ["8", "0", "4", "0"], "{found:?}");
        world.stop().await;
    }
}
