//! What happens here is told to others: in order for each patient, by the same control id until
//! it is acknowledged, over failures and SIGKILL, and not back to who told it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use mllp::{
    Message,
    ack::{self, Answer, Code},
    frame::{self, Decoder, Event},
    header::Header,
    message::Reading,
};
use rotunda::{
    access::Access,
    clock::SystemClock,
    engine::{DeliveryFilter, DeliveryState, Engine, Settings, StoredDelivery, Treatment},
    hl7::outbound::{Destination, Outbound, Scribe, destination::Topic, write::Clerk},
    store::{Options, Store},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::fixture::Database;

on_both_databases!(
    what_happens_is_told_in_order,
    what_a_peer_told_is_not_told_back,
    a_message_that_is_refused_keeps_its_patient_waiting_and_nobody_else,
    what_is_not_acknowledged_in_time_is_sent_again_on_another_connection,
    what_was_given_up_is_retried_replayed_and_dropped,
    a_message_is_sent_again_after_sigkill,
    several_are_on_the_way_if_the_peer_allows,
    of_two_nodes_one_sends,
);

const ALL: Access = Access::system("tests");
const PATIENCE: Duration = Duration::from_secs(30);

/// How a peer answers.
#[derive(Debug, Clone, Copy)]
enum Say {
    Ack(Code),
    Nothing,
    Close,
    Late(Duration),
}

/// A message that a peer got.
#[derive(Debug, Clone)]
struct Got {
    control: String,
    kind: String,
    text: String,
    connection: usize,
}

type Script = Arc<dyn Fn(usize, &Got) -> Say + Send + Sync>;

/// A receiver, over TCP.
struct Peer {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Peer {
    async fn new(script: impl Fn(usize, &Got) -> Say + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (script, all): (Script, _) = (Arc::new(script), Arc::clone(&got));
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = socket.accept().await {
                connection += 1;
                tokio::spawn(serve(
                    stream,
                    connection,
                    Arc::clone(&script),
                    Arc::clone(&all),
                ));
            }
        });
        Self { address, got }
    }

    /// One that acknowledges everything.
    async fn kind() -> Self {
        Self::new(|_, _| Say::Ack(Code::AA)).await
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// What it got, when it is so many.
    async fn so_many(&self, count: usize) -> Vec<Got> {
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "{count} messages were to come, and there are {:?}",
            self.got()
        );
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Script,
    all: Arc<Mutex<Vec<Got>>>,
) {
    let mut decoder = Decoder::new(frame::Limits::default());
    let mut buffer = [0; 4096];
    loop {
        while let Some(event) = decoder.next() {
            let Event::Frame(raw) = event else { continue };
            let message = Message::parse(raw, &Reading::default()).unwrap();
            let header = Header::of(&message);
            let got = Got {
                control: header.control_id.clone(),
                kind: header.kind(),
                text: message.text().to_owned(),
                connection,
            };
            let number = {
                let mut all = all.lock().unwrap();
                all.push(got.clone());
                all.len()
            };
            let mut code = Code::AA;
            match script(number, &got) {
                Say::Ack(said) => code = said,
                Say::Nothing => continue,
                Say::Close => return,
                Say::Late(pause) => tokio::time::sleep(pause).await,
            }
            let answer = ack::write(
                &message,
                &Answer {
                    code,
                    problems: &[],
                    control_id: &format!("ACK{number}"),
                    time: "20261124180000+0000",
                    expected_sequence: None,
                },
            );
            if stream.write_all(&frame::encode(&answer)).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => decoder.push(&buffer[..read]),
            _ => return,
        }
    }
}

struct Home {
    url: String,
    _folder: Option<tempfile::TempDir>,
}

async fn home(database: Database) -> Home {
    match database {
        Database::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            Home {
                url: format!("sqlite:{}", folder.path().join("store.db").display()),
                _folder: Some(folder),
            }
        }
        Database::Postgres => Home {
            url: crate::support::postgres::database().await,
            _folder: None,
        },
    }
}

async fn open(url: &str) -> (Arc<Store>, Arc<Engine>) {
    let store = Arc::new(Store::open(url, &Options::default()).await.unwrap());
    let clock = Arc::new(SystemClock::default());
    let engine = Engine::open(Arc::clone(&store), Settings::default(), clock);
    (store, engine.await.unwrap())
}

fn destination(peer: &Peer) -> Destination {
    Destination {
        name: "peer".to_owned(),
        address: peer.address.to_string(),
        retry: Duration::from_millis(100),
        retry_most: Duration::from_secs(1),
        ack_time: Duration::from_secs(10),
        ..Destination::default()
    }
}

async fn tell(engine: &Arc<Engine>, destination: Destination) -> Outbound {
    let scribe: Arc<dyn Scribe> = Arc::new(Clerk);
    let started = Outbound::start(engine, vec![destination], &scribe).await;
    started.unwrap()
}

async fn put(engine: &Engine, resource: &Value) {
    let operation = crate::fixture::put(&resource.to_string());
    engine.submit(vec![operation], &ALL).await.unwrap();
}

fn patient(id: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id,
        "identifier": [{"system": "urn:oid:1.2.3", "value": id}],
        "name": [{"family": family, "given": ["Ada"]}],
    })
}

fn appointment(id: &str, patient: &str, status: &str, hour: u32) -> Value {
    json!({
        "resourceType": "Appointment", "id": id, "status": status,
        "start": format!("2031-03-03T{hour:02}:00:00Z"),
        "end": format!("2031-03-03T{hour:02}:30:00Z"),
        "participant": [
            {"actor": {"reference": format!("Patient/{patient}")}, "status": "accepted"}
        ],
    })
}

async fn deliveries(engine: &Engine) -> Vec<StoredDelivery> {
    let filter = DeliveryFilter::default();
    engine
        .message_desk()
        .deliveries(&filter, 1_000)
        .await
        .unwrap()
}

/// The messages to be sent, when all of them are in one of the states.
async fn settled(engine: &Engine, states: &[DeliveryState], count: usize) -> Vec<StoredDelivery> {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        let all = deliveries(engine).await;
        if all.len() >= count && all.iter().all(|one| states.contains(&one.state)) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", deliveries(engine).await);
}

fn kinds(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.kind.as_str()).collect()
}

async fn what_happens_is_told_in_order(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    let peer = Peer::kind().await;
    put(&engine, &patient("old", "Before")).await;
    let outbound = tell(&engine, destination(&peer)).await;
    put(&engine, &patient("a", "Lovelace")).await;
    put(&engine, &appointment("x", "a", "pending", 9)).await;
    for (status, hour) in [("booked", 9), ("booked", 10), ("arrived", 10)] {
        put(&engine, &appointment("x", "a", status, hour)).await;
    }
    put(&engine, &appointment("y", "a", "booked", 14)).await;
    put(&engine, &appointment("y", "a", "cancelled", 14)).await;
    put(
        &engine,
        &json!({
            "resourceType": "ServiceRequest", "id": "o", "status": "active", "intent": "order",
            "code": {"text": "Blood count"}, "subject": {"reference": "Patient/a"},
        }),
    )
    .await;
    let mut gone = patient("b", "Byron");
    put(&engine, &gone).await;
    gone["active"] = json!(false);
    gone["link"] = json!([{"other": {"reference": "Patient/a"}, "type": "replaced-by"}]);
    put(&engine, &gone).await;
    let expected = [
        "ADT^A28", "SIU^S12", "SIU^S13", "SIU^S14", "SIU^S12", "SIU^S15", "ORM^O01", "ADT^A28",
        "ADT^A40",
    ];
    let got = peer.so_many(expected.len()).await;
    assert_eq!(kinds(&got), expected);
    assert!(got[0].text.contains("Lovelace^Ada"));
    // The line of the merge is that of the patient who stays, and names the other.
    assert!(got[8].text.contains("MRG|b"), "{}", got[8].text);
    let all = settled(&engine, &[DeliveryState::Done], expected.len()).await;
    assert_eq!(all.len(), expected.len());
    assert!(all.iter().all(|one| one.ack.is_some() && one.attempts == 1));
    let source = all[1].delivery.source.as_ref().unwrap();
    assert_eq!(source.path(), "Appointment/x/_history/2");
    outbound.stop().await;
    // What happens while nothing follows is told afterwards, and nothing twice.
    put(&engine, &patient("a", "King")).await;
    let outbound = tell(&engine, destination(&peer)).await;
    let got = peer.so_many(expected.len() + 1).await;
    assert_eq!(got.last().unwrap().kind, "ADT^A31");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(peer.got().len(), expected.len() + 1);
    outbound.stop().await;
}

async fn what_a_peer_told_is_not_told_back(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    let peer = Peer::kind().await;
    let mut to = destination(&peer);
    to.channel = Some("lab".to_owned());
    let outbound = tell(&engine, to).await;
    let mut told = patient("a", "Lovelace");
    told["meta"] = json!({"source": "urn:rotunda:hl7:lab#1"});
    put(&engine, &told).await;
    let mut other = patient("b", "Byron");
    other["meta"] = json!({"source": "urn:rotunda:hl7:ris#2"});
    put(&engine, &other).await;
    // A person changes what the peer told: that is news to it.
    told["name"][0]["family"] = json!("King");
    put(&engine, &told).await;
    // And the peer changes it again.
    told["meta"]["source"] = json!("urn:rotunda:hl7:lab#3");
    told["name"][0]["family"] = json!("Noel");
    put(&engine, &told).await;
    put(&engine, &patient("c", "Last")).await;
    let got = peer.so_many(3).await;
    assert_eq!(kinds(&got), ["ADT^A28", "ADT^A31", "ADT^A28"]);
    assert!(got[1].text.contains("King"));
    outbound.stop().await;
}

async fn a_message_that_is_refused_keeps_its_patient_waiting_and_nobody_else(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    let tries = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let count = Arc::clone(&tries);
    // The first message about a is not taken until the fourth time; z's never.
    let peer = Peer::new(move |_, got| {
        let mut tries = count.lock().unwrap();
        let tries = tries.entry(got.control.clone()).or_default();
        *tries += 1;
        match () {
            () if got.text.contains("First") && *tries < 4 => Say::Ack(Code::AE),
            () if got.text.contains("Never") => Say::Ack(Code::AR),
            () => Say::Ack(Code::AA),
        }
    })
    .await;
    let outbound = tell(&engine, destination(&peer)).await;
    put(&engine, &patient("a", "First")).await;
    put(&engine, &patient("a", "Second")).await;
    put(&engine, &patient("z", "Never")).await;
    put(&engine, &patient("z", "After")).await;
    put(&engine, &patient("b", "Other")).await;
    let states = [DeliveryState::Done, DeliveryState::Failed];
    let all = settled(&engine, &states, 5).await;
    let state = |name: &str| {
        let found = all.iter().find(|one| {
            let raw = String::from_utf8_lossy(&one.delivery.raw);
            raw.contains(name)
        });
        found.unwrap()
    };
    assert_eq!(state("First").attempts, 4);
    assert_eq!(state("Never").state, DeliveryState::Failed);
    assert_eq!(state("Never").attempts, 1);
    assert_eq!(state("After").state, DeliveryState::Done);
    let note = state("After").error.as_deref().unwrap();
    assert!(note.starts_with("sent after message"), "{note}");
    let got = peer.got();
    let place = |name: &str| {
        let of = |got: &Got| got.text.contains(name);
        (
            got.iter().position(of).unwrap(),
            got.iter().rposition(of).unwrap(),
        )
    };
    assert!(place("First").1 < place("Second").0);
    assert!(place("Never").1 < place("After").0);
    assert!(place("Other").0 < place("First").1);
    outbound.stop().await;
}

async fn what_is_not_acknowledged_in_time_is_sent_again_on_another_connection(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    // No answer, closed, and answered too late: then as it should be.
    let peer = Peer::new(|number, _| match number {
        1 => Say::Nothing,
        2 => Say::Close,
        3 => Say::Late(Duration::from_millis(1_500)),
        _ => Say::Ack(Code::AA),
    })
    .await;
    let mut to = destination(&peer);
    to.ack_time = Duration::from_millis(500);
    let outbound = tell(&engine, to).await;
    put(&engine, &patient("a", "Lovelace")).await;
    let got = peer.so_many(4).await;
    assert!(got.iter().all(|one| one.control == got[0].control));
    assert!(got.iter().all(|one| one.text == got[0].text));
    let connections: Vec<usize> = got.iter().map(|one| one.connection).collect();
    assert_eq!(connections, [1, 2, 3, 4]);
    put(&engine, &patient("b", "Byron")).await;
    let all = settled(&engine, &[DeliveryState::Done], 2).await;
    assert_eq!(all[0].attempts, 4);
    assert_eq!(all[1].attempts, 1);
    assert_eq!(peer.got().len(), 5);
    outbound.stop().await;
}

async fn what_was_given_up_is_retried_replayed_and_dropped(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    let desk = engine.message_desk();
    let good = Arc::new(Mutex::new(false));
    let is_good = Arc::clone(&good);
    let peer = Peer::new(move |_, _| match *is_good.lock().unwrap() {
        true => Say::Ack(Code::AA),
        false => Say::Ack(Code::AE),
    })
    .await;
    let mut to = destination(&peer);
    to.attempts = 2;
    to.hold = true;
    let outbound = tell(&engine, to).await;
    put(&engine, &patient("a", "First")).await;
    put(&engine, &patient("b", "Gone")).await;
    let all = settled(&engine, &[DeliveryState::Failed], 2).await;
    assert_eq!([all[0].attempts, all[1].attempts], [2, 2]);
    assert!(all[0].error.as_deref().unwrap().starts_with("AE"));
    // The next about the same patient waits.
    put(&engine, &patient("a", "Second")).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(deliveries(&engine).await[2].state, DeliveryState::Waiting);
    assert_eq!(peer.got().len(), 4);
    *good.lock().unwrap() = true;
    desk.pause("peer", true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    desk.treat_delivery(all[1].n, Treatment::Drop)
        .await
        .unwrap();
    desk.treat_delivery(all[1].n, Treatment::Retry)
        .await
        .unwrap_err();
    desk.treat_delivery(all[0].n, Treatment::Retry)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(peer.got().len(), 4);
    desk.pause("peer", false).await.unwrap();
    let ended = [DeliveryState::Done, DeliveryState::Dropped];
    let all = settled(&engine, &ended, 3).await;
    assert_eq!(all[1].state, DeliveryState::Dropped);
    let got = peer.got();
    assert_eq!(got[4].control, got[0].control);
    assert!(got[4].text.contains("First") && got[5].text.contains("Second"));
    // All of it once more, in order, by the same control ids.
    let filter = DeliveryFilter {
        destination: Some("peer".to_owned()),
        ..DeliveryFilter::default()
    };
    let count = desk.treat_deliveries(&filter, 0, Treatment::Replay).await;
    assert_eq!(count.unwrap(), 3);
    let got = peer.so_many(9).await;
    let replayed: Vec<&str> = got[6..].iter().map(|one| one.control.as_str()).collect();
    let controls: Vec<&str> = all
        .iter()
        .map(|one| one.delivery.control.as_str())
        .collect();
    assert_eq!(replayed, controls);
    outbound.stop().await;
}

async fn several_are_on_the_way_if_the_peer_allows(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    let peer = Peer::new(|_, _| Say::Late(Duration::from_millis(30))).await;
    let mut to = destination(&peer);
    to.in_flight = 8;
    to.topics = vec![Topic::Patients];
    let outbound = tell(&engine, to).await;
    for round in 0..3 {
        for id in 0..10 {
            put(
                &engine,
                &patient(&format!("p{id}"), &format!("Round{round}")),
            )
            .await;
        }
    }
    settled(&engine, &[DeliveryState::Done], 30).await;
    let got = peer.got();
    assert_eq!(got.len(), 30);
    for id in 0..10 {
        let own = got
            .iter()
            .filter(|one| one.text.contains(&format!("|p{id}^")));
        let rounds: Vec<usize> = own
            .map(|one| {
                (0..3)
                    .find(|round| one.text.contains(&format!("Round{round}")))
                    .unwrap()
            })
            .collect();
        assert_eq!(rounds, [0, 1, 2], "p{id}");
    }
    outbound.stop().await;
}

async fn of_two_nodes_one_sends(database: Database) {
    let home = home(database).await;
    let (_store, engine) = open(&home.url).await;
    if matches!(database, Database::Sqlite) {
        return;
    }
    let (_other_store, other) = open(&home.url).await;
    let peer = Peer::kind().await;
    let first = tell(&engine, destination(&peer)).await;
    let second = tell(&other, destination(&peer)).await;
    for number in 0..20 {
        put(&engine, &patient(&format!("p{number}"), "Lovelace")).await;
        put(&other, &patient(&format!("q{number}"), "Byron")).await;
    }
    settled(&engine, &[DeliveryState::Done], 40).await;
    assert_eq!(peer.got().len(), 40);
    first.stop().await;
    // The other goes on.
    put(&engine, &patient("last", "King")).await;
    let got = peer.so_many(41).await;
    assert!(got[40].text.contains("King"));
    second.stop().await;
}

async fn start(url: &str, config: &Path, folder: &Path) -> (Child, String) {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("server.log"))
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rotunda"))
        .args(["serve", "--open", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--log", "json"])
        .args(["--store", url, "--config"])
        .arg(config)
        .env("ROTUNDA__AUDIT__ANCHORS", folder.join("anchors.jsonl"))
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
    let line = line.await.unwrap().unwrap().unwrap();
    let announced: Value = serde_json::from_str(&line).unwrap();
    (child, announced["listen"].as_str().unwrap().to_owned())
}

async fn a_message_is_sent_again_after_sigkill(database: Database) {
    let home = home(database).await;
    let folder = tempfile::tempdir().unwrap();
    let good = Arc::new(Mutex::new(false));
    let is_good = Arc::clone(&good);
    let peer = Peer::new(move |_, _| match *is_good.lock().unwrap() {
        true => Say::Ack(Code::AA),
        false => Say::Nothing,
    })
    .await;
    let config = folder.path().join("rotunda.toml");
    let text = format!(
        "[[hl7.destinations]]\nname = \"peer\"\naddress = \"{}\"\nevents = [\"patients\"]\n",
        peer.address
    );
    std::fs::write(&config, text).unwrap();
    let (mut server, address) = start(&home.url, &config, folder.path()).await;
    let body = patient("a", "Lovelace").to_string();
    let base = conformance::client::Base::parse(&format!("http://{address}")).unwrap();
    let mut connection = conformance::client::Connection::new(&base, &[]);
    let json = [("content-type", "application/fhir+json")];
    let sent = connection
        .send("PUT", "/fhir/Patient/a", Some(body), &json)
        .await;
    assert_eq!(sent.unwrap().status.as_u16(), 201);
    let first = peer.so_many(1).await;
    server.kill().await.unwrap();
    *good.lock().unwrap() = true;
    let (mut server, _) = start(&home.url, &config, folder.path()).await;
    let got = peer.so_many(2).await;
    assert_eq!(got[1].control, first[0].control);
    assert_eq!(got[1].text, first[0].text);
    // Acknowledged: it is not sent once more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.kill().await.unwrap();
    let (mut server, _) = start(&home.url, &config, folder.path()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.got().len(), 2);
    server.kill().await.unwrap();
}
