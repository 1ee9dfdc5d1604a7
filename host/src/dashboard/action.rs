//! Buttons: reload, restart, rollback, start and stop, each after a page that asks, through the very path that chat and shell
//! take. Never by GET.

use super::{
    Shared,
    auth::{self, Login},
    pages,
};
use crate::{
    admin::{Action, Actor, Proposal, command::ACTIONS},
    event::{Identity, User},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a question waits for its answer, as in chat.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// Questions that wait.
const MOST: usize = 64;

/// Questions that were put and not answered yet.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<String, Question>>);

#[derive(Debug)]
struct Question {
    until: Instant,
    /// Only who was asked can answer.
    session: Option<String>,
    proposal: Proposal,
}

impl Questions {
    fn put(&self, session: Option<&str>, proposal: Proposal, now: Instant) -> Option<String> {
        let id = auth::random()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, question| question.until > now);
        let question = Question { until: now + CONFIRM_WITHIN, session: session.map(str::to_owned), proposal };
        (all.len() < MOST).then(|| {
            all.insert(id.clone(), question);
            id
        })
    }

    fn take(&self, id: &str, session: Option<&str>, now: Instant) -> Option<Proposal> {
        let question = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        (question.until > now && question.session.as_deref() == session).then_some(question.proposal)
    }
}

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage<'a> {
    login: Login,
    plugin: &'a str,
    mood: &'static str,
    text: String,
    question: Option<String>,
}

/// What a button sends.
#[derive(serde::Deserialize)]
pub struct Wish {
    action: String,
    /// Of a replay: which dead letter.
    #[serde(default)]
    letter: Option<i64>,
}

impl Wish {
    fn action(&self) -> Option<Action> {
        let replay = self.letter.map(Action::Replay);
        ACTIONS.into_iter().chain(replay).find(|action| action.word() == self.action)
    }
}

/// What the page that asks sends.
#[derive(serde::Deserialize)]
pub struct Yes {
    question: String,
}

fn actor(peer: SocketAddr) -> Actor {
    let user = User { name: "dashboard".to_owned(), identity: Identity::Token };
    Actor { user: Arc::new(user), via: "dashboard", place: peer.ip().to_string() }
}

fn answer(headers: &HeaderMap, status: StatusCode, plugin: &str, text: String, question: Option<String>) -> Response {
    let mood = match (status.is_success(), &question) {
        (false, _) => "error",
        (true, Some(_)) => "warning",
        (true, None) => "good",
    };
    pages::page(status, &ActionPage { login: Login::In, plugin, mood, text, question }, headers)
}

fn denied(headers: &HeaderMap, plugin: &str) -> Response {
    answer(headers, StatusCode::FORBIDDEN, plugin, "Log in with the admin token first.".to_owned(), None)
}

/// Asks whether it shall be done.
pub async fn ask(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<SocketAddr>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    let (true, Some(admin)) = (shared.auth.login(&headers) == Login::In, &shared.admin) else {
        return denied(&headers, &plugin);
    };
    let Some(action) = wish.action() else {
        return answer(&headers, StatusCode::BAD_REQUEST, &plugin, "There is no such action.".to_owned(), None);
    };
    match admin.propose(&actor(peer), action, &plugin).await {
        Ok(proposal) => {
            let text = proposal.question.clone();
            match shared.questions.put(auth::session(&headers), proposal, Instant::now()) {
                Some(id) => answer(&headers, StatusCode::OK, &plugin, text, Some(id)),
                None => {
                    let text = "Too many questions wait for an answer; try again in a moment.".to_owned();
                    answer(&headers, StatusCode::TOO_MANY_REQUESTS, &plugin, text, None)
                }
            }
        }
        Err(refusal) => answer(&headers, StatusCode::CONFLICT, &plugin, refusal.to_string(), None),
    }
}

/// Does it.
pub async fn confirm(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<SocketAddr>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    Form(yes): Form<Yes>,
) -> Response {
    let (true, Some(admin)) = (shared.auth.login(&headers) == Login::In, shared.admin.clone()) else {
        return denied(&headers, &plugin);
    };
    let Some(proposal) = shared.questions.take(&yes.question, auth::session(&headers), Instant::now()) else {
        let text = "That question was answered already, or its 30 s are over. Ask again.".to_owned();
        return answer(&headers, StatusCode::GONE, &plugin, text, None);
    };
    // On a task of its own: a browser that goes away does not stop it half-way.
    let done = tokio::spawn(async move { admin.carry_out(&actor(peer), proposal).await }).await;
    match done {
        Ok(Ok(completed)) => answer(&headers, StatusCode::OK, &plugin, completed.text, None),
        Ok(Err(refusal)) => answer(&headers, StatusCode::CONFLICT, &plugin, refusal.to_string(), None),
        Err(error) => answer(&headers, StatusCode::INTERNAL_SERVER_ERROR, &plugin, error.to_string(), None),
    }
}
