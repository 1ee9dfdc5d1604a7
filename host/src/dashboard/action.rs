//! Buttons: reload, restart, rollback, start and stop, each after a page that asks, through the very path that chat and shell
//! take. Never by GET.

use super::{
    Shared,
    auth::{self, Login},
    client::Client,
    pages::{self, At},
};
use crate::{
    admin::{Action, Actor, Proposal, Via, command::plain_actions},
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
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a question waits for its answer, as in chat.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// Questions that wait.
const MOST: usize = 64;

/// Questions that were put and not answered yet.
#[derive(Debug)]
pub struct Questions<P = Proposal>(Mutex<HashMap<String, Question<P>>>);

#[derive(Debug)]
struct Question<P> {
    until: Instant,
    /// Only who was asked can answer.
    session: Option<String>,
    /// Only on the page of this plugin.
    plugin: String,
    proposal: P,
}

impl<P> Default for Questions<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P> Questions<P> {
    fn put(&self, session: Option<&str>, plugin: &str, proposal: P, now: Instant) -> Option<String> {
        let id = auth::random()?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, question| question.until > now);
        let (session, plugin) = (session.map(str::to_owned), plugin.to_owned());
        let question = Question { until: now + CONFIRM_WITHIN, session, plugin, proposal };
        (all.len() < MOST).then(|| {
            all.insert(id.clone(), question);
            id
        })
    }

    /// The question that is answered, once, by who was asked and on the page of its plugin.
    fn take(&self, id: &str, plugin: &str, session: Option<&str>, now: Instant) -> Option<P> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let question = all.get(id)?;
        let is_it = question.until > now && question.session.as_deref() == session && question.plugin == plugin;
        if is_it { all.remove(id).map(|question| question.proposal) } else { None }
    }
}

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage<'a> {
    at: At,
    plugin: &'a str,
    mood: &'static str,
    text: String,
    question: Option<String>,
}

/// What a button sends.
#[derive(serde::Deserialize)]
pub struct ActionForm {
    action: String,
    /// Of a replay: which dead letter.
    #[serde(default)]
    letter: Option<i64>,
    /// Of a cancellation: which timer.
    #[serde(default)]
    timer: Option<i64>,
}

impl ActionForm {
    fn action(&self) -> Option<Action> {
        let of_one = [self.letter.map(Action::Replay), self.timer.map(Action::CancelTimer)];
        plain_actions().chain(of_one.into_iter().flatten()).find(|action| action.word() == self.action)
    }
}

/// What the page that asks sends.
#[derive(serde::Deserialize)]
pub struct Yes {
    question: String,
}

fn actor(client: &Client) -> Actor {
    let user = User { name: "dashboard".to_owned(), identity: Identity::Token };
    Actor { user: Arc::new(user), via: Via::Dashboard, place: client.address.to_string() }
}

fn answer(headers: &HeaderMap, status: StatusCode, plugin: &str, text: String, question: Option<String>) -> Response {
    let mood = match (status.is_success(), &question) {
        (false, _) => "error",
        (true, Some(_)) => "warning",
        (true, None) => "good",
    };
    let at = At::new("../../", Login::In, &format!("/plugin/{plugin}"));
    pages::page(status, &ActionPage { at, plugin, mood, text, question }, headers)
}

fn denied(shared: &Shared, headers: &HeaderMap, plugin: &str) -> Response {
    match shared.auth.login(headers) {
        Login::Out => {
            let at = At::new("../../", Login::Out, &format!("/plugin/{}", pages::encoded(plugin)));
            auth::ask_to_log_in(&at, headers)
        }
        Login::Off | Login::In => {
            let text = "This dashboard is read-only: there is no dashboard.token in the configuration.".to_owned();
            answer(headers, StatusCode::FORBIDDEN, plugin, text, None)
        }
    }
}

/// Asks whether it shall be done.
pub async fn ask(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ActionForm>,
) -> Response {
    let (true, Some(admin)) = (shared.auth.login(&headers) == Login::In, &shared.admin) else {
        return denied(&shared, &headers, &plugin);
    };
    let Some(action) = form.action() else {
        return answer(&headers, StatusCode::BAD_REQUEST, &plugin, "There is no such action.".to_owned(), None);
    };
    match admin.propose(&actor(&client), action, &plugin).await {
        Ok(proposal) => {
            let text = proposal.question.clone();
            match shared.questions.put(auth::session(&headers), &plugin, proposal, Instant::now()) {
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
    Extension(client): Extension<Client>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    Form(yes): Form<Yes>,
) -> Response {
    let (true, Some(admin)) = (shared.auth.login(&headers) == Login::In, shared.admin.clone()) else {
        return denied(&shared, &headers, &plugin);
    };
    let Some(proposal) = shared.questions.take(&yes.question, &plugin, auth::session(&headers), Instant::now()) else {
        let text =
            "No such question waits here: it was answered already, or its 30 s are over, or it is about another \
                    plugin. Ask again."
                .to_owned();
        return answer(&headers, StatusCode::GONE, &plugin, text, None);
    };
    // On a task of its own: a browser that goes away does not stop it half-way.
    let done = tokio::spawn(async move { admin.carry_out(&actor(&client), proposal).await }).await;
    match done {
        Ok(Ok(completed)) => answer(&headers, StatusCode::OK, &plugin, completed.text, None),
        Ok(Err(refusal)) => answer(&headers, StatusCode::CONFLICT, &plugin, refusal.to_string(), None),
        Err(error) => answer(&headers, StatusCode::INTERNAL_SERVER_ERROR, &plugin, error.to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_once_by_who_was_asked_and_where_it_was_asked() {
        let (questions, now) = (Questions::default(), Instant::now());
        let id = questions.put(Some("alice"), "x", (), now).expect("there is room");
        let take = |plugin, session, at| questions.take(&id, plugin, session, at).is_some();
        assert!(!take("y", Some("alice"), now), "another plugin's page");
        assert!(!take("x", Some("mallory"), now) && !take("x", None, now), "another session");
        assert!(!take("x", Some("alice"), now + CONFIRM_WITHIN), "too late");
        assert!(take("x", Some("alice"), now) && !take("x", Some("alice"), now), "once");
    }
}
