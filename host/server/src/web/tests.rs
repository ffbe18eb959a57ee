//! The router over a real socket, a real service and an empty site: who is let in, what every
//! answer carries, how a refusal reads.

use crate::app::App;
use crate::config::Config;
use polymeter_service::{Actor, Rights};
use serde_json::Value;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Site {
    app: App,
    address: SocketAddr,
    _folder: TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(found, _)| found.eq_ignore_ascii_case(name))
        });
        line.map(|(_, value)| value).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn code(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code)
    }
}

impl Site {
    async fn open() -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = "database.path = \"p.db\"\nsite = { time-zone = \"UTC\", currency = \"CNY\" }\n";
        let config = Config::parse(&folder.path().join("polymeter.toml"), text).expect("a site");
        let app = App::open(&config).await.expect("the site opens");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(axum::serve(listener, super::router(&app)).into_future());
        Site { app, address, _folder: folder }
    }

    /// `head` is further header lines, each with its line end.
    async fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: \
             {length}\r\n\
             {head}\r\n{body}",
            self.address
        );
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        // A server that refuses a large body may close before it has read all of it.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let body = if head.contains("chunked") { unchunk(body) } else { body.to_owned() };
        Answer { status, head: head.to_owned(), body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    /// An operator and a session's token.
    async fn log_in(&self) -> String {
        let secret = self.app.service.setup_secret().await.expect("asked").expect("first run");
        self.app.service.set_up(&secret, "anna", PASSWORD).await.expect("the first operator");
        let (_, token) = self.app.service.log_in("anna", PASSWORD).await.expect("a session");
        token
    }
}

const PASSWORD: &str = "correct horse battery";
const JSON: &str = "Content-Type: application/json\r\n";

fn unchunk(body: &str) -> String {
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some(chunk) = after.get(..size) else { break };
        whole.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let site = Site::open().await;
    for path in ["/login", "/healthz", "/api/v1/meters", "/nowhere", "/api/v1/openapi.json"] {
        let answer = site.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}"
        );
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
    }
}

#[tokio::test]
async fn pages_hold_no_script_or_style_of_their_own() {
    let site = Site::open().await;
    let token = site.log_in().await;
    let cookie = format!("Cookie: polymeter_session={token}\r\n");
    for path in
        ["/", "/meters", "/meters/new", "/customers", "/customers/new", "/ledger", "/system"]
    {
        let page = site.ask("GET", path, &cookie, "").await;
        assert_eq!(page.status, 200, "{path}");
        for forbidden in ["style=", "<style", "<script>", "onclick=", "javascript:", "hx-on"] {
            assert!(!page.body.contains(forbidden), "{path} has {forbidden}");
        }
        for needed in ["<html lang=\"en\">", "class=\"skip\" href=\"#main\"", "<main id=\"main\""] {
            assert!(page.body.contains(needed), "{path} lacks {needed}");
        }
    }
}

#[tokio::test]
async fn assets_are_cached_for_ever_under_their_hash() {
    let site = Site::open().await;
    for name in ["bootstrap.css", "htmx.js", "polymeter.css", "icon.svg"] {
        let path = crate::assets::address(name);
        let asset = site.get(&path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        let etag = asset.header("etag");
        assert!(etag.starts_with('"') && path.contains(etag.trim_matches('"')), "{path}: {etag}");
        let again = site.ask("GET", &path, &format!("If-None-Match: {etag}\r\n"), "").await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    assert_eq!(site.get("/assets/0000000000000000/htmx.js").await.status, 404);
}

#[tokio::test]
async fn every_guarded_route_needs_a_session() {
    let site = Site::open().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (path, item) in crate::api::document().paths.paths {
        let real: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { id } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let methods = [
            ("GET", item.get.is_some()),
            ("POST", item.post.is_some()),
            ("PUT", item.put.is_some()),
            ("DELETE", item.delete.is_some()),
        ];
        for (method, _) in methods.iter().filter(|(_, is_there)| *is_there) {
            let answer = site.ask(method, &real, JSON, "{}").await;
            let is_open = ["/api/v1/sessions", "/healthz", "/readyz"].contains(&path.as_str());
            let refused = answer.status == 401;
            assert_eq!(refused, !is_open, "{method} {path}: {} {}", answer.status, answer.body);
            if refused {
                assert_eq!(answer.code().1, "not-logged-in");
            }
        }
    }
    for path in ["/", "/meters", "/ledger", "/sales/x", "/customers/new"] {
        let answer = site.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/login"), "{path}");
    }
}

#[tokio::test]
async fn bad_requests_are_problems_with_a_stable_code() {
    let site = Site::open().await;
    let token = site.log_in().await;
    let json = format!("Authorization: Bearer {token}\r\n{JSON}");
    let bare = format!("Authorization: Bearer {token}\r\n");
    let large = format!("{{\"number\":\"{}\"}}", "1".repeat(70_000));
    let sale = "/api/v1/sales/01890a5d-ac96-774b-bcce-b302099a8057";
    let no_meter = r#"{"meter_id":"01890a5d-ac96-774b-bcce-b302099a8057","paid":"50.00"}"#;
    let deep = "[".repeat(1000);
    for (method, path, head, body, status, code) in [
        ("GET", "/api/v1/nowhere", &bare, "", 404, "no-route"),
        ("DELETE", "/api/v1/meters", &bare, "", 405, "wrong-method"),
        ("POST", "/api/v1/customers", &bare, "{}", 415, "not-json"),
        ("POST", "/api/v1/customers", &json, "{", 400, "bad-json"),
        ("POST", "/api/v1/customers", &json, deep.as_str(), 400, "bad-json"),
        ("POST", "/api/v1/customers", &json, r#"{"number":"1","name":"a","x":1}"#, 400, "bad-json"),
        ("POST", "/api/v1/customers", &json, r#"{"number":"x","name":"a"}"#, 422, "invalid-field"),
        ("POST", "/api/v1/customers", &json, large.as_str(), 413, "too-large"),
        ("GET", "/api/v1/customers/x", &bare, "", 400, "bad-id"),
        ("GET", "/api/v1/customers?limits=1", &bare, "", 400, "bad-query"),
        ("GET", "/api/v1/sales?state=all", &bare, "", 400, "bad-query"),
        ("GET", sale, &bare, "", 404, "not-found"),
        ("PUT", sale, &json, r#"{"meter_id":"1","paid":"50.00"}"#, 422, "invalid-field"),
        ("PUT", sale, &json, no_meter, 404, "not-found"),
        ("PUT", sale, &json, &no_meter.replace("50.00", "50.001"), 422, "invalid-field"),
        ("PUT", sale, &json, &no_meter.replace("\"50.00\"", "50.00"), 400, "bad-json"),
        ("POST", "/api/v1/sessions", &json, r#"{"name":"anna","password":"x"}"#, 401, "bad-login"),
    ] {
        let answer = site.ask(method, path, head, body).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{method} {path} {body:.40}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(answer.json()["status"], status, "{path}");
        assert_eq!(answer.json()["request_id"], answer.header("x-request-id"), "{path}");
    }
}

#[tokio::test]
async fn ten_wrong_passwords_are_throttled() {
    let site = Site::open().await;
    site.log_in().await;
    let mut last = (0, String::new());
    for _ in 0..10 {
        let body = r#"{"name":"anna","password":"wrong"}"#;
        last = site.ask("POST", "/api/v1/sessions", JSON, body).await.code();
    }
    assert_eq!(last, (429, "too-many-logins".to_owned()));
}

#[tokio::test]
async fn the_cookie_is_strict_and_foreign_pages_cannot_use_it() {
    let site = Site::open().await;
    site.log_in().await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let own = format!("{form}Sec-Fetch-Site: same-origin\r\n");
    let body = "name=anna&password=correct+horse+battery";
    let foreign = format!("{form}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(site.ask("POST", "/login", &foreign, body).await.status, 403);
    let entered = site.ask("POST", "/login", &own, body).await;
    assert_eq!((entered.status, entered.header("location")), (303, "/"));
    let cookie = entered.header("set-cookie");
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let session = cookie.split(';').next().unwrap_or_default();
    let customer = r#"{"number":"1","name":"a"}"#;
    let path = "/api/v1/customers";
    let foreign = format!("{JSON}Cookie: {session}\r\nOrigin: http://evil.example\r\n");
    assert_eq!(
        site.ask("POST", path, &foreign, customer).await.code(),
        (403, "cross-site".to_owned())
    );
    let own = format!("{JSON}Cookie: {session}\r\nOrigin: http://{}\r\n", site.address);
    assert_eq!(site.ask("POST", path, &own, customer).await.status, 201);
    assert_eq!(site.ask("POST", path, &own, customer).await.code(), (409, "exists".to_owned()));
    let out = format!("{form}Cookie: {session}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(site.ask("POST", "/logout", &out, "").await.status, 303);
    assert_eq!(site.ask("GET", "/", &format!("Cookie: {session}\r\n"), "").await.status, 303);
}

#[tokio::test]
async fn the_first_operator_comes_by_the_one_time_link() {
    let site = Site::open().await;
    let secret = site.app.service.setup_secret().await.expect("asked").expect("first run");
    assert!(site.get("/login").await.body.contains("one-time link"));
    let page = site.get(&format!("/set-up?secret={secret}")).await;
    assert!(page.status == 200 && page.body.contains(&secret));
    let head = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n";
    for (password, repeated, status, says) in [
        ("long+enough+1", "other", 422, "The two passwords differ."),
        ("short", "short", 422, "password"),
        ("long+enough+1", "long+enough+1", 303, ""),
        ("long+enough+1", "long+enough+1", 403, "used up"),
    ] {
        let body = format!("secret={secret}&name=anna&password={password}&repeated={repeated}");
        let answer = site.ask("POST", "/set-up", head, &body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(says), "{says}: {}", answer.body);
    }
    let again = site.app.service.setup_secret().await.expect("asked");
    assert_eq!(again, None, "with an operator there is no link");
}

#[tokio::test]
async fn what_people_type_is_shown_as_text() {
    let site = Site::open().await;
    let token = site.log_in().await;
    let new = polymeter_service::NewCustomer {
        number: polymeter_domain::CustomerNumber::new("1").expect("a number"),
        name: "<script>alert(1)</script>".to_owned(),
        phone: String::new(),
        premises: String::new(),
    };
    site.app.service.add_customer(new, &Actor::System).await.expect("added");
    let cookie = format!("Cookie: polymeter_session={token}\r\n");
    let page = site.ask("GET", "/customers", &cookie, "").await;
    assert!(!page.body.contains("<script>alert"));
    assert!(page.body.contains("alert(1)"));
    let found = site.ask("GET", "/meters?query=%3Cb%3E", &cookie, "").await;
    assert!(!found.body.contains("<b>"));
}

/// Every operation of the API's own document, asked by an operator who may only look. A route that
/// changes something and asks for no right must stand in the short list here.
#[tokio::test]
async fn who_has_no_right_is_refused_on_every_route_that_needs_one() {
    let site = Site::open().await;
    let owner = site.log_in().await;
    let service = &site.app.service;
    let by = &Actor::System;
    let looks = service.add_operator("lin", PASSWORD, Rights::new(), by).await.expect("made");
    let (_, token) = service.log_in(&looks.name, PASSWORD).await.expect("a session");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n{JSON}");
    let document = site.get("/api/v1/openapi.json").await.json();
    let (mut guarded, mut free) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            let uuid = "00000000-0000-0000-0000-000000000000";
            let names = ["sale_id", "meter_id", "customer_id", "plan_id", "operator_id"];
            let address = names
                .iter()
                .fold(path.clone(), |path, name| path.replace(&format!("{{{name}}}"), uuid));
            if address == "/api/v1/sessions/current" {
                // It would end the very session that the others are asked with.
                free.push(format!("{method} {path}"));
                continue;
            }
            if address == "/api/v1/reader-events" {
                // Its answer has no end.
                continue;
            }
            let asked = async |token: &str| site.ask(&method, &address, &bearer(token), "{}").await;
            let answer = asked(&token).await;
            if operation["x-right"].is_string() {
                guarded += 1;
                assert_eq!(answer.code(), (403, "no-right".to_owned()), "{method} {path}");
                let may = asked(&owner).await;
                assert_ne!(may.status, 403, "{method} {path}: {}", may.body);
            } else {
                assert_ne!(answer.status, 403, "{method} {path}");
                if method != "GET" {
                    free.push(format!("{method} {path}"));
                }
            }
        }
    }
    free.sort();
    let own = [
        "DELETE /api/v1/sessions/current",
        // The service lets nobody withdraw but who asked.
        "POST /api/v1/approvals/{approval_id}/withdrawal",
        "POST /api/v1/sessions",
        "PUT /api/v1/password",
    ];
    assert_eq!(free, own, "a change that needs no right");
    assert!(guarded >= 25, "only {guarded} operations name their right");
}

#[tokio::test]
async fn a_page_without_the_right_says_which() {
    let site = Site::open().await;
    site.log_in().await;
    let service = &site.app.service;
    service.add_operator("lin", PASSWORD, Rights::new(), &Actor::System).await.expect("made");
    let (_, token) = service.log_in("lin", PASSWORD).await.expect("a session");
    let cookie = format!("Cookie: polymeter_session={token}\r\n");
    for page in ["/operators", "/audit", "/ledger", "/tariffs/new", "/customers/new"] {
        let answer = site.ask("GET", page, &cookie, "").await;
        assert_eq!(answer.status, 403, "{page}");
        assert!(answer.body.contains("You may not do this"), "{page}: {}", answer.body);
    }
    let start = site.ask("GET", "/", &cookie, "").await;
    assert_eq!(start.status, 200);
    assert!(!start.body.contains("/operators"), "the menu shows what may be used");
}
