use super::*;

fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    Sources {
        file: Some(("rotunda.toml".to_owned(), file.to_owned())),
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
    .read()
    .map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("", &[]), Ok(Config::default()));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = read(
        "[store]\nurl = \"sqlite:a.db\"\nconnections = 3\n",
        &[
            ("ROTUNDA__STORE__URL", "postgres://u:p@h/d"),
            ("ROTUNDA__LIMITS__PAGE_MAX", "77"),
            ("ROTUNDA__HTTP__OPEN", "true"),
            ("ROTUNDA__HTTP__CORS_ORIGINS", "[\"https://a.example\"]"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(config.store.url, "postgres://u:p@h/d");
    assert_eq!(config.store.connections, 3);
    assert_eq!(config.limits.page_max, 77);
    assert!(config.http.open);
    assert_eq!(config.http.cors_origins, ["https://a.example"]);
}

#[test]
fn errors_name_file_line_and_key() {
    for (file, begins) in [
        (
            "[http]\n\nlistn = \"127.0.0.1:1\"\n",
            "rotunda.toml:3: http.listn: unknown field `listn`",
        ),
        (
            "[limits]\npage_max = \"many\"\n",
            "rotunda.toml:2: limits.page_max: invalid type",
        ),
        (
            "[http]\nlisten = \"nowhere\"\n",
            "rotunda.toml:2: http.listen: invalid socket address",
        ),
        (
            "[sotre]\nurl = \"x\"\n",
            "rotunda.toml:1: sotre: unknown field",
        ),
        ("[http\n", "rotunda.toml:1: http: "),
    ] {
        let error = read(file, &[]).unwrap_err();
        assert!(error.starts_with(begins), "{error}");
    }
}

#[test]
fn errors_name_the_variable() {
    for (name, value, begins) in [
        (
            "ROTUNDA__STORE__ULR",
            "x",
            "ROTUNDA__STORE__ULR: store.ulr: unknown field `ulr`",
        ),
        (
            "ROTUNDA__LIMITS__PAGE_MAX",
            "many",
            "ROTUNDA__LIMITS__PAGE_MAX: limits.page_max: invalid type",
        ),
    ] {
        let error = read("", &[(name, value)]).unwrap_err();
        assert!(error.starts_with(begins), "{error}");
    }
}

#[test]
fn open_on_a_public_address_is_a_problem() {
    let mut config = Config::default();
    config.http.open = true;
    config.http.listen = "0.0.0.0:80".parse().unwrap();
    config.http.admin_listen = "192.0.2.1:80".parse().unwrap();
    let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["http.admin_listen", "http.listen"]);
}

#[test]
fn a_listener_that_others_reach_has_tls_or_a_declared_proxy_or_is_refused() {
    const PUBLIC: &str = "listen = \"0.0.0.0:8080\"\n";
    const PROXY: &str = "behind_proxy = true\nproxies = [\"10.0.0.7\", \"fd00::/64\"]\n";
    const URL: &str = "base_url = \"https://fhir.example.org/fhir\"\n";
    const TLS: &str = "[http.tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n";
    for (lines, refused) in [
        (&[][..], &[][..]),
        (&[PUBLIC], &["http.listen"]),
        (&["listen = \"[::]:8080\"\n"], &["http.listen"]),
        (&["listen = \"192.0.2.1:8080\"\n"], &["http.listen"]),
        (&["listen = \"127.0.0.2:8080\"\n"], &[]),
        (&["listen = \"[::1]:8080\"\n"], &[]),
        (&[PUBLIC, PROXY, URL], &[]),
        (&[PROXY, URL], &[]),
        (&[PUBLIC, PROXY], &["http.base_url"]),
        (&[PUBLIC, URL, "behind_proxy = true\n"], &["http.proxies"]),
        (
            &[PUBLIC, URL, "proxies = [\"10.0.0.7\"]\n"],
            &["http.proxies", "http.listen"],
        ),
        (
            &[PROXY, "base_url = \"http://fhir.example.org/fhir\"\n"],
            &["http.base_url"],
        ),
        (
            &[PROXY, "base_url = \"http://localhost.example.org/fhir\"\n"],
            &["http.base_url"],
        ),
        (&[PROXY, "base_url = \"http://localhost:8000/fhir\"\n"], &[]),
        (&[PROXY, URL, "open = true\n"], &["http.behind_proxy"]),
        (&["listen = \"192.0.2.1:8443\"\n", TLS], &[]),
        (&[PUBLIC, URL, TLS], &[]),
        (&[PUBLIC, PROXY, URL, TLS], &[]),
        (&[TLS], &[]),
        (&["open = true\n", TLS], &[]),
        (&[PUBLIC, TLS], &["http.base_url"]),
        (&[PUBLIC, URL, "open = true\n", TLS], &["http.listen"]),
        (
            &["base_url = \"http://localhost/fhir\"\n", TLS],
            &["http.base_url"],
        ),
    ] {
        let config = read(&format!("[http]\n{}", lines.concat()), &[]).unwrap();
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, refused, "{lines:?}");
    }
    let wrong = "[http]\nproxies = [\"10.0.0.0/33\"]\n";
    let error = read(wrong, &[]).unwrap_err();
    assert!(
        error.starts_with("rotunda.toml:2: http.proxies: '10.0.0.0/33' has"),
        "{error}"
    );
}

#[test]
fn a_base_url_can_be_appended_to() {
    for (url, part) in [
        ("http://h/fhir", ""),
        ("https://fhir.example.org:8443/a/b/", ""),
        ("ftp://h/fhir", "begin with http"),
        ("http://", "name a host"),
        ("http:///fhir", "name a host"),
        ("http://h/fhir?x=1", "no query"),
        ("http://h/fhir#x", "no fragment"),
        ("http://h/f hir", "no spaces"),
    ] {
        let mut config = Config::default();
        config.http.base_url = Some(url.to_owned());
        match &config.problems()[..] {
            [] => assert_eq!(part, "", "{url}"),
            [(key, reason)] => {
                assert_eq!(key, "http.base_url");
                assert!(!part.is_empty() && reason.contains(part), "{url}: {reason}");
            }
            more => panic!("{url}: {more:?}"),
        }
    }
}

#[test]
fn origins_are_a_scheme_and_a_host() {
    let mut config = Config::default();
    config.http.cors_origins = [
        "*",
        "https://app.example.org",
        "http://localhost:3000/",
        "http://[::1]:80",
    ]
    .map(str::to_owned)
    .to_vec();
    assert_eq!(config.problems(), []);
    for wrong in [
        "app",
        "app.example.org",
        "https://",
        "https://a/b",
        "ftp://a",
        "null",
        "https://u@a",
        "",
    ] {
        config.http.cors_origins = vec![wrong.to_owned()];
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["http.cors_origins"], "{wrong}");
    }
}

#[test]
fn passwords_are_never_printed() {
    for (url, shown) in [
        ("sqlite:a.db", "sqlite:a.db"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://u:p@ss@h:1/d", "postgres://u:***@h:1/d"),
        (
            "postgres://h/d?password=x&sslmode=require",
            "postgres://h/d?password=***&sslmode=require",
        ),
    ] {
        assert_eq!(without_password(url), shown);
    }
    let mut config = Config::default();
    config.store.url = "postgres://u:secret@h/d".to_owned();
    assert!(!config.to_toml().contains("secret"));
}

#[test]
fn what_is_printed_reads_back() {
    assert_eq!(
        read(&Config::default().to_toml(), &[]),
        Ok(Config::default())
    );
}

#[test]
fn a_time_zone_that_there_is_not_is_a_problem() {
    for (name, is_known) in [
        ("UTC", true),
        ("Europe/Berlin", true),
        ("America/Argentina/Buenos_Aires", true),
        ("Europe/Atlantis", false),
        ("", false),
        ("+02:00", false),
        ("Europe/Berlin ", false),
    ] {
        let file = format!("[scheduling]\ntime_zone = {name:?}\n");
        let sources = Sources {
            file: Some(("f.toml".to_owned(), file)),
            environment: Vec::new(),
        };
        let config = sources.read().unwrap();
        assert_eq!(config.scheduling.zone().is_some(), is_known, "{name}");
        let problems: Vec<(String, String)> = config.problems();
        let found = problems
            .iter()
            .find(|(key, _)| key == "scheduling.time_zone");
        assert_eq!(found.is_none(), is_known, "{name}: {problems:?}");
        if let Some((_, reason)) = found {
            assert!(reason.starts_with(&format!("'{name}' is no name of the IANA")));
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("scheduling.time_zone: "), "{error}");
        }
    }
}

#[test]
fn holds_of_a_patient_are_few() {
    let config = |holds: u16| {
        let mut config = Config::default();
        config.scheduling.holds_per_patient = holds;
        config.problems()
    };
    assert_eq!(config(0), Vec::new());
    assert_eq!(config(1_000), Vec::new());
    assert_eq!(config(1_001)[0].0, "scheduling.holds_per_patient");
}

#[test]
fn a_no_show_comes_within_a_week() {
    let config = |minutes: u32| {
        let mut config = Config::default();
        config.scheduling.no_show_after_minutes = minutes;
        config.problems()
    };
    assert_eq!(config(0), Vec::new());
    assert_eq!(config(10_080), Vec::new());
    assert_eq!(config(10_081)[0].0, "scheduling.no_show_after_minutes");
}

#[test]
fn listeners_of_hl7_are_not_open_by_mistake() {
    const TLS: &str = "tls = { certificate = \"a\", key = \"b\", client_authorities = \"c\" }\n";
    let of = |text: &str| {
        let config = read(text, &[]).unwrap();
        let found = config.problems().into_iter().map(|(key, _)| key);
        found.collect::<Vec<String>>()
    };
    let listener = |text: &str| format!("[[hl7.listeners]]\n{text}\n");
    let everywhere = "listen = \"0.0.0.0:2575\"\n";
    let tunnel = "behind_tunnel = true\n";
    let cases: [(String, &[&str]); 8] = [
        (listener("listen = \"127.0.0.1:2575\""), &[]),
        (listener(everywhere), &["hl7.listeners[0].listen"]),
        (listener(&format!("{everywhere}{TLS}")), &[]),
        (
            listener(&format!("{everywhere}{tunnel}")),
            &["hl7.listeners[0].peers"],
        ),
        (
            listener(&format!("{everywhere}{tunnel}peers = [\"10.0.0.0/8\"]")),
            &[],
        ),
        (
            listener(&format!("{everywhere}channels = [\"lab\"]\n{TLS}")),
            &["hl7.listeners[0].channels"],
        ),
        (
            "[[hl7.channels]]\nname = \"a\"\n[[hl7.channels]]\nname = \"a\"\n".to_owned(),
            &["hl7.channels[1].name"],
        ),
        (
            "[[hl7.channels]]\nname = \"a b\"\ncertificates = [\"x\"]\ntime_zone = \"Mars\"\n\
             charset = \"klingon\"\nprocessing = [\"Q\"]\nblock_seconds = 99999\n"
                .to_owned(),
            &[
                "hl7.channels[0].name",
                "hl7.channels[0].certificates",
                "hl7.channels[0].time_zone",
                "hl7.channels[0].charset",
                "hl7.channels[0].processing",
                "hl7.channels[0].block_seconds",
            ],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(of(&text), wanted, "{text}");
    }
}
