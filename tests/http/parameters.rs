//! Search parameters that users post.

use std::time::Duration;

use crate::{
    client::Client,
    server::{DATABASES, Server},
};

const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_search_parameter_finds_what_was_there_before() {
    for database in DATABASES {
        let server = Server::plain(database).await;
        let mut client = Client::connect(server.address).await;
        let patient = br#"{"resourceType":"Patient","id":"a","maritalStatus":{"coding":[{"system":"urn:m","code":"M"}]}}"#;
        let answer = client
            .send("PUT", "/fhir/Patient/a", &[FHIR], patient)
            .await;
        assert_eq!(answer.status, 201);
        let search = "/fhir/Patient?married=urn:m%7CM";
        assert_eq!(client.send("GET", search, &[], b"").await.status, 400);

        let parameter = br#"{"resourceType":"SearchParameter","id":"married","url":"urn:married","name":"married","status":"active","description":"Marital status","code":"married","base":["Patient"],"type":"token","expression":"Patient.maritalStatus"}"#;
        let path = "/fhir/SearchParameter/married";
        let answer = client.send("PUT", path, &[FHIR], parameter).await;
        assert_eq!(answer.status, 201, "{}", answer.text());

        // Until all is indexed the server says so, and never returns too little.
        let mut patience = 200;
        let found = loop {
            let answer = client.send("GET", search, &[], b"").await;
            if answer.status == 200 {
                break answer.json();
            }
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.header("retry-after").is_some());
            patience -= 1;
            assert!(patience > 0, "it is never indexed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(found["entry"][0]["resource"]["id"], "a", "{database:?}");
        let metadata = client.send("GET", "/fhir/metadata", &[], b"").await.text();
        assert!(metadata.contains("urn:married"), "{database:?}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_is_not_understood_is_refused_with_the_reason() {
    let server = Server::plain(DATABASES[0]).await;
    let mut client = Client::connect(server.address).await;
    let parameter = br#"{"resourceType":"SearchParameter","url":"urn:x","name":"x","status":"active","description":"x","code":"x","base":["Patient"],"type":"string","expression":"Patient.name.repeat(given).trace('x')"}"#;
    let path = "/fhir/SearchParameter";
    let answer = client.send("POST", path, &[FHIR], parameter).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("SearchParameter.expression"));
    server.stop().await;
}
