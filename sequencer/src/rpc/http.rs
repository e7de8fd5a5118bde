//! What is not JSON-RPC on the public port: `/livez`, `/readyz`, `/metrics`, `/version`; and hints in the errors
//! that the JSON-RPC server itself makes.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use ::http::{Method, StatusCode};
use api::error::ErrorDetails;
use http_body_util::BodyExt;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use tower::{Layer, Service};

use crate::telemetry;

/// A server's error is small; longer bodies are results and pass untouched.
const ERROR_BYTES_MAX: u64 = 4_096;

/// Whether the node serves and makes blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<AtomicBool>);

impl Health {
    pub(crate) fn set_ready(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::SeqCst);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Debug)]
pub(super) struct HttpLayer(Health);

impl HttpLayer {
    pub(super) fn new(health: Health) -> Self {
        Self(health)
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpService {
            inner,
            health: self.0.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct HttpService<S> {
    inner: S,
    health: Health,
}

impl<S, B> Service<HttpRequest<B>> for HttpService<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
    S::Error: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        let page = match request.uri().path() {
            path if *request.method() == Method::GET => self.page(path),
            _ => None,
        };
        if let Some((status, text)) = page {
            return Box::pin(std::future::ready(Ok(plain(status, text))));
        }
        let response = self.inner.call(request);
        Box::pin(async move { Ok(with_hint(response.await?).await) })
    }
}

impl<S> HttpService<S> {
    fn page(&self, path: &str) -> Option<(StatusCode, String)> {
        match path {
            "/livez" => Some((StatusCode::OK, "live\n".into())),
            "/readyz" if self.health.is_ready() => Some((StatusCode::OK, "ready\n".into())),
            "/readyz" => Some((StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into())),
            "/metrics" => Some((StatusCode::OK, telemetry::render())),
            "/version" => Some((
                StatusCode::OK,
                concat!(env!("CARGO_PKG_VERSION"), "\n").into(),
            )),
            _ => None,
        }
    }
}

fn plain(status: StatusCode, text: String) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(text));
    *response.status_mut() = status;
    let kind = ::http::HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(::http::header::CONTENT_TYPE, kind);
    response
}

/// Adds `{reason, hint, docs}` to an error that the JSON-RPC server made before any of our code ran.
async fn with_hint(response: HttpResponse) -> HttpResponse {
    use hyper::body::Body;
    if response
        .body()
        .size_hint()
        .upper()
        .is_none_or(|size| size > ERROR_BYTES_MAX)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "response lost\n".into());
    };
    let bytes = collected.to_bytes();
    let Some(explained) = explain(&bytes) else {
        return HttpResponse::from_parts(parts, HttpBody::from(bytes.to_vec()));
    };
    parts.headers.remove(::http::header::CONTENT_LENGTH);
    HttpResponse::from_parts(parts, HttpBody::from(explained))
}

fn explain(bytes: &[u8]) -> Option<Vec<u8>> {
    // Nearly every answer is a result: no need to parse what cannot be an error.
    const KEY: &[u8] = b"\"error\"";
    if !bytes.windows(KEY.len()).any(|part| part == KEY) {
        return None;
    }
    let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let error = value.get_mut("error")?.as_object_mut()?;
    let (anchor, hint) = match error.get("code")?.as_i64()? {
        -32700 => (
            "malformed-json",
            "the body is not JSON: check quotes, commas and encoding",
        ),
        -32600 => (
            "invalid-request",
            "send {\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": .., \"params\": ..}",
        ),
        -32601 => ("method-not-found", "rpc.discover lists every method"),
        -32602 => (
            "invalid-params",
            "rpc.discover lists every parameter; unknown fields are refused",
        ),
        -32007 => ("body-too-large", "send fewer operations at once"),
        -32010 => ("batch-too-large", "send fewer requests in one batch"),
        -32005 => ("batches-not-supported", "send requests one by one"),
        -32006 => (
            "too-many-subscriptions",
            "open another connection, or end a subscription",
        ),
        -32008 => ("response-too-large", "ask for a smaller page"),
        _ => return None,
    };
    let reason = match error.get("data") {
        Some(serde_json::Value::String(reason)) => reason.clone(),
        Some(serde_json::Value::Object(_)) => return None,
        _ => error.get("message")?.as_str()?.to_owned(),
    };
    let details = ErrorDetails {
        reason,
        hint: hint.to_owned(),
        docs: format!("docs/rpc.md#{anchor}"),
    };
    error.insert("data".to_owned(), serde_json::to_value(details).ok()?);
    serde_json::to_vec(&value).ok()
}
