//! Reports as they are stored, as server-sent events.
//!
//! A page that cannot keep up is told so (`lagged`) and reads the lists anew; it never slows the store. A stream ends
//! with its session.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use minesweep_model::Report;
use serde::Serialize;
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tracing::error;
use utoipa::ToSchema;

use super::{
    Place, Shared,
    problem::{Code, Problem, Refusal},
};
use crate::{clock::now_ms, store::Session};

/// Data of the event `lagged`: the page must read its lists anew.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lagged {
    /// Reports that this page missed.
    pub missed: u64,
}

/// `event: report` with a Report for each thing that is stored; `event: lagged` with a Lagged when some were missed.
/// A comment every 15 s keeps the line open.
#[utoipa::path(get, path = "/api/events", responses(
    (status = 200, description = "a stream of events", content_type = "text/event-stream", body = Report),
    (status = 401, description = "no session", body = Problem),
    (status = 503, description = "64 streams are open; close another page", body = Problem),
))]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(session): Extension<Session>,
) -> Result<Sse<KeepAliveStream>, Refusal> {
    let place = Place::take(&shared.streams)
        .ok_or_else(|| Refusal::new(Code::TooManyStreams, "64 event streams are open; close another page"))?;
    let (page, stream) = mpsc::channel(PAGE_QUEUE);
    let watcher = Watcher { shared: Arc::clone(&shared), session, page, _place: place };
    // Subscribed before the answer begins: what is stored after the page sees the headers reaches it.
    let reports = shared.pages.subscribe();
    tokio::spawn(watcher.run(reports));
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

type KeepAliveStream = axum::response::sse::KeepAliveStream<ReceiverStream<Result<Event, Infallible>>>;

/// Events on their way to one page; past this it is the page that is slow.
const PAGE_QUEUE: usize = 16;

/// Proxies close lines that are silent for 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Feeds one page.
struct Watcher {
    shared: Arc<Shared>,
    session: Session,
    page: mpsc::Sender<Result<Event, Infallible>>,
    _place: Place,
}

impl Watcher {
    async fn run(self, mut reports: tokio::sync::broadcast::Receiver<Arc<str>>) {
        let mut logouts = self.shared.logouts.subscribe();
        let stopped = self.shared.stopped();
        let ends = tokio::time::sleep(Duration::from_millis(self.session.ends_ms.saturating_sub(now_ms())));
        tokio::pin!(stopped, ends);
        loop {
            let event = tokio::select! {
                () = &mut stopped => return,
                () = &mut ends => return,
                () = self.page.closed() => return,
                changed = logouts.changed() => {
                    if changed.is_err() || !self.is_alive().await {
                        return;
                    }
                    continue;
                }
                report = reports.recv() => match report {
                    Ok(json) => Event::default().event("report").data(&*json),
                    Err(RecvError::Lagged(missed)) => match lagged(missed) {
                        Some(event) => event,
                        None => return,
                    },
                    Err(RecvError::Closed) => return,
                },
            };
            tokio::select! {
                () = &mut stopped => return,
                () = &mut ends => return,
                sent = self.page.send(Ok(event)) => if sent.is_err() { return },
            }
        }
    }

    async fn is_alive(&self) -> bool {
        match self.shared.store.is_session_alive(&self.session.family, now_ms()).await {
            Ok(is_alive) => is_alive,
            Err(cause) => {
                error!(error = %crate::chain(&cause), "a session could not be looked up, its event stream is ended");
                false
            }
        }
    }
}

fn lagged(missed: u64) -> Option<Event> {
    Event::default().event("lagged").json_data(Lagged { missed }).ok()
}
