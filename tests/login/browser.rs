//! The pages in a real browser, without JavaScript.

use axum::{Router, extract::RawQuery, response::Html, routing::get};
use tokio::net::TcpListener;

use crate::{
    log_in::code_of,
    webdriver::Browser,
    world::{Database, PASSWORD, World, query_of},
};

/// An app's page, to which the browser is sent back; where it is.
async fn app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = |RawQuery(query): RawQuery| async move {
        Html(format!("<h1>The app</h1><p>{}</p>", query.is_some()))
    };
    let router = Router::new().route("/callback", get(page));
    tokio::spawn(async move { axum::serve(listener, router).await });
    // Another site than the server's, as apps are.
    format!("http://app.example:{port}/callback")
}

async fn log_in(browser: &Browser, login: &str, password: &str) {
    browser.write("#login", login).await;
    browser.write("#password", password).await;
    browser.click("main button[type=submit]").await;
}

#[tokio::test]
async fn a_person_lets_an_app_in_with_a_browser_that_runs_no_script() {
    let world = World::new(Database::Sqlite).await;
    let callback = app().await;
    world.register("local", &callback, false).await;
    let browser = Browser::start(false).await;
    browser
        .open("data:text/html,<title>a</title><script>document.title='b'</script>")
        .await;
    assert!(
        !browser.source().await.contains("<title>b"),
        "scripts must be off"
    );

    let scope = "openid launch/patient patient/Observation.rs patient/Condition.rs offline_access";
    let asking = world.asking("local", &callback, scope, &[]);
    browser.open(&format!("{}{asking}", world.issuer)).await;
    browser.picture("login").await;
    log_in(&browser, "ann", "not the password").await;
    browser.click(".problem a").await;
    browser.picture("login-wrong").await;
    browser.sees("is not right").await;
    log_in(&browser, "ann", PASSWORD).await;
    browser.arrives("/auth/consent").await;
    browser.sees("Ann Able").await;
    browser.picture("consent").await;

    // Conditions are left out, and of observations only those of the laboratory remain.
    assert!(
        browser
            .is_ticked("input[value='patient/Condition.rs']")
            .await
    );
    browser.click("input[value='patient/Condition.rs']").await;
    browser.click("summary").await;
    browser
        .click("input[name=part][value$='|laboratory']")
        .await;
    browser.picture("consent-narrowed").await;
    browser.click("button[value=allow]").await;
    browser.arrives("/callback").await;
    browser.sees("The app").await;
    let url = browser.url().await;
    assert!(query_of(&url, "code").is_some(), "{url}");
    assert_eq!(query_of(&url, "state").as_deref(), Some("some state"));

    browser
        .open(&format!("{}/auth/account", world.issuer))
        .await;
    browser.sees("Log-in name").await;
    browser.picture("account").await;
    browser.click("form[action='/auth/logout'] button").await;
    browser.arrives("/auth/login").await;
    browser.back().await;
    browser.sees("Log in").await;
    let text = browser.text().await;
    assert!(
        !text.contains("Ann Able"),
        "after log-out nothing is shown: {text}"
    );
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_used_in_a_browser() {
    let world = World::new(Database::Sqlite).await;
    let browser = Browser::start(false).await;
    browser
        .open(&format!("{}/auth/account", world.issuer))
        .await;
    log_in(&browser, "ann", PASSWORD).await;
    browser.arrives("/auth/account").await;
    browser.click("a[href='/auth/account/second-factor']").await;
    browser.write("#password", PASSWORD).await;
    browser.click("main button[type=submit]").await;
    browser.shows(".qr svg").await;
    browser.picture("second-factor").await;
    let source = browser.source().await;
    let seed = source
        .split("<code>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    browser.write("#code", &code_of(seed, &world)).await;
    browser.click("main button[type=submit]").await;
    browser.shows("ul.codes").await;
    browser.picture("recovery-codes").await;

    browser
        .open(&format!("{}/auth/account", world.issuer))
        .await;
    browser.click("form[action='/auth/logout'] button").await;
    log_in(&browser, "ann", PASSWORD).await;
    browser.arrives("/auth/code").await;
    browser.picture("code").await;
    world.wait(30);
    browser.write("#code", &code_of(seed, &world)).await;
    browser.click("main button[type=submit]").await;
    browser.arrives("/auth/account").await;
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_nurse_chooses_the_patient_in_a_browser() {
    let world = World::new(Database::Sqlite).await;
    let callback = app().await;
    world.register("local", &callback, false).await;
    let browser = Browser::start(false).await;
    let scope = "launch/patient launch/encounter patient/*.rs user/Patient.rs";
    let asking = world.asking("local", &callback, scope, &[]);
    browser.open(&format!("{}{asking}", world.issuer)).await;
    log_in(&browser, "dora", PASSWORD).await;
    browser.arrives("/auth/patient").await;
    browser.write("#name", "able").await;
    browser.click("form[role=search] button").await;
    browser.sees("Ann Able").await;
    browser.picture("patient").await;
    browser.click("button[name=patient][value=a]").await;
    browser.arrives("/auth/encounter").await;
    browser.picture("encounter").await;
    browser.click("button[name=encounter]").await;
    browser.arrives("/auth/consent").await;
    browser.click("summary").await;
    browser.picture("consent-all").await;
    browser.click("button[value=deny]").await;
    browser.arrives("error=access_denied").await;
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_page_of_another_site_cannot_frame_the_log_in() {
    let world = World::new(Database::Sqlite).await;
    let browser = Browser::start(false).await;
    let frame = format!(
        "data:text/html,<iframe src='{}/auth/login'></iframe>",
        world.issuer
    );
    browser.open(&frame).await;
    browser.picture("framed").await;
    browser.enter_frame().await;
    assert!(!browser.has("#password").await);
    browser.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn pages_fit_a_phone() {
    let world = World::new(Database::Sqlite).await;
    let browser = Browser::start(false).await;
    browser.on_a_dark_phone().await;
    let scope = "openid launch/patient patient/*.rs patient/Observation.rs offline_access";
    browser
        .open(&format!("{}{}", world.issuer, world.app(scope)))
        .await;
    browser.picture("phone-login").await;
    assert!(browser.overflow().await <= 0.0);
    log_in(&browser, "dora", PASSWORD).await;
    browser.write("#name", "able").await;
    browser.click("form[role=search] button").await;
    browser.sees("Ann Able").await;
    browser.picture("phone-patient").await;
    assert!(browser.overflow().await <= 0.0);
    browser.click("button[name=patient][value=a]").await;
    browser.arrives("/auth/consent").await;
    browser.click("summary").await;
    browser.picture("phone-consent").await;
    assert!(browser.overflow().await <= 0.0);
    browser
        .open(&format!("{}/auth/account", world.issuer))
        .await;
    browser.picture("phone-account").await;
    assert!(browser.overflow().await <= 0.0);
    browser.stop().await;
    world.stop().await;
}
