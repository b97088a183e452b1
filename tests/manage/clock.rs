//! The computer's clock is set back, or forward and back, while the server is down: what was over
//! stays over.

use serde_json::json;

use super::{
    assertion::{Keys, TYPE, With},
    program::{Place, Server},
};

const READ: &str = "/fhir/Patient/none";

/// What a backend service brings for a token.
fn form(jti: &str, expires: i64) -> String {
    let claims = json!({
        "iss": "service", "sub": "service", "aud": format!("{ISSUER}/auth/token"),
        "exp": expires, "jti": jti,
    });
    let header = json!({ "alg": "RS384", "kid": "r", "typ": "JWT" });
    let assertion = Keys::get().sign(With::Rs384, &header, &claims);
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", "system/Patient.rs")
        .append_pair("client_assertion_type", TYPE)
        .append_pair("client_assertion", &assertion)
        .finish()
}

/// The same whatever port the server gets.
const ISSUER: &str = "http://127.0.0.1:8080";

async fn ask(server: &Server, form: &str) -> u16 {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let mut to = server.with("");
    let body = Some(form.to_owned());
    let reply = to.send("POST", "/auth/token", body, &kind).await.unwrap();
    reply.status.as_u16()
}

/// The time that the computer's clock shows to the server, and the server to its clients.
async fn shown(server: &Server) -> i64 {
    let mut to = server.with("");
    let reply = to.send("GET", "/fhir/metadata", None, &[]).await.unwrap();
    let date = httpdate::parse_http_date(reply.header("date").unwrap()).unwrap();
    let since = date.duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_while_the_server_is_down_revives_nothing() {
    const DAY: i64 = 86_400;
    for (label, times, is_killed) in [
        ("M-25 a day back", &[-DAY][..], false),
        ("M-25 a day back, after a power failure", &[-DAY], true),
        ("M-25 some seconds back", &[-25], false),
        ("M-25 two days forward and back", &[2 * DAY, 0], false),
        (
            "M-25 forward and back, after power failures",
            &[2 * DAY, -DAY],
            true,
        ),
    ] {
        let mut place = Place::new();
        let keys = json!({ "keys": [Keys::get().set()["keys"][0]] });
        std::fs::write(place.path("keys.json"), keys.to_string()).unwrap();
        let settings = format!("[auth]\nissuer = \"{ISSUER}\"\n");
        std::fs::write(place.path("rotunda.toml"), settings).unwrap();
        let start = |place: &Place| place.serve(&["--config", "rotunda.toml"]);
        let end = |server: Server| match is_killed {
            true => server.kill(),
            false => server.stop(),
        };
        let server = start(&place);
        let add = "client add Service --id service --jwks keys.json";
        let add: Vec<&str> = add
            .split(' ')
            .chain(["--scope", "system/Patient.rs"])
            .collect();
        place.told(&add);
        let kept = place.token(&["--role", "billing", "--ttl", "1h"]);
        let brief = place.token(&["--role", "billing", "--ttl", "2s"]);
        let revoked = place.token(&["--role", "billing"]);
        assert!(
            place
                .run_with(&["token", "revoke", "-"], &revoked)
                .status
                .success()
        );
        server.becomes(&kept, READ, 404).await;
        server.becomes(&brief, READ, 401).await;
        server.becomes(&revoked, READ, 401).await;
        let began = shown(&server).await;
        let used = form("used", began + 250);
        assert_eq!(ask(&server, &used).await, 200, "{label}");
        assert_eq!(ask(&server, &used).await, 401, "{label}: at once");
        // Signed by then, and stolen before it was used.
        let stale = form("stale", began + 3);
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        end(server);

        let mut latest = began;
        for time in times {
            place.clock_off = *time;
            let server = start(&place);
            let now = shown(&server).await;
            let is_back = now < latest;
            latest = latest.max(now);
            assert_eq!(
                is_back,
                *time < DAY,
                "{label}: {time} from {began} to {now}"
            );
            assert_eq!(
                server.status(&brief, READ).await,
                401,
                "{label} {time}: expired"
            );
            assert_eq!(
                server.status(&revoked, READ).await,
                401,
                "{label} {time}: revoked"
            );
            assert_eq!(
                ask(&server, &used).await,
                401,
                "{label} {time}: an assertion twice"
            );
            assert_eq!(
                ask(&server, &stale).await,
                401,
                "{label} {time}: an old assertion"
            );
            // What is not over goes on, and what is to end in two seconds ends.
            let expected = if latest > began + 3_600 { 401 } else { 404 };
            assert_eq!(server.status(&kept, READ).await, expected, "{label} {time}");
            let next = place.token(&["--role", "billing", "--ttl", "2s"]);
            server.becomes(&next, READ, 401).await;
            let next = place.token(&["--role", "billing", "--ttl", "10m"]);
            assert_eq!(server.status(&next, READ).await, 404, "{label} {time}");
            end(server);
        }
    }
}
