//! Bad requests to the REST API: each gets a problem with a stable code, moves no money, and leaves
//! the server as good as before.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit};
use e2e::{Api, METERS, OPERATOR, PASSWORD, Program, Site};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const PAID: &str = "7.13";
const PAID_FEN: u64 = 713;

/// A request byte for byte, which the typed client could not send.
struct Raw<'a> {
    method: Method,
    path: &'a str,
    headers: &'a [(&'static str, &'a str)],
    body: String,
}

/// What came back, undecoded as far as it goes.
#[derive(Debug)]
struct Came {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Raw<'_> {
    async fn send(self, program: &Program) -> Result<Came> {
        let url = format!("{}{}", program.url, self.path);
        let mut request = reqwest::Client::new().request(self.method, url).body(self.body);
        for (name, value) in self.headers {
            request = request.header(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
        Ok(Came { status, headers, body })
    }
}

/// Every problem has the shape of RFC 9457 and of our documentation.
fn check_problem(came: &Came, status: u16, code: &str) -> Result<()> {
    let kind = came.headers.get("content-type").and_then(|it| it.to_str().ok());
    ensure!(kind == Some("application/problem+json"), "{came:?}");
    ensure!(came.status.as_u16() == status && came.body["status"] == status, "{came:?}");
    ensure!(came.body["code"] == code, "wanted {code}: {came:?}");
    for name in ["title", "detail", "request_id"] {
        ensure!(came.body[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {came:?}");
    }
    Ok(())
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The one session of the tests, as the `Authorization` header takes it.
async fn token(program: &Program) -> Result<String> {
    let session = Api::log_in(&program.url, OPERATOR, PASSWORD).await?;
    Ok(session.body["token"].as_str().context("no token")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_gets_a_problem_and_moves_nothing() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let bearer = format!("Bearer {}", token(&program).await?);
    let [opened, _, unopened, _] = &METERS;
    let (opened_id, unopened_id) =
        (site.meter_id(&api, opened).await?, site.meter_id(&api, unopened).await?);
    let before = site.simulator.states();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let sale_path = || format!("/api/v1/sales/{}", new_id());
    let sale =
        |meter_id: &str, paid: &str| json!({ "meter_id": meter_id, "paid": paid }).to_string();

    for (what, body, status, code) in [
        ("zero", sale(&opened_id, "0"), 422, "bad-amount"),
        ("zero with decimals", sale(&opened_id, "0.00"), 422, "bad-amount"),
        ("negative", sale(&opened_id, "-5.00"), 422, "bad-amount"),
        ("above the limit", sale(&opened_id, "1000000.01"), 422, "bad-amount"),
        ("beyond 64 bits", sale(&opened_id, "99999999999999999999"), 422, "invalid-field"),
        ("no number", sale(&opened_id, "fifty"), 422, "invalid-field"),
        ("an exponent", sale(&opened_id, "5e1"), 422, "invalid-field"),
        ("full-width digits", sale(&opened_id, "５０"), 422, "invalid-field"),
        ("empty", sale(&opened_id, ""), 422, "invalid-field"),
        ("three decimals", sale(&opened_id, "1.001"), 422, "invalid-field"),
        ("unopened meter", sale(&unopened_id, PAID), 409, "no-open-account"),
        ("unknown meter", sale(&new_id(), PAID), 404, "not-found"),
        ("no meter id", sale("D-1", PAID), 422, "invalid-field"),
        (
            "an unknown field",
            json!({ "meter_id": opened_id, "paid": PAID, "free": true }).to_string(),
            400,
            "bad-json",
        ),
        ("a missing field", json!({ "meter_id": opened_id }).to_string(), 400, "bad-json"),
        (
            "a number for an amount",
            json!({ "meter_id": opened_id, "paid": 7.13 }).to_string(),
            400,
            "bad-json",
        ),
        ("malformed JSON", "{\"meter_id\":".to_owned(), 400, "bad-json"),
        ("nothing", String::new(), 400, "bad-json"),
        ("65 KiB", " ".repeat(65 * 1024), 413, "too-large"),
    ] {
        let path = sale_path();
        let raw = Raw { method: Method::PUT, path: &path, headers: &headers, body };
        let came = raw.send(&program).await.context(what)?;
        check_problem(&came, status, code).context(what)?;
        // What was refused is not there afterwards.
        let raw = Raw { method: Method::GET, path: &path, headers: &headers, body: String::new() };
        check_problem(&raw.send(&program).await?, 404, "not-found").context(what)?;
    }

    let good = sale(&opened_id, PAID);
    let cookie = format!("polymeter_session={}", token(&program).await?);
    let json_type = ("content-type", "application/json");
    let readings = format!("/api/v1/meters/{opened_id}/readings");
    type Headers<'a> = &'a [(&'static str, &'a str)];
    let cases: &[(&str, Method, &str, Headers, &str, u16, &str)] = &[
        ("no session", Method::PUT, &sale_path(), &[json_type], &good, 401, "not-logged-in"),
        ("no session", Method::GET, "/api/v1/meters", &[], "", 401, "not-logged-in"),
        (
            "a made-up session",
            Method::GET,
            "/api/v1/meters",
            &[("authorization", "Bearer 00")],
            "",
            401,
            "not-logged-in",
        ),
        ("no id", Method::PUT, "/api/v1/sales/1", &headers, &good, 400, "bad-id"),
        (
            "no JSON type",
            Method::PUT,
            &sale_path(),
            &[("authorization", &bearer)],
            &good,
            415,
            "not-json",
        ),
        ("no such address", Method::GET, "/api/v1/meter", &headers, "", 404, "no-route"),
        ("no such version", Method::GET, "/api/v2/meters", &headers, "", 404, "no-route"),
        ("wrong method", Method::DELETE, "/api/v1/meters", &headers, "", 405, "wrong-method"),
        ("odd parameter", Method::GET, "/api/v1/meters?all=1", &headers, "", 400, "bad-query"),
        (
            "the cookie from another site",
            Method::POST,
            &readings,
            &[("cookie", &cookie), ("origin", "http://evil.example")],
            "",
            403,
            "cross-site",
        ),
        (
            "the cookie from nowhere",
            Method::POST,
            &readings,
            &[("cookie", &cookie)],
            "",
            403,
            "cross-site",
        ),
    ];
    for (what, method, path, headers, body, status, code) in cases {
        let body = (*body).to_owned();
        let came = Raw { method: method.clone(), path, headers, body }.send(&program).await;
        check_problem(&came.context(*what)?, *status, code).context(*what)?;
    }

    ensure!(site.simulator.states() == before, "a meter heard of a bad request");
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    let lines = balance["lines"].as_array().context("no lines")?;
    let sides = ["debits_pending", "credits_pending", "debits_posted", "credits_posted"];
    let is_still = |line: &Value| sides.iter().all(|side| line[side] == "0.00");
    ensure!(lines.iter().all(is_still), "money moved: {balance}");
    documented(&program, cases.iter().map(|case| case.2)).await?;
    program.kill().await
}

/// The document is OpenAPI 3.1 and knows every address that these tests use.
async fn documented(program: &Program, used: impl Iterator<Item = &str>) -> Result<()> {
    let path = "/api/v1/openapi.json";
    let raw = Raw { method: Method::GET, path, headers: &[], body: String::new() };
    let document = raw.send(program).await?.body;
    ensure!(document["openapi"].as_str().is_some_and(|it| it.starts_with("3.1.")), "{document}");
    let paths = document["paths"].as_object().context("no paths")?;
    let fits = |path: &str| {
        let path = path.split('?').next().unwrap_or_default();
        paths.keys().any(|known| {
            known.split('/').count() == path.split('/').count()
                && known.split('/').zip(path.split('/')).all(|(a, b)| a == b || a.starts_with('{'))
        })
    };
    // These two are no addresses, which is what they are for.
    let none = ["/api/v1/meter", "/api/v2/meters"];
    for path in used.chain(["/api/v1/sessions", "/api/v1/ledger/trial-balance"]) {
        ensure!(fits(path) != none.contains(&path), "the document and {path} differ");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_is_one_sale() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        let meter_id = site.meter_id(&api, meter).await?;
        let sale_id = new_id();
        let first = api.sell(&sale_id, &meter_id, PAID).await?;
        let again = api.sell(&sale_id, &meter_id, PAID).await?;
        ensure!(first.status == 200 && first.body["state"] == "confirmed", "{first:?}");
        ensure!(first.body == again.body, "{first:?} and then {again:?}");
        let other = site.meter_id(&api, &METERS[3]).await?;
        for (meter_id, paid) in [(&meter_id, "7.14"), (&other, PAID)] {
            let differs = api.sell(&sale_id, meter_id, paid).await?;
            ensure!(differs.status == 409 && differs.code() == "sale-differs", "{differs:?}");
        }
        ensure!(applied(&site, meter)? == (1, PAID_FEN), "{:?}", applied(&site, meter)?);

        // Twenty at once under one id, and another client's id at the same time.
        let sale_id = new_id();
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let (api, sale_id, meter_id) = (api.clone(), sale_id.clone(), meter_id.clone());
                tokio::spawn(async move { api.sell(&sale_id, &meter_id, PAID).await })
            })
            .collect();
        for answer in asked {
            let answer = answer.await??;
            ensure!(answer.status == 200 && answer.body["state"] == "confirmed", "{answer:?}");
        }
        ensure!(applied(&site, meter)? == (2, 2 * PAID_FEN), "{:?}", applied(&site, meter)?);
        ensure!(meter_credit(&api, &meter_id).await? == 2 * PAID_FEN, "the ledger differs");
    }
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_guessed_fast() -> Result<()> {
    let (_site, program) = Site::new().await?;
    let log_in = async |name: &str, password: &str| {
        let body = json!({ "name": name, "password": password }).to_string();
        let headers = &[("content-type", "application/json")];
        let path = "/api/v1/sessions";
        Raw { method: Method::POST, path, headers, body }.send(&program).await
    };
    let mut wait_s = 0;
    for guess in 1..=10 {
        let came = log_in(OPERATOR, &format!("wrong horse {guess}")).await?;
        // Five are free. The sixth is looked at too where hashing took as long as the first wait.
        if guess <= 5 {
            check_problem(&came, 401, "bad-login").with_context(|| format!("guess {guess}"))?;
        } else if came.status != StatusCode::UNAUTHORIZED {
            check_problem(&came, 429, "too-many-logins")
                .with_context(|| format!("guess {guess}"))?;
            wait_s =
                came.headers.get("retry-after").context("no Retry-After")?.to_str()?.parse()?;
        }
    }
    ensure!((1..=60).contains(&wait_s), "to wait {wait_s} s after ten guesses");
    // Not even the right one is looked at before that, or guessing would go on.
    check_problem(&log_in(OPERATOR, PASSWORD).await?, 429, "too-many-logins")?;
    // Another name is not held up: nobody shuts out everybody.
    check_problem(&log_in("nobody", PASSWORD).await?, 401, "bad-login")?;
    tokio::time::sleep(Duration::from_secs(wait_s + 1)).await;
    let let_in = log_in(OPERATOR, PASSWORD).await?;
    ensure!(let_in.status == StatusCode::CREATED, "{:?}", let_in.status);
    program.kill().await
}
