//! Buttons: reload, restart, rollback, start and stop. Each leads to a page that asks for confirmation, and then to the
//! same code as chat and shell. Never by GET.

use super::{
    Shared,
    auth::{self, Login},
    client::Client,
    pages::{self, At},
};
use crate::{
    admin::{
        Action, Actor, Refusal, Via,
        command::plain_actions,
        confirm::{Asked, Question, TOO_LATE, Unasked},
    },
    event::{Identity, User},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage<'a> {
    at: At,
    plugin: &'a str,
    mood: &'static str,
    text: String,
    question: Option<String>,
}

/// The form of a button.
#[derive(serde::Deserialize)]
pub struct ActionForm {
    action: String,
    /// For a replay: the number of the dead letter.
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

/// The form of the page that asks.
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

/// Asks for confirmation of an action.
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
    let Some(id) = auth::random() else {
        let text = "The system has no random numbers; try again.".to_owned();
        return answer(&headers, StatusCode::SERVICE_UNAVAILABLE, &plugin, text, None);
    };
    let actor = actor(&client);
    let asked = async {
        let proposal = admin.propose(&actor, action, &plugin).await?;
        let text = proposal.question.clone();
        admin.ask(&actor, asked(&id, &plugin, &headers), Question::Change(proposal)).await?;
        Ok(text)
    };
    match asked.await {
        Ok(text) => answer(&headers, StatusCode::OK, &plugin, text, Some(id)),
        Err(refusal) => refused(&headers, &plugin, &refusal),
    }
}

/// Only the browser that was asked can answer, and only on the page of the same plugin.
fn asked(id: &str, plugin: &str, headers: &HeaderMap) -> Asked {
    let session = auth::session(headers).unwrap_or_default();
    Asked { who: format!("page {id}"), place: format!("{plugin} {session}") }
}

fn refused(headers: &HeaderMap, plugin: &str, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TooManyQuestions => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::CONFLICT,
    };
    answer(headers, status, plugin, refusal.to_string(), None)
}

/// Carries out a confirmed action.
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
    let proposal = match admin.confirm(&asked(&yes.question, &plugin, &headers)).map(Question::change) {
        Ok(Some(proposal)) => proposal,
        none => {
            let text = match none {
                Err(Unasked::TooLate) => TOO_LATE,
                Ok(_) | Err(Unasked::Unknown) => {
                    "No such question waits here: it was answered already, or it is about another plugin. Ask again."
                }
            };
            return answer(&headers, StatusCode::GONE, &plugin, text.to_owned(), None);
        }
    };
    // In its own task, so that a browser that disconnects does not stop it halfway.
    let done = tokio::spawn(async move { admin.carry_out(&actor(&client), proposal).await }).await;
    match done {
        Ok(Ok(completed)) => answer(&headers, StatusCode::OK, &plugin, completed.text, None),
        Ok(Err(refusal)) => refused(&headers, &plugin, &refusal),
        Err(error) => answer(&headers, StatusCode::INTERNAL_SERVER_ERROR, &plugin, error.to_string(), None),
    }
}
