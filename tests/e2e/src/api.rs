//! The REST API as a client of another maker would use it: JSON in, JSON out, nothing typed.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// One session's client.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// Status and body, whatever they are.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The problem's stable code; empty where the answer is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub fn new(url: &str, token: &str) -> Api {
        Api { client: reqwest::Client::new(), url: url.to_owned(), token: token.to_owned() }
    }

    /// The token of a fresh session.
    pub async fn log_in(url: &str, name: &str, password: &str) -> Result<Answer> {
        let body = json!({ "name": name, "password": password });
        Api::new(url, "").ask(Method::POST, "/api/v1/sessions", Some(body)).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer> {
        self.ask_and_wait(method, path, body, 0).await
    }

    /// With an `Idempotency-Key`.
    pub async fn ask_with_key(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: &str,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.bearer_auth(&self.token).header("Idempotency-Key", key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::read(request).await
    }

    /// `Prefer: wait=wait_s` asks the server to answer when a sale has ended.
    async fn ask_and_wait(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        wait_s: u32,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if wait_s > 0 {
            request = request.header("Prefer", format!("wait={wait_s}"));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::read(request).await
    }

    async fn read(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).context(text)?
        };
        Ok(Answer { status, body })
    }

    /// GET of a page or of metrics, which must succeed.
    pub async fn text(&self, path: &str) -> Result<String> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.send().await?;
        ensure!(response.status().is_success(), "{path}: {}", response.status());
        Ok(response.text().await?)
    }

    /// GET that must succeed.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Self::good(path, self.ask(Method::GET, path, None).await?)
    }

    /// POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        Self::good(path, self.ask(Method::POST, path, Some(body)).await?)
    }

    /// POST under an idempotency key, whatever the answer is.
    pub async fn keyed(&self, path: &str, key: &str, body: Value) -> Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.header("Idempotency-Key", key).json(&body).send().await?;
        let status = response.status();
        Ok(Answer { status, body: response.json().await? })
    }

    /// Makes a sale, or asks again for the one of this id, and waits for its end.
    pub async fn sell(&self, sale_id: &str, meter_id: &str, paid: &str) -> Result<Answer> {
        let body = json!({ "meter_id": meter_id, "paid": paid });
        self.ask_and_wait(Method::PUT, &format!("/api/v1/sales/{sale_id}"), Some(body), 30).await
    }

    fn good(path: &str, answer: Answer) -> Result<Value> {
        ensure!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.body);
        Ok(answer.body)
    }
}
