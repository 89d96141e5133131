//! What the console reads: overview, incidents, detections; and the one thing it says: that an incident is closed.

use std::sync::Arc;

use super::{
    Shared,
    problem::{Code, Problem, Refusal},
    story::{IncidentView, Story},
    words::{DetectionQuery, Detections, IncidentQuery, Incidents, Overview},
};
use crate::{clock::now_ms, store::Glance};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use minesweep_model::{Change, Report};
use tracing::info;

/// The first page.
#[utoipa::path(get, path = "/api/overview", responses(
    (status = 200, body = Overview),
    (status = 401, description = "no session", body = Problem),
))]
pub(super) async fn overview(State(shared): State<Arc<Shared>>) -> Result<Json<Overview>, Refusal> {
    let now_ms = now_ms();
    let Glance { host, load, series, mining_now, intrusion_now, totals } =
        shared.store.glance(&shared.price, now_ms).await?;
    Ok(Json(Overview {
        now_ms,
        counts: load.as_ref().map(|load| load.counts.clone()).unwrap_or_default(),
        blind: host.blind.clone(),
        host,
        load,
        series,
        mining_now,
        intrusion_now,
        totals,
        price: shared.price.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queue_lost: shared.feed.lost(),
    }))
}

/// A page of incidents, newest first.
#[utoipa::path(get, path = "/api/incidents", params(IncidentQuery), responses(
    (status = 200, body = Incidents),
    (status = 400, description = "a parameter is wrong", body = Problem),
    (status = 401, description = "no session", body = Problem),
))]
pub(super) async fn incidents(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<IncidentQuery>, QueryRejection>,
) -> Result<Json<Incidents>, Refusal> {
    let Query(query) = query?;
    Ok(Json(shared.store.incidents(&query).await?))
}

/// One incident, whole, and what its steps say.
#[utoipa::path(get, path = "/api/incidents/{uid}", params(("uid" = String, Path, description = "its uid")), responses(
    (status = 200, body = IncidentView),
    (status = 401, description = "no session", body = Problem),
    (status = 404, description = "no such incident", body = Problem),
))]
pub(super) async fn incident(
    State(shared): State<Arc<Shared>>,
    Path(uid): Path<String>,
) -> Result<Json<IncidentView>, Refusal> {
    let found = shared.store.incident(&uid).await?;
    let incident = found.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such incident"))?;
    let story = Story::of(&incident);
    Ok(Json(IncidentView { incident, story }))
}

/// Closes an incident: it is dealt with. Something newer of it opens it again.
#[utoipa::path(post, path = "/api/incidents/{uid}/close",
    params(
        ("uid" = String, Path, description = "its uid"),
        ("x-minesweep" = String, Header, description = "1; shows that the page itself asks"),
    ),
    responses(
        (status = 204, description = "it is closed"),
        (status = 401, description = "no session", body = Problem),
        (status = 403, description = "asked from another site", body = Problem),
        (status = 404, description = "no such incident", body = Problem),
    ))]
pub(super) async fn close(
    State(shared): State<Arc<Shared>>,
    Path(uid): Path<String>,
) -> Result<StatusCode, Refusal> {
    let closed = shared.store.close_incident(&uid, now_ms()).await?;
    let incident = closed.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such incident"))?;
    info!(incident = %uid, "an incident was closed from the console");
    shared.show(&Report::Incident { change: Change::Closed, incident: Box::new(incident) });
    Ok(StatusCode::NO_CONTENT)
}

/// A page of detections, newest first.
#[utoipa::path(get, path = "/api/detections", params(DetectionQuery), responses(
    (status = 200, body = Detections),
    (status = 400, description = "a parameter is wrong", body = Problem),
    (status = 401, description = "no session", body = Problem),
))]
pub(super) async fn detections(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<DetectionQuery>, QueryRejection>,
) -> Result<Json<Detections>, Refusal> {
    let Query(query) = query?;
    Ok(Json(shared.store.detections(&query).await?))
}
