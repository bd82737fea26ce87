//! The stand-in's HTTP side: which path does what, who left, what is recorded. It knows nothing of scripts' meanings.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::conversation;
use super::record::{Book, Ending};
use super::reply::{self, Head};
use super::script::{self, Plan};

/// Everything the stand-in answers.
pub(super) fn router(book: Arc<Book>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages).fallback(probe))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/__requests", get(recorded).delete(forget))
        .route("/__last", get(last))
        .route("/", any(probe))
        .route("/api/hello", any(probe))
        .fallback(unknown)
        // Conversations with images are large, and the real API takes 32 MB.
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(book)
}

async fn messages(State(book): State<Arc<Book>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => return failure(400, &reply::error_saying(400, &format!("the body is not JSON: {error}"))),
    };
    let key_seen = headers.contains_key("x-api-key") || headers.contains_key(header::AUTHORIZATION);
    let id = book.add(uri.to_string(), key_seen, &body);
    let plan = if conversation::is_main(&body) {
        let standing = conversation::standing(&body);
        let first = book.first_time(&standing.said);
        script::plan(&standing, first)
    } else {
        script::aside()
    };
    let head = Head {
        model: body["model"].as_str().unwrap_or("stand-in").to_owned(),
        input_tokens: conversation::input_tokens(&body),
    };
    let streamed = body["stream"].as_bool().unwrap_or(false);
    match plan {
        Plan::Fail(status) => {
            book.end(id, Ending::Failed);
            failure(status, &reply::error(status))
        }
        Plan::Hang => hang(book, id),
        Plan::Message(blocks) if streamed => {
            let (sender, receiver) = mpsc::channel::<String>(64);
            tokio::spawn(async move {
                let ending = match reply::stream(&head, &blocks, &sender).await {
                    Ok(()) => Ending::Whole,
                    Err(reply::Gone) => Ending::Left,
                };
                book.end(id, ending);
            });
            events(receiver)
        }
        Plan::Message(blocks) => {
            book.end(id, Ending::Whole);
            axum::Json(reply::whole(&head, &blocks)).into_response()
        }
    }
}

/// Headers and then nothing, until the client leaves.
fn hang(book: Arc<Book>, id: u64) -> Response {
    let (sender, receiver) = mpsc::channel::<String>(1);
    tokio::spawn(async move {
        sender.closed().await;
        book.end(id, Ending::Left);
    });
    events(receiver)
}

fn events(receiver: mpsc::Receiver<String>) -> Response {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(stream.boxed())).into_response()
}

async fn count_tokens(body: Bytes) -> Response {
    match serde_json::from_slice::<Value>(&body) {
        Ok(body) => axum::Json(json!({"input_tokens": conversation::input_tokens(&body)})).into_response(),
        Err(error) => failure(400, &reply::error_saying(400, &format!("the body is not JSON: {error}"))),
    }
}

async fn recorded(State(book): State<Arc<Book>>) -> Response {
    axum::Json(book.all()).into_response()
}

async fn last(State(book): State<Arc<Book>>) -> Response {
    axum::Json(book.last_main()).into_response()
}

async fn forget(State(book): State<Arc<Book>>) -> StatusCode {
    book.clear();
    StatusCode::NO_CONTENT
}

/// The agent looks whether the API is there before it asks anything.
async fn probe(method: Method) -> Response {
    if method == Method::GET || method == Method::HEAD {
        axum::Json(json!({"message": "stand-in model API"})).into_response()
    } else {
        failure(405, &reply::error_saying(405, "method not allowed"))
    }
}

async fn unknown(uri: Uri) -> Response {
    failure(404, &reply::error_saying(404, &format!("no such path: {}", uri.path())))
}

fn failure(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body.clone())).into_response()
}
