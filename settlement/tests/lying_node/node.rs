//! A JSON-RPC node in a few lines: HTTP/1.1 on a local port, one request per connection, answers from a function.
//!
//! It serves one test and stops with it; it checks nothing that a client sends.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the node does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Result(Value),
    Error(i32, &'static str),
    ErrorWithData(i32, &'static str, Value),
    Status(u16),
    /// Takes the request and never answers.
    Stall,
    /// This body, whatever it is.
    Text(&'static str),
}

type Answers = Arc<dyn Fn(&str, &Value) -> Answer + Send + Sync>;

pub(crate) struct Node {
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Node {
    pub(crate) async fn start(
        answers: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answers: Answers = Arc::new(answers);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self { url, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(mut stream: TcpStream, answers: Answers) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    let method = request["method"].as_str().unwrap_or_default();
    let answer = answers(method, &request["params"]);
    let id = &request["id"];
    let envelope = |key: &str, value: Value| json!({ "jsonrpc": "2.0", "id": id, key: value });
    let (status, body) = match answer {
        Answer::Result(value) => (200, envelope("result", value).to_string()),
        Answer::Error(code, message) => {
            let error = json!({ "code": code, "message": message });
            (200, envelope("error", error).to_string())
        }
        Answer::ErrorWithData(code, message, data) => {
            let error = json!({ "code": code, "message": message, "data": data });
            (200, envelope("error", error).to_string())
        }
        Answer::Status(status) => (status, String::new()),
        Answer::Text(text) => (200, text.to_owned()),
        Answer::Stall => return std::future::pending().await,
    };
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away is the client's business.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream
            .read(&mut part)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))?;
        if body.len() >= length.trim().parse().ok()? {
            return serde_json::from_str(body).ok();
        }
    }
}
