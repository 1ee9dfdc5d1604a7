//! Pages rendered for one board, shared by all who ask for the same page until the next board. Also sends answers:
//! compressed on request, and not at all if the client already has them.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tokio::sync::OnceCell;

/// Variants kept for one board: each plugin's page and the usual sort orders. Further ones are rendered for each
/// request.
const MOST: usize = 256;

/// Bytes of a path that is kept.
const LONGEST: usize = 200;

/// An answer that is the same for everyone varies by nothing; pages vary by the reader.
const VARIES: &str = "accept-encoding, cookie, authorization";

/// One answer, plain and, once a client asked for it, compressed.
#[derive(Debug)]
pub struct Rendered {
    kind: &'static str,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    /// The `ETag`, if the answer has one.
    tag: Option<HeaderValue>,
}

impl Rendered {
    /// An answer without a tag, which is sent each time.
    pub fn new(kind: &'static str, plain: impl Into<Bytes>) -> Self {
        Self { kind, plain: plain.into(), gzip: OnceLock::new(), tag: None }
    }

    /// An answer with a tag.
    pub fn named(kind: &'static str, plain: impl Into<Bytes>, tag: &str) -> Self {
        Self { tag: HeaderValue::from_str(&format!("W/\"{tag}\"")).ok(), ..Self::new(kind, plain) }
    }

    /// The response in the form that this client accepts.
    pub fn respond(&self, asked: &HeaderMap) -> Response {
        let fixed: [(HeaderName, HeaderValue); 2] = [
            (header::VARY, HeaderValue::from_static(VARIES)),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        ];
        let mut response = if self.tag.is_some() && is_known(asked, self.tag.as_ref()) {
            (StatusCode::NOT_MODIFIED, fixed).into_response()
        } else if takes_gzip(asked) {
            let kind = [(header::CONTENT_TYPE, self.kind), (header::CONTENT_ENCODING, "gzip")];
            (fixed, kind, self.gzip.get_or_init(|| packed(&self.plain)).clone()).into_response()
        } else {
            (fixed, [(header::CONTENT_TYPE, self.kind)], self.plain.clone()).into_response()
        };
        match &self.tag {
            Some(tag) => response.headers_mut().insert(header::ETAG, tag.clone()),
            None => response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        };
        response
    }
}

fn packed(plain: &Bytes) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = gzip.write_all(plain);
    gzip.finish().unwrap_or_default().into()
}

fn values(asked: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    asked.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
}

/// Whether the client already has the answer, by its tag, weak or not.
fn is_known(asked: &HeaderMap, tag: Option<&HeaderValue>) -> bool {
    let strong = |name: &str| name.trim().trim_start_matches("W/").to_owned();
    let Some(tag) = tag.and_then(|tag| tag.to_str().ok()).map(strong) else { return false };
    values(asked, header::IF_NONE_MATCH).any(|name| name.trim() == "*" || strong(name) == tag)
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    values(asked, header::ACCEPT_ENCODING).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok()).unwrap_or(1.0);
        name.trim() == "gzip" && weight > 0.0
    })
}

type Cell = Arc<OnceCell<Arc<Rendered>>>;

/// The answers for the newest board, by path and reader.
#[derive(Debug, Default)]
pub struct Cache(Mutex<(u64, HashMap<String, Cell>)>);

impl Cache {
    /// The variant with this name for this board, rendered by the first request. A failure is not kept.
    ///
    /// # Errors
    /// Those of `render`.
    pub async fn get<E>(
        &self,
        board: u64,
        name: String,
        render: impl AsyncFnOnce() -> Result<Rendered, E>,
    ) -> Result<Arc<Rendered>, E> {
        let cell = self.cell(board, name);
        let cell = cell.unwrap_or_default();
        cell.get_or_try_init(|| async { render().await.map(Arc::new) }).await.cloned()
    }

    /// `None` when there is no room for another variant.
    fn cell(&self, board: u64, name: String) -> Option<Cell> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 < board {
            *kept = (board, HashMap::new());
        }
        // Before the first poll there is nothing to share. A request with an older board is over soon.
        if board == 0 || kept.0 > board || name.len() > LONGEST {
            return None;
        }
        match kept.1.get(&name) {
            Some(cell) => Some(Arc::clone(cell)),
            None if kept.1.len() < MOST => Some(Arc::clone(kept.1.entry(name).or_default())),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, convert::Infallible};

    #[tokio::test]
    async fn each_variant_is_rendered_once_a_board() {
        let (cache, count) = (Cache::default(), Cell::new(0));
        let ask = async |board, name: &str| {
            let rendered = cache.get(board, name.to_owned(), async || {
                tokio::task::yield_now().await;
                count.set(count.get() + 1);
                Ok::<_, Infallible>(Rendered::new("text/plain", "x"))
            });
            rendered.await.expect("it cannot fail");
            count.get()
        };
        let (first, second) = tokio::join!(ask(1, "/"), ask(1, "/"));
        assert_eq!((first, second), (1, 1), "also when two ask at the same time");
        assert_eq!((ask(1, "/").await, ask(1, "/?q=x").await, ask(2, "/").await), (1, 2, 3));
        for number in 0..2 * MOST {
            ask(2, &number.to_string()).await;
        }
        assert_eq!(cache.0.lock().expect("no code panics here").1.len(), MOST);
        let before = count.get();
        ask(2, "one too many").await;
        assert_eq!(ask(2, "one too many").await, before + 2);
    }

    fn asked(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn an_answer_is_packed_when_asked_and_not_sent_twice() {
        let rendered = Rendered::named("text/plain", "word ".repeat(100), "7");
        let plain = rendered.respond(&HeaderMap::new());
        assert_eq!((plain.status(), &plain.headers()["etag"]), (StatusCode::OK, &HeaderValue::from_static("W/\"7\"")));
        assert!(rendered.gzip.get().is_none(), "no client asked for it");
        assert!(
            !rendered
                .respond(&asked(&[("accept-encoding", "gzip;q=0, br")]))
                .headers()
                .contains_key("content-encoding")
        );
        let packed = rendered.respond(&asked(&[("accept-encoding", "br, gzip;q=0.5")]));
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        for known in ["W/\"7\"", "\"7\"", "\"6\", W/\"7\"", "*"] {
            let again = rendered.respond(&asked(&[("if-none-match", known)]));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            let headers = again.headers();
            assert!(headers["etag"] == "W/\"7\"" && headers["cache-control"] == "private, no-cache");
            assert!(headers.contains_key("vary") && !headers.contains_key("content-type"));
        }
        assert_eq!(rendered.respond(&asked(&[("if-none-match", "\"6\"")])).status(), StatusCode::OK);
        let unnamed = Rendered::new("text/plain", "x").respond(&asked(&[("if-none-match", "*")]));
        assert!(unnamed.status() == StatusCode::OK && unnamed.headers()["cache-control"] == "no-store");
    }
}
