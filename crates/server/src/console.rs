//! Serves the console that was built into the binary.
//!
//! Paths that name no file get the page itself, since the console does its own routing. Holds no data: whoever may
//! connect may load it.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};

use crate::access::hex;

#[derive(Embed)]
#[folder = "../../console/dist"]
struct Console;

/// The file that `uri` names, or the page.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    answer(uri.path(), &headers, Console::get)
}

/// The answer, from the files that `find` knows by exact name: no path is ever opened, so none can be climbed.
fn answer(path: &str, headers: &HeaderMap, find: impl Fn(&str) -> Option<EmbeddedFile>) -> Response {
    let name = path.trim_start_matches('/');
    if let Some(file) = find(name) {
        return send(name, &file, headers);
    }
    if name.starts_with(HASHED) {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    }
    match find("index.html") {
        Some(page) => send("index.html", &page, headers),
        None => {
            (StatusCode::SERVICE_UNAVAILABLE, "the console was not built; run make build\n").into_response()
        }
    }
}

/// Files of this folder have a hash of their content in their name.
const HASHED: &str = "assets/";

fn send(name: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    let caching = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let is_known = headers.get_all(header::IF_NONE_MATCH).into_iter().any(|known| {
        // Compression turns the tag into a weak one.
        let tags = known.to_str().unwrap_or_default().split(',');
        tags.map(|known| known.trim().trim_start_matches("W/")).any(|known| known == tag)
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_str(file.metadata.mimetype())
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        ([(header::CONTENT_TYPE, kind)], file.data.clone()).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        fields.insert(header::ETAG, tag);
    }
    response
}
