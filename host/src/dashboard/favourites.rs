//! The favourites of a reader: plugins that come first in the list. The browser keeps them in a cookie, so they work
//! without a script and belong to one browser.

use super::{
    Shared,
    auth::{self, Login},
    client::Client,
    pages::encoded,
};
use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{collections::BTreeSet, sync::Arc};

/// Favourites of one browser. A further one pushes out none: it is not added.
const MOST: usize = 40;

/// Seconds that the browser keeps them.
const YEAR: u32 = 365 * 86_400;

/// The name of the cookie.
fn name(shared: &Shared) -> String {
    format!("rosey_favourites_{}", shared.auth.suffix())
}

/// The favourites of the browser that sent this, among the plugins that exist.
pub fn of(shared: &Shared, headers: &HeaderMap) -> BTreeSet<String> {
    let Some(value) = auth::cookie(headers, &name(shared)) else { return BTreeSet::new() };
    let names: BTreeSet<&str> = value.split('!').take(MOST).collect();
    let board = shared.metrics.latest();
    let plugins = board.snapshot.plugins.iter().map(|plugin| &plugin.name);
    plugins.filter(|plugin| names.contains(encoded(plugin).as_str())).cloned().collect()
}

/// The form of the button.
#[derive(serde::Deserialize)]
pub struct Chosen {
    plugin: String,
}

/// `POST /favourite`: makes a plugin a favourite, or no longer one. The cookie has no `Path`, so a browser keeps it for
/// the dashboard's folder behind its proxy, as it does with the login.
pub async fn toggle(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Form(Chosen { plugin }): Form<Chosen>,
) -> Response {
    let mut all = of(&shared, &headers);
    let exists = shared.metrics.latest().snapshot.plugins.iter().any(|known| known.name == plugin);
    if !all.remove(&plugin) && all.len() < MOST && exists {
        all.insert(plugin.clone());
    }
    let value = all.iter().map(|plugin| encoded(plugin)).collect::<Vec<_>>().join("!");
    let secure = if client.scheme == Some("https") { "; Secure" } else { "" };
    let cookie = format!("{}={value}; Max-Age={YEAR}; HttpOnly; SameSite=Lax{secure}", name(&shared));
    match HeaderValue::from_str(&format!("./plugin/{}", encoded(&plugin))) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie)], [(header::LOCATION, to)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// What else of the reader an answer depends on, for its tag.
pub fn tag(favourites: &BTreeSet<String>, login: Login) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for plugin in favourites {
        hash.update(plugin.as_bytes());
        hash.update([0]);
    }
    let hash: String = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    if favourites.is_empty() { format!("{login:?}") } else { format!("{login:?}-{hash}") }
}
