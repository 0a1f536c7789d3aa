//! A client of the API that speaks JSON and asserts in one word.
use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;

/// Longer than any answer the shop may take; the host itself gives up earlier.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// Cheap to clone; one pool of connections.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(url: &str) -> Client {
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).no_proxy();
        Client { url: url.to_owned(), http: http.build().unwrap() }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call(self.http.request(method, format!("{}{path}", self.url)))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).json(body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path).json(body).send().await
    }
}

/// A request in the making.
#[must_use]
pub(crate) struct Call(reqwest::RequestBuilder);

impl Call {
    pub(crate) fn header(self, name: &str, value: &str) -> Call {
        Call(self.0.header(name, value))
    }

    pub(crate) fn json(self, body: &Value) -> Call {
        self.text("application/json", body.to_string())
    }

    pub(crate) fn text(self, kind: &str, body: impl Into<String>) -> Call {
        Call(self.0.header("content-type", kind).body(body.into()))
    }

    /// # Panics
    /// Without an answer.
    pub(crate) async fn send(self) -> Answer {
        self.attempt().await.unwrap_or_else(|err| panic!("no answer: {err:?}"))
    }

    /// For tests that cut the line.
    pub(crate) async fn attempt(self) -> Result<Answer, reqwest::Error> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// # Panics
    /// With any other status; the message holds the body.
    #[track_caller]
    pub(crate) fn gave(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A refusal: this status and this code, as a problem document.
    ///
    /// # Panics
    /// With anything else.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Answer {
        let answer = self.gave(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text);
        assert_eq!(answer.body["code"], code, "{}", answer.text);
        assert_eq!(answer.body["status"], status, "{}", answer.text);
        answer
    }

    /// Empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The text at this JSON pointer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no text {pointer} in {}", self.text))
    }
}
