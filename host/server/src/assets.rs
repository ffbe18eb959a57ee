//! The page's style and script, embedded in the binary and served under names that carry their
//! hash.
//!
//! Invariant: an address names one content for ever, so a browser may keep it (`immutable`).
//! Not here: how the packages got into `OUT_DIR` (build.rs), pages (ui).

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One embedded file; `hash` is the first 16 hexadecimal digits of its SHA-256.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
    hash: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |name, media_type, bytes: &'static [u8]| Asset {
        name,
        media_type,
        bytes,
        hash: hex::encode(Sha256::digest(bytes)).chars().take(16).collect(),
    };
    vec![
        asset(
            "bootstrap.css",
            "text/css; charset=utf-8",
            include_bytes!(concat!(
                env!("OUT_DIR"),
                "/assets/node_modules/bootstrap/dist/css/bootstrap.min.css"
            )),
        ),
        asset(
            "htmx.js",
            "text/javascript; charset=utf-8",
            include_bytes!(concat!(
                env!("OUT_DIR"),
                "/assets/node_modules/htmx.org/dist/htmx.min.js"
            )),
        ),
        asset(
            "polymeter.css",
            "text/css; charset=utf-8",
            include_bytes!("../assets/polymeter.css"),
        ),
        asset(
            "counter.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/counter.js"),
        ),
        asset("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

/// The address of an embedded file, for templates. An unknown name is our bug and shows as a dead
/// link.
pub fn address(name: &str) -> String {
    let hash = ASSETS.iter().find(|asset| asset.name == name).map(|asset| asset.hash.as_str());
    format!("/assets/{}/{name}", hash.unwrap_or("none"))
}

pub async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name && asset.hash == hash) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{hash}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen == etag.as_str());
    let caching = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, asset.media_type)], asset.bytes).into_response()
}
