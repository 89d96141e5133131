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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use rust_embed::Metadata;

    use super::*;

    fn find(name: &str) -> Option<EmbeddedFile> {
        let kind = match name {
            "index.html" => "text/html",
            "assets/app-1a2b.js" => "text/javascript",
            _ => return None,
        };
        let metadata = Metadata::__rust_embed_new([7; 32], None, None, kind);
        Some(EmbeddedFile { data: Cow::Owned(name.as_bytes().to_owned()), metadata })
    }

    fn ask(path: &str, known: Option<&str>) -> (u16, String, String) {
        let mut headers = HeaderMap::new();
        if let Some(known) = known {
            headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
        }
        let response = answer(path, &headers, find);
        let field = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (kind, caching) = (field(header::CONTENT_TYPE), field(header::CACHE_CONTROL));
        (response.status().as_u16(), kind.unwrap_or_default(), caching.unwrap_or_default())
    }

    fn is(status: u16, kind: &str, caching: &str) -> (u16, String, String) {
        (status, kind.to_owned(), caching.to_owned())
    }

    #[test]
    fn a_file_is_itself_a_route_is_the_page_and_a_lost_asset_is_neither() {
        let page = is(200, "text/html", "no-cache");
        assert_eq!(ask("/", None), page);
        assert_eq!(ask("/login", None), page);
        assert_eq!(ask("/incidents/i-1.2", None), page);
        assert_eq!(
            ask("/assets/app-1a2b.js", None),
            is(200, "text/javascript", "public, max-age=31536000, immutable")
        );
        assert_eq!(ask("/assets/app-0000.js", None).0, 404);
        assert_eq!(ask("/assets/../index.html", None).0, 404);
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let tag = format!("\"{}\"", "07".repeat(32));
        assert_eq!(ask("/", Some(&tag)).0, 304);
        assert_eq!(ask("/", Some(&format!("\"x\", W/{tag}"))).0, 304);
        assert_eq!(ask("/", Some("\"x\"")).0, 200);
    }

    #[test]
    fn a_console_that_was_not_built_says_so() {
        assert_eq!(answer("/", &HeaderMap::new(), |_| None).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
