//! Messages of HL7 v2, by the command line and over REST.

use std::fs;

use conformance::client::Connection;
use serde_json::{Value, json};

use super::{
    program::Place,
    rest::{administrator, send},
};

const ADT: &str = "MSH|^~\\&|HIS|HOSP|ROTUNDA||20261124180000+0000||ADT^A28^ADT_A05|C1|P|2.5.1\r\
                   EVN||20261124180000+0000\r\
                   PID|1||77^^^HOSP^MR||Lovelace^Ada||18151210|F\r";

async fn get(to: &mut Connection, path: &str) -> Value {
    let reply = to.send("GET", path, None, &[]).await.unwrap();
    assert_eq!(reply.status.as_u16(), 200, "{path}: {}", reply.brief());
    reply.json()
}

async fn status(to: &mut Connection, method: &str, path: &str) -> u16 {
    send(to, method, path, &Value::Null).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_browsed_retried_and_dropped() {
    let place = Place::new();
    fs::write(
        place.path("rotunda.toml"),
        "[[hl7.destinations]]\nname = \"nobody\"\naddress = \"127.0.0.1:1\"\n\
         events = [\"patients\"]\n",
    )
    .unwrap();
    let server = place.serve(&["--mllp", "127.0.0.1:0", "--config", "rotunda.toml"]);
    let address = server.line("HL7 v2 messages (MLLP): ").to_owned();
    let mut to = administrator(&place, &server);
    fs::write(place.path("good.hl7"), ADT).unwrap();
    // A merge of patients whom nobody knows, of which one has no identifier.
    let bad = ADT.replace("ADT^A28^ADT_A05|C1", "ADT^A01^ADT_A01|C2");
    fs::write(place.path("bad.hl7"), bad.replace("|C2|P|", "|C2|X|")).unwrap();
    let hl7 = |file: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_rotunda"))
            .args(["hl7", "send", file, "--to", &address])
            .current_dir(&place.folder)
            .output()
            .unwrap()
    };
    let sent = hl7("good.hl7");
    assert!(sent.status.success(), "{}", server.logged());
    assert!(!hl7("bad.hl7").status.success());
    let page = get(&mut to, "/admin/messages").await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["state"], "refused");
    assert_eq!(items[0]["answer"], "AR");
    assert_eq!(items[1]["state"], "done");
    assert_eq!(items[1]["type"], "ADT^A28");
    let patient = items[1]["patients"][0].as_str().unwrap();
    let id = items[1]["id"].as_str().unwrap().to_owned();
    // By page and by filter.
    let first = get(&mut to, "/admin/messages?limit=1").await;
    let next = first["next"].as_str().unwrap().to_owned();
    assert_eq!(get(&mut to, &next).await["items"][0]["id"], id.as_str());
    for (filter, count) in [
        (format!("patient={patient}"), 1),
        ("type=ADT".to_owned(), 2),
        ("type=ADT%5EA01".to_owned(), 1),
        ("state=done".to_owned(), 1),
        ("since=2020-01-01".to_owned(), 2),
        ("before=2020-01-01".to_owned(), 0),
        ("control_id=C1".to_owned(), 1),
    ] {
        let found = get(&mut to, &format!("/admin/messages?{filter}")).await;
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{filter}");
    }
    let one = get(&mut to, &format!("/admin/messages/{id}")).await;
    assert!(one["message"].as_str().unwrap().contains("Lovelace"));
    assert!(
        one["acknowledgement"]
            .as_str()
            .unwrap()
            .contains("MSA|AA|C1")
    );
    let path = format!("/admin/messages/{id}/raw");
    let raw = to.send("GET", &path, None, &[]).await.unwrap();
    assert_eq!(raw.body, ADT.as_bytes());
    // What is done is not retried; replayed it does nothing twice.
    let retry = format!("/admin/messages/{id}/retry");
    assert_eq!(status(&mut to, "POST", &retry).await, 409);
    let replay = format!("/admin/messages/{id}/replay");
    assert_eq!(status(&mut to, "POST", &replay).await, 204);
    let path = format!("/admin/messages/{id}");
    for _ in 0..200 {
        if get(&mut to, &path).await["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(get(&mut to, &path).await["state"], "done");
    // The same by the command line, beside the server.
    let listed = place.json(&["hl7", "messages", "list", "--state", "refused"]);
    assert_eq!(listed[0]["control_id"], "C2");
    let shown = place.told(&["hl7", "messages", "show", &id]);
    assert!(shown.contains("PID|1||77^^^HOSP^MR||Lovelace^Ada"));
    // What the message made is told to others, who are not there.
    let deliveries = get(
        &mut to,
        "/admin/deliveries?destination=nobody&state=waiting",
    )
    .await;
    let n = deliveries["items"][0]["id"].as_i64().unwrap();
    assert_eq!(deliveries["items"][0]["type"], "ADT^A28");
    let queue = send(&mut to, "POST", "/admin/queues/nobody/pause", &Value::Null).await;
    assert_eq!(queue.json()["paused"], true);
    let waiting = queue.json()["waiting"].as_u64().unwrap();
    assert!(waiting >= 1);
    let drop = format!("/admin/deliveries/{n}/drop");
    assert_eq!(status(&mut to, "POST", &drop).await, 204);
    assert_eq!(status(&mut to, "POST", &drop).await, 409);
    let body = json!({ "destination": "nobody" });
    let reply = send(&mut to, "POST", "/admin/deliveries/replay", &body).await;
    assert_eq!(reply.json()["count"], 1);
    let listed = place.told(&["hl7", "queue", "status", "--config", "rotunda.toml"]);
    assert!(
        listed.contains("nobody") && listed.contains("paused"),
        "{listed}"
    );
    // Others may not.
    let token = place.token(&["--role", "doctor"]);
    let mut doctor = server.with(&token);
    assert_eq!(status(&mut doctor, "GET", "/admin/messages").await, 403);
    for path in ["/admin/messages/x", "/admin/deliveries/x", "/admin/queues"] {
        assert_eq!(status(&mut to, "GET", path).await, 404, "{path}");
    }
}
