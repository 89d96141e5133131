//! The API of the console: routes, what they answer, and their description (`openapi.json`, checked in).
//!
//! Every path below `/api` needs a session unless `guard` names it. Reads the store; changes nothing but logins and
//! whether an incident is closed.

mod events;
mod guard;
mod login;
mod pages;
mod problem;
pub(crate) mod story;
pub(crate) mod words;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    routing::get,
};
use minesweep_model::Report;
use tokio::sync::{Mutex, broadcast, watch};
use tower_http::compression::CompressionLayer;
use utoipa::{OpenApi, openapi::OpenApi as Description};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Attempts,
    console,
    feed::{self, Feed},
    store::Store,
};
use problem::{Code, Refusal};
use words::Price;

/// What the routes share.
pub(crate) struct Shared {
    /// The store.
    pub store: Store,
    /// For the count of what was lost.
    pub feed: Feed,
    /// What a CPU-hour costs.
    pub price: Price,
    /// Names that this server answers to; addresses always do.
    pub names: Vec<String>,
    /// Login attempts.
    pub attempts: Mutex<Attempts>,
    /// Stored reports, as JSON.
    pub pages: broadcast::Sender<Arc<str>>,
    /// Event streams that are open.
    pub streams: Arc<AtomicUsize>,
    /// Told at each logout, so that open streams look whether it was theirs.
    pub logouts: watch::Sender<()>,
    /// Becomes true when the server stops.
    pub stopping: watch::Sender<bool>,
}

impl Shared {
    /// Shows a report that is stored to the pages that watch.
    pub fn show(&self, report: &Report) {
        feed::show(&self.pages, report);
    }

    /// Ready once the server stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error says that the server is gone: that is a stop, too.
            drop(stopping.wait_for(|is_stopping| *is_stopping).await);
        }
    }
}

/// One of the [`STREAMS`] places for event streams; given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |count| (count < STREAMS).then_some(count + 1);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Event streams at a time: a quarter of the connections.
const STREAMS: usize = 64;

/// All routes with their guards.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let (api, description) = described().split_for_parts();
    let description = Arc::new(description);
    let document = move || async move { Json(Description::clone(&description)) };
    api.route("/api/openapi.json", get(document))
        .route("/healthz", get(async || "ok"))
        .route("/api/{*rest}", axum::routing::any(unknown))
        .fallback(console::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .layer(CompressionLayer::new())
        .layer(middleware::map_response(guard::harden))
        .with_state(shared)
}

/// The longest body that is read; the longest that is meant is a token.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// The description of the API, as checked in at `crates/server/openapi.json`.
pub fn openapi() -> Description {
    described().into_openapi()
}

fn described() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(About::openapi())
        .routes(routes!(login::log_in))
        .routes(routes!(login::log_out))
        .routes(routes!(login::session))
        .routes(routes!(pages::overview))
        .routes(routes!(pages::incidents))
        .routes(routes!(pages::incident))
        .routes(routes!(pages::close))
        .routes(routes!(pages::detections))
        .routes(routes!(events::events))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Minesweep",
        description = "API of the Minesweep console. A session cookie is needed but for login; a POST carries `x-minesweep: 1`."
    ),
    components(schemas(events::Lagged))
)]
struct About;

async fn unknown(State(_): State<Arc<Shared>>) -> Refusal {
    Refusal::new(Code::NotFound, "there is no such path; /api/openapi.json lists them")
}

async fn wrong_method() -> Refusal {
    Refusal::new(Code::WrongMethod, "this path does not take this method; /api/openapi.json lists them")
}
