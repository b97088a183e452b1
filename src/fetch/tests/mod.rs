//! What must not be reached is not, and what may be comes within its bounds.

mod host;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;
use host::{Host, Names, ok};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A fetcher that may go to these authorities whatever their address.
fn fetcher(allow: &[String], names: &Arc<Names>) -> Fetcher {
    let settings = FetchSettings {
        allow: allow.to_vec(),
        ca_file: None,
    };
    let mut fetcher = Fetcher::with_resolver(&settings, names.clone()).unwrap();
    fetcher.time = Duration::from_secs(1);
    fetcher
}

/// One that may go to `host`.
fn fetcher_for(host: &Host) -> Fetcher {
    fetcher(
        &[format!("127.0.0.1:{}", host.port)],
        &Names::answering(&[]),
    )
}

#[tokio::test]
async fn what_lies_inside_is_not_reached_however_it_is_written() {
    let catcher = Host::saying(&ok("{}")).await;
    let elsewhere = ["idp.internal:8443".to_owned()];
    for (url, resolved) in [
        ("https://127.0.0.1:{port}/", ""),
        ("https://127.1:{port}/", ""),
        ("https://127.0.1:{port}/", ""),
        ("https://0:{port}/", ""),
        ("https://0x7f000001:{port}/", ""),
        ("https://0x7f.0.0.1:{port}/", ""),
        ("https://0x7F.1:{port}/", ""),
        ("https://2130706433:{port}/", ""),
        ("https://017700000001:{port}/", ""),
        ("https://0177.0.0.1:{port}/", ""),
        ("https://127.0.0.1.:{port}/", ""),
        ("https://[::1]:{port}/", ""),
        ("https://[::]:{port}/", ""),
        ("https://[::ffff:127.0.0.1]:{port}/", ""),
        ("https://[::ffff:7f00:1]:{port}/", ""),
        ("https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", ""),
        ("https://[64:ff9b::127.0.0.1]:{port}/", ""),
        ("https://[2002:7f00:1::]:{port}/", ""),
        ("https://[::1%25lo]:{port}/", ""),
        ("https://169.254.169.254/latest/meta-data/", ""),
        ("https://[fd00:ec2::254]/latest/", ""),
        ("https://10.0.0.1/", ""),
        ("https://192.168.1.1/", ""),
        ("https://localhost:{port}/", "127.0.0.1"),
        ("https://localhost.:{port}/", "127.0.0.1"),
        ("https://127.0.0.1.nip.io:{port}/", "127.0.0.1"),
        ("https://metadata.example/", "169.254.169.254"),
        ("https://two.example:{port}/", "1.1.1.1 127.0.0.1"),
        ("https://six.example:{port}/", "::1"),
        ("https://mapped.example:{port}/", "::ffff:127.0.0.1"),
        ("https://idp.internal:{port}/", "127.0.0.1"),
        ("https://nobody.example:{port}/", ""),
        ("http://127.0.0.1:{port}/", ""),
        ("http://public.example/", "1.1.1.1"),
        ("HTTPS://127.0.0.1:{port}/", ""),
        ("https://public.example:22/", "1.1.1.1"),
        ("https://public.example:0/", "1.1.1.1"),
        ("https://public.example:99999/", "1.1.1.1"),
        ("https://user@127.0.0.1:{port}/", ""),
        ("https://public.example:443@127.0.0.1:{port}/", ""),
        ("https://public.example#@127.0.0.1:{port}/", "127.0.0.1"),
        ("https://public.example\\@127.0.0.1:{port}/", ""),
        ("https://public.example%2f@127.0.0.1:{port}/", ""),
        ("https://127.0.0.%31:{port}/", ""),
        ("https://①②⑦.0.0.1:{port}/", ""),
        ("https://127。0。0。1:{port}/", ""),
        (" https://127.0.0.1:{port}/", ""),
        ("https://127.0.0.1:{port}/\r\nHost: a", ""),
        ("https:127.0.0.1:{port}/", ""),
        ("https:/127.0.0.1:{port}/", ""),
        ("https:///127.0.0.1:{port}/", ""),
        ("//127.0.0.1:{port}/", ""),
        ("/etc/passwd", ""),
        ("file:///etc/passwd", ""),
        ("file://127.0.0.1/etc/passwd", ""),
        ("gopher://127.0.0.1:{port}/_GET", ""),
        ("dict://127.0.0.1:{port}/", ""),
        ("ftp://127.0.0.1:{port}/", ""),
        ("ldap://127.0.0.1:{port}/", ""),
        ("jar:https://127.0.0.1:{port}/", ""),
        ("data:application/json,{}", ""),
        ("", ""),
    ] {
        let url = url.replace("{port}", &catcher.port.to_string());
        let resolved: Vec<&str> = resolved.split_whitespace().collect();
        let names = match resolved.is_empty() {
            true => Names::answering(&[]),
            false => Names::answering(&[&resolved]),
        };
        let refused = fetcher(&elsewhere, &names).get_json(&url).await;
        assert!(
            matches!(
                refused,
                Err(FetchError::Url(_) | FetchError::Private(_) | FetchError::Name(_))
            ),
            "{url}: {refused:?}"
        );
    }
    assert_eq!(catcher.visits(), 0);
}

#[tokio::test]
async fn an_allowed_host_is_reached_under_its_own_name_and_port_only() {
    let host = Host::saying(&ok("{\"keys\":[]}")).await;
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.1"]]);
    let port = host.port;
    let fetcher = fetcher(&[format!("IDP.internal:{port}")], &names);
    let url = format!("http://idp.internal:{port}/jwks?a=b#c");
    let fetched = fetcher.get_json(&url).await.unwrap();
    assert_eq!(fetched.body, "{\"keys\":[]}");
    assert_eq!(fetched.max_age, None);
    assert_eq!(
        fetched.json::<serde_json::Value>().unwrap(),
        serde_json::json!({"keys": []})
    );
    let heard = host.heard.lock().unwrap().clone();
    assert!(heard.starts_with("GET /jwks?a=b HTTP/1.1\r\n"), "{heard}");
    assert!(
        heard.contains(&format!("host: idp.internal:{port}\r\n")),
        "{heard}"
    );
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://other.internal:{port}/"),
        format!("http://idp.internal.:{port}/"),
        format!("http://x@idp.internal:{port}/"),
        "http://idp.internal/".to_owned(),
    ] {
        assert!(fetcher.get_json(&url).await.is_err(), "{url}");
    }
    assert_eq!(host.visits(), 1);
}

#[tokio::test]
async fn a_name_is_resolved_once_so_that_its_address_cannot_change_after_the_check() {
    let host = Host::saying(&ok("{}")).await;
    let names = Names::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetcher = fetcher(&[format!("idp.internal:{}", host.port)], &names);
    let url = format!("http://idp.internal:{}/", host.port);
    fetcher.get_json(&url).await.unwrap();
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);

    let names = Names::answering(&[&["1.1.1.1"], &["127.0.0.1"]]);
    let target = Target::read("https://rebind.example/", &Allowed::default()).unwrap();
    let checked = target.addresses(&*names).await.unwrap();
    assert_eq!(checked, ["1.1.1.1".parse::<IpAddr>().unwrap()]);
    let again = target.addresses(&*names).await.unwrap_err();
    assert_eq!(again, FetchError::Private(LOOPBACK));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let catcher = Host::saying(&ok("{}")).await;
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let host = Host::saying(&format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n",
            catcher.port
        ))
        .await;
        let allow = [host.port, catcher.port].map(|port| format!("127.0.0.1:{port}"));
        let fetcher = fetcher(&allow, &Names::answering(&[]));
        let url = format!("http://127.0.0.1:{}/", host.port);
        let refused = fetcher.get_json(&url).await.unwrap_err();
        assert_eq!(refused, FetchError::Redirected(status));
        let secret = Some(("client", "secret"));
        let refused = fetcher.post_form(&url, secret, &[]).await.unwrap_err();
        assert_eq!(refused, FetchError::Redirected(status));
    }
    assert_eq!(catcher.visits(), 0);
}

#[tokio::test]
async fn answers_are_small_quick_and_json() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let large = "x".repeat(65_537);
    for (name, answer, expected) in [
        ("endless", format!("{HEAD}\r\n∞"), "more than 65536 bytes"),
        (
            "endless in chunks",
            format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n∞"),
            "more than 65536 bytes",
        ),
        (
            "announced too large",
            format!("{HEAD}Content-Length: 99999999\r\n\r\n…………"),
            "more than 65536 bytes",
        ),
        ("a byte too large", ok(&large), "more than 65536 bytes"),
        ("an endless head", format!("{HEAD}X: ∞"), "exchange"),
        ("silence", "…".repeat(40), "within 1 seconds"),
        (
            "a slow body",
            format!("{HEAD}Content-Length: 99\r\n\r\n{}", "x…".repeat(99)),
            "within 1 seconds",
        ),
        (
            "a slow head",
            format!("{HEAD}{}", "X: y\r\n…".repeat(40)),
            "within 1 seconds",
        ),
        (
            "endless interim answers",
            "HTTP/1.1 103 Early Hints\r\n\r\n…".repeat(40),
            "within 1 seconds",
        ),
        ("no HTTP", "220 mail\r\n".to_owned(), "exchange"),
        (
            "cut off",
            format!("{HEAD}Content-Length: 99\r\n\r\nx"),
            "exchange",
        ),
        (
            "a page",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "'text/html'",
        ),
        (
            "compressed",
            format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
            "compressed",
        ),
        (
            "nothing there",
            ok("{}").replace("200 OK", "404 Not Found"),
            "status 404",
        ),
        (
            "broken",
            ok("{}").replace("200 OK", "500 Oops"),
            "status 500",
        ),
        (
            "nothing new",
            ok("").replace("200 OK", "204 No"),
            "status 204",
        ),
    ] {
        let host = Host::saying(&answer).await;
        let began = Instant::now();
        let url = format!("http://127.0.0.1:{}/", host.port);
        let refused = fetcher_for(&host).get_json(&url).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{name}: {refused}");
        assert!(began.elapsed() < Duration::from_secs(2), "{name}");
    }
    let host = Host::saying(&ok(&large[1..])).await;
    let url = format!("http://127.0.0.1:{}/", host.port);
    assert!(fetcher_for(&host).get_json(&url).await.is_ok());
}

#[tokio::test]
async fn a_form_is_sent_with_credentials_and_its_refusal_is_an_answer() {
    let refusal = ok("{\"error\":\"invalid_grant\"}").replace("200 OK", "400 Bad Request");
    let host = Host::saying(&refusal).await;
    let url = format!("http://127.0.0.1:{}/token", host.port);
    let form = [("grant_type", "authorization_code"), ("code", "a+b &c")];
    let fetched = fetcher_for(&host)
        .post_form(&url, Some(("my:app", "s€cret")), &form)
        .await
        .unwrap();
    assert_eq!(fetched.status, 400);
    let heard = host.heard.lock().unwrap().clone();
    for part in [
        "POST /token HTTP/1.1\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        &format!(
            "authorization: Basic {}\r\n",
            STANDARD.encode("my%3Aapp:s%E2%82%ACcret")
        ),
        "\r\n\r\ngrant_type=authorization_code&code=a%2Bb+%26c",
    ] {
        assert!(heard.contains(part), "{part} is not in {heard}");
    }
}

#[tokio::test]
async fn a_request_from_a_library_cannot_change_whom_it_is_for() {
    let host = Host::saying(&ok("{}")).await;
    let fetcher = fetcher_for(&host);
    let request = |method: &str| {
        Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{}/x", host.port))
    };
    let fine = request("POST").header("accept", "application/json");
    let answer = fetcher.send(fine.body(b"a=b".to_vec()).unwrap()).await;
    assert_eq!(answer.unwrap().body(), b"{}");
    for (name, value) in [
        ("host", "other.example"),
        ("transfer-encoding", "chunked"),
        ("content-length", "7"),
        ("te", "trailers"),
        ("connection", "x"),
    ] {
        let sent = request("GET").header(name, value).body(Vec::new()).unwrap();
        let refused = fetcher.send(sent).await.unwrap_err();
        assert_eq!(refused, FetchError::Header(name.to_owned()));
    }
    let sent = request("DELETE").body(Vec::new()).unwrap();
    assert!(matches!(
        fetcher.send(sent).await,
        Err(FetchError::Method(_))
    ));
    assert_eq!(host.visits(), 1);
}

#[tokio::test]
async fn a_certificate_must_be_the_hosts_and_of_a_known_authority() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["idp.internal".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let host = Host::with_tls(&ok("{}"), Some(TlsAcceptor::from(Arc::new(config)))).await;
    let port = host.port;
    for (name, ca_file, expected) in [
        ("idp.internal", Some(&ca_file), None),
        ("idp.internal", None, Some("UnknownIssuer")),
        ("other.internal", Some(&ca_file), Some("not valid for name")),
    ] {
        let settings = FetchSettings {
            allow: vec![format!("{name}:{port}")],
            ca_file: ca_file.cloned(),
        };
        let names = Names::answering(&[&["127.0.0.1"]]);
        let fetcher = Fetcher::with_resolver(&settings, names).unwrap();
        let fetched = fetcher.get_json(&format!("https://{name}:{port}/")).await;
        match expected {
            None => assert!(fetched.is_ok(), "{name}: {fetched:?}"),
            Some(words) => {
                let refused = fetched.unwrap_err().to_string();
                assert!(refused.contains(words), "{name}: {refused}");
            }
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (entry, good) in [
        ("idp.internal:8443", true),
        ("127.0.0.1:9000", true),
        ("[::1]:9000", true),
        ("idp.internal", false),
        ("idp.internal:", false),
        ("idp.internal:0", false),
        ("idp.internal:70000", false),
        ("https://idp.internal:8443", false),
        ("idp.internal:8443/", false),
        ("user@idp.internal:8443", false),
        ("*:443", false),
        (":443", false),
        ("", false),
    ] {
        let settings = FetchSettings {
            allow: vec![entry.to_owned()],
            ca_file: None,
        };
        assert_eq!(settings.problems().is_empty(), good, "{entry}");
    }
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in [empty, folder.path().join("missing.pem")] {
        let settings = FetchSettings {
            allow: Vec::new(),
            ca_file: Some(file),
        };
        let refused = Fetcher::new(&settings).err().unwrap().to_string();
        assert!(refused.starts_with("fetch.ca_file: /"), "{refused}");
    }
}
