//! Consent, and the choice of a patient: what an app gets is never more than what was ticked.

use rotunda::{
    auth::{grant::Context, launch::Launch},
    clock::Clock as _,
};

use crate::{
    client::Client,
    person::Person,
    world::{DATABASES, Database, PASSWORD, VERIFIER, World, encode, query_of},
};

const CALLBACK: &str = "https://app.example/callback";

/// What the app gets for the code that the browser was sent away with.
async fn tokens(world: &World, client: &str, at: &str) -> serde_json::Value {
    let code = query_of(at, "code").unwrap_or_else(|| panic!("no code: {at}"));
    assert_eq!(query_of(at, "state").as_deref(), Some("some state"));
    let redirect = at.split('?').next().unwrap();
    let form = encode(&[
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", redirect),
        ("code_verifier", VERIFIER),
    ]);
    let mut http = Client::connect(world.address).await;
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = http
        .send("POST", "/auth/token", &headers, form.as_bytes())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn allow(scopes: &[String]) -> Vec<(&str, &str)> {
    let ticked = scopes.iter().map(|scope| ("scope", scope.as_str()));
    ticked.chain([("answer", "allow")]).collect()
}

#[tokio::test]
async fn an_app_gets_what_is_left_ticked() {
    for database in DATABASES {
        let world = World::new(database).await;
        let asked = "openid launch/patient patient/Observation.rs patient/Condition.rs \
                     offline_access";
        let mut ann = Person::new(&world);
        ann.log_in(&world.app(asked), "ann").await;
        assert!(ann.at.starts_with("/auth/consent?request="), "{}", ann.at);
        ann.sees("Ann Able");
        ann.sees("Measurements and findings");
        ann.sees("Diagnoses and problems");
        ann.sees("for 100 days");
        assert_eq!(
            ann.boxes("scope"),
            [
                "patient/Observation.rs",
                "patient/Condition.rs",
                "openid",
                "offline_access"
            ]
        );
        let part = ann.boxes("part");
        let part = part
            .iter()
            .find(|part| part.ends_with("|laboratory"))
            .unwrap();
        let mut ticked = allow(&[]);
        ticked.extend([
            ("scope", "patient/Observation.rs"),
            ("part", part),
            ("scope", "openid"),
        ]);
        ann.send("/auth/consent", &ticked).await;
        let got = tokens(&world, "app", &ann.at).await;
        let category = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
        let expected = format!("openid launch/patient patient/Observation.rs?category={category}");
        let mut words: Vec<&str> = got["scope"].as_str().unwrap().split(' ').collect();
        words.sort_unstable();
        let mut expected: Vec<&str> = expected.split(' ').collect();
        expected.sort_unstable();
        assert_eq!(words, expected);
        assert_eq!(got["patient"], "a");
        assert!(got["refresh_token"].is_null());

        ann.open("/auth/account").await;
        ann.sees("The app &lt;b&gt;");
        ann.send("/auth/account/apps", &[("client", "app")]).await;
        ann.sees("The app has no access any more.");
        let bearer = format!("Bearer {}", got["access_token"].as_str().unwrap());
        let mut http = Client::connect(world.address).await;
        let headers = [("Authorization", bearer.as_str())];
        let answer = http.send("GET", "/fhir/Observation", &headers, b"").await;
        assert_eq!(answer.status, 401);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_form_adds_is_not_granted() {
    let world = World::new(Database::Sqlite).await;
    for (added, name) in [
        ("patient/*.cruds", "scope"),
        ("user/*.cruds", "scope"),
        ("rotunda/admin", "scope"),
        ("patient/Condition.rs", "part"),
        ("patient/Observation.cruds", "part"),
        ("offline_access", "scope"),
    ] {
        let mut ann = Person::new(&world);
        ann.log_in(&world.app("launch/patient patient/Observation.rs"), "ann")
            .await;
        let ticked = [
            ("answer", "allow"),
            ("scope", "patient/Observation.rs"),
            (name, added),
            ("patient", "b"),
        ];
        ann.send("/auth/consent", &ticked).await;
        let got = tokens(&world, "app", &ann.at).await;
        let mut words: Vec<&str> = got["scope"].as_str().unwrap().split(' ').collect();
        words.sort_unstable();
        assert_eq!(
            words,
            ["launch/patient", "patient/Observation.rs"],
            "{added}"
        );
        assert_eq!(got["patient"], "a", "{added}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_app_is_told_of_a_refusal_and_a_request_is_answered_once() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::new(&world);
    ann.log_in(&world.app("launch/patient patient/Observation.rs"), "ann")
        .await;
    let page = ann.at.clone();
    ann.send("/auth/consent", &[("answer", "deny")]).await;
    assert_eq!(query_of(&ann.at, "error").as_deref(), Some("access_denied"));
    assert_eq!(query_of(&ann.at, "state").as_deref(), Some("some state"));
    ann.open(&page).await;
    assert_eq!(ann.status, 410);
    // Nothing ticked is no agreement.
    ann.open(&world.app("launch/patient patient/Observation.rs"))
        .await;
    ann.send("/auth/consent", &[("answer", "allow")]).await;
    assert_eq!(ann.status, 422);
    ann.sees("Leave at least one box ticked");
    // Another's session does not answer it.
    let mut dora = Person::logged_in(&world, "dora").await;
    let csrf = ann.page.clone();
    std::mem::swap(&mut dora.page, &mut ann.page);
    dora.send(
        "/auth/consent",
        &[("answer", "allow"), ("scope", "patient/Observation.rs")],
    )
    .await;
    assert_eq!(dora.status, 403);
    drop(csrf);
    world.stop().await;
}

#[tokio::test]
async fn a_proxy_chooses_among_their_own() {
    let world = World::new(Database::Sqlite).await;
    let mut mum = Person::new(&world);
    mum.log_in(&world.app("launch/patient patient/Patient.rs"), "mum")
        .await;
    assert!(mum.at.starts_with("/auth/patient?request="), "{}", mum.at);
    mum.sees("Ann Able");
    mum.sees("Cy Able");
    assert!(!mum.page.contains("Baker"));
    assert!(!mum.page.contains("role=\"search\""));
    let page = mum.page.clone();
    mum.send("/auth/patient", &[("patient", "b")]).await;
    assert_eq!(mum.status, 422, "{}", mum.at);
    mum.page = page;
    mum.send("/auth/patient", &[("search", "1"), ("name", "baker")])
        .await;
    assert!(!mum.page.contains("Bob"), "they may not search");
    mum.send("/auth/patient", &[("patient", "child")]).await;
    mum.sees("Cy Able");
    let scopes = mum.boxes("scope");
    mum.send("/auth/consent", &allow(&scopes)).await;
    let got = tokens(&world, "app", &mum.at).await;
    assert_eq!(got["patient"], "child");
    world.stop().await;
}

#[tokio::test]
async fn a_nurse_finds_the_patient_and_the_encounter() {
    for database in DATABASES {
        let world = World::new(database).await;
        let mut dora = Person::new(&world);
        let asked = "launch/patient launch/encounter patient/Observation.rs user/Patient.rs";
        dora.log_in(&world.app(asked), "dora").await;
        dora.sees("Find a patient");
        for (fields, found) in [
            ([("name", "bak"), ("identifier", "")], true),
            ([("name", ""), ("identifier", "77")], true),
            ([("name", "nobody"), ("identifier", "")], false),
            ([("name", "a,b|c$\\"), ("identifier", "x")], false),
        ] {
            let mut all = vec![("search", "1")];
            all.extend(fields);
            dora.send("/auth/patient", &all).await;
            assert!(!dora.page.contains("Zed"), "not in her care: {fields:?}");
            assert_eq!(
                dora.page.contains("Bob Baker"),
                found,
                "{fields:?}: {}",
                dora.page
            );
        }
        dora.send("/auth/patient", &[("search", "1")]).await;
        assert_eq!(dora.status, 422);
        dora.send(
            "/auth/patient",
            &[("search", "1"), ("birthdate", "1980-01-02")],
        )
        .await;
        dora.sees("born 1980-01-02");
        for not_hers in ["nowhere", "z"] {
            dora.send("/auth/patient", &[("patient", not_hers)]).await;
            assert_eq!(dora.status, 422, "{not_hers}");
        }
        dora.send("/auth/patient", &[("patient", "b")]).await;
        assert!(dora.at.starts_with("/auth/encounter"), "{}", dora.at);
        dora.sees("Visit");
        let page = dora.page.clone();
        // One of another patient is not taken.
        dora.send("/auth/encounter", &[("encounter", "of-a")]).await;
        let scopes = dora.boxes("scope");
        dora.send("/auth/consent", &allow(&scopes)).await;
        assert_eq!(dora.status, 422);
        dora.sees("no such encounter");
        dora.page = page;
        dora.send("/auth/encounter", &[("encounter", "e")]).await;
        dora.sees("Bob Baker");
        let scopes = dora.boxes("scope");
        dora.send("/auth/consent", &allow(&scopes)).await;
        let got = tokens(&world, "app", &dora.at).await;
        assert_eq!(
            (&got["patient"], &got["encounter"]),
            (&"b".into(), &"e".into())
        );
        world.stop().await;
    }
}

#[tokio::test]
async fn what_was_agreed_to_is_not_asked_again_until_more_is_asked() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::new(&world);
    let asked = "launch/patient patient/Observation.rs patient/Condition.rs";
    ann.log_in(&world.app(asked), "ann").await;
    let ticked = [
        ("answer", "allow"),
        ("scope", "patient/Observation.rs"),
        ("remember", "1"),
    ];
    ann.send("/auth/consent", &ticked).await;
    tokens(&world, "app", &ann.at).await;
    ann.open(&world.app(asked)).await;
    let got = tokens(&world, "app", &ann.at).await;
    let scope = got["scope"].as_str().unwrap();
    assert!(
        !scope.contains("Condition"),
        "what was left out stays out: {scope}"
    );
    for more in [
        world.app("launch/patient patient/Observation.rs patient/Patient.rs"),
        world.asking("app", CALLBACK, asked, &[("prompt", "consent")]),
    ] {
        ann.open(&more).await;
        assert!(ann.at.starts_with("/auth/consent"), "{}", ann.at);
    }
    ann.open("/auth/account").await;
    ann.send("/auth/account/apps", &[("client", "app")]).await;
    ann.open(&world.app(asked)).await;
    assert!(
        ann.at.starts_with("/auth/consent"),
        "asked again after the end"
    );
    let silent = world.asking("app", CALLBACK, asked, &[("prompt", "none")]);
    ann.open(&silent).await;
    assert_eq!(
        query_of(&ann.at, "error").as_deref(),
        Some("consent_required")
    );
    world.stop().await;
}

#[tokio::test]
async fn the_hospitals_own_programs_are_not_asked_for() {
    let world = World::new(Database::Sqlite).await;
    let redirect = "https://trusted.example/callback";
    let asked = "openid launch/patient patient/Observation.rs";
    let mut ann = Person::new(&world);
    ann.log_in(&world.asking("trusted", redirect, asked, &[]), "ann")
        .await;
    let got = tokens(&world, "trusted", &ann.at).await;
    assert_eq!(got["patient"], "a");
    world.stop().await;
}

#[tokio::test]
async fn programs_on_the_users_computer_are_always_asked_for() {
    let world = World::new(Database::Sqlite).await;
    world.register("native", "com.example.app:/cb", false).await;
    let asked = "launch/patient patient/Observation.rs";
    let asking = world.asking("native", "com.example.app:/cb", asked, &[]);
    let mut ann = Person::new(&world);
    ann.log_in(&asking, "ann").await;
    let policy = ann.header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.contains("form-action 'self' com.example.app:;"),
        "{policy}"
    );
    let sent = [
        ("answer", "allow"),
        ("scope", "patient/Observation.rs"),
        ("remember", "1"),
    ];
    ann.send("/auth/consent", &sent).await;
    assert!(
        ann.at.starts_with("com.example.app:/cb?code="),
        "{}",
        ann.at
    );
    ann.open(&asking).await;
    assert!(ann.at.starts_with("/auth/consent"), "{}", ann.at);
    world.stop().await;
}

#[tokio::test]
async fn an_app_that_the_hospitals_system_opened_is_for_its_user_and_patient() {
    let world = World::new(Database::Sqlite).await;
    let dora = world.user("dora").await.id;
    let launch = Launch {
        client: "app".to_owned(),
        user: Some(dora),
        context: Context {
            patient: Some("b".to_owned()),
            ..Context::default()
        },
        created: world.clock.now(),
    };
    let handle = world.auth.launch(&launch).await.unwrap();
    let more = [("launch", handle.as_str())];
    let asking = world.asking("app", CALLBACK, "launch patient/Observation.rs", &more);
    let mut person = Person::new(&world);
    person.log_in(&asking, "ann").await;
    assert_eq!(person.status, 403);
    person.sees("Somebody else opened this app");
    person.send("/auth/logout", &[]).await;
    assert!(
        person.at.starts_with("/auth/login?request="),
        "{}",
        person.at
    );
    let fields = [("login", "dora"), ("password", PASSWORD)];
    person.send("/auth/login", &fields).await;
    person.sees("Bob Baker");
    assert!(
        !person.page.contains("Choose another"),
        "it is the launch's patient"
    );
    let scopes = person.boxes("scope");
    person.send("/auth/consent", &allow(&scopes)).await;
    let got = tokens(&world, "app", &person.at).await;
    assert_eq!(got["patient"], "b");
    world.stop().await;
}

#[tokio::test]
async fn an_app_may_want_a_log_in_of_its_own() {
    let world = World::new(Database::Sqlite).await;
    let mut ann = Person::logged_in(&world, "ann").await;
    let asked = "launch/patient patient/Observation.rs";
    for (name, value, asks) in [
        ("prompt", "login", true),
        ("prompt", "select_account", true),
        ("max_age", "60", true),
        ("max_age", "600", false),
    ] {
        world.wait(120);
        ann.open(&world.asking("app", CALLBACK, asked, &[(name, value)]))
            .await;
        let page = if asks { "/auth/login" } else { "/auth/consent" };
        assert!(ann.at.starts_with(page), "{name}={value}: {}", ann.at);
        if asks {
            let fields = [("login", "ann"), ("password", PASSWORD)];
            ann.send("/auth/login", &fields).await;
            assert!(
                ann.at.starts_with("/auth/consent"),
                "{name}={value}: {}",
                ann.at
            );
        }
    }
    world.stop().await;
}
