//! Buttons: reload, restart, rollback, start and stop. Each leads to a page that asks for confirmation, and then to the
//! same code as chat and shell. Afterwards the browser is back on the plugin's page, which says what happened. Never by
//! GET.

use super::{
    Shared,
    answer::{self, is_browser},
    auth::{self, Login},
    client::Client,
    pages::{self, At},
};
use crate::{
    admin::{
        Action, Actor, Admin, Refusal, Via,
        command::plain_actions,
        confirm::{Asked, Question, TOO_LATE, Unasked},
        series::Series,
    },
    event::{Identity, User},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use tokio::sync::mpsc;

#[derive(Template)]
#[template(path = "action.html")]
struct ActionPage<'a> {
    at: At,
    plugin: &'a str,
    text: String,
    question: String,
}

/// The form of a button.
#[derive(serde::Deserialize)]
pub struct ActionForm {
    action: String,
    /// For a replay and to discard: the number of the dead letter; 0 for all.
    #[serde(default)]
    letter: Option<i64>,
    /// Of a cancellation: which timer.
    #[serde(default)]
    timer: Option<i64>,
}

impl ActionForm {
    fn action(&self) -> Option<Action> {
        let of_one =
            [self.letter.map(Action::Replay), self.letter.map(Action::Discard), self.timer.map(Action::CancelTimer)];
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

/// The page that asks; for a program, the question as JSON.
fn question(headers: &HeaderMap, plugin: &str, text: String, question: String) -> Response {
    if !is_browser(headers) {
        let body = serde_json::json!({"question": question, "text": text}).to_string();
        return (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    let at = At::new("../../", Login::In, &format!("/plugin/{plugin}"));
    pages::page(StatusCode::OK, &ActionPage { at, plugin, text, question }, headers)
}

fn denied(shared: &Shared, headers: &HeaderMap, plugin: &str) -> Response {
    match shared.auth.login(headers) {
        Login::Out => {
            let at = At::new("../../", Login::Out, &format!("/plugin/{}", pages::encoded(plugin)));
            auth::ask_to_log_in(&at, headers)
        }
        Login::Off | Login::In => {
            let at = At::new("../../", Login::Off, "/");
            let text = "This dashboard is read-only: there is no dashboard.token in the configuration.";
            answer::problem(StatusCode::FORBIDDEN, text, &at, headers)
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
    let said = |status, text| shared.notices.said(&headers, status, &plugin, text);
    let Some(action) = form.action() else {
        return said(StatusCode::BAD_REQUEST, "There is no such action.".to_owned());
    };
    let Some(id) = auth::random() else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "The system has no random numbers; try again.".to_owned());
    };
    let actor = actor(&client);
    let asked = async {
        let question = match series(&plugin) {
            Some(series) => Question::Each(admin.propose_series(&actor, series).await?),
            None => Question::Change(Box::new(admin.propose(&actor, action, &plugin).await?)),
        };
        let text = question.text().to_owned();
        admin.ask(&actor, asked(&shared, &id, &plugin, &headers), question).await?;
        Ok(text)
    };
    match asked.await {
        Ok(text) => question(&headers, &plugin, text, id),
        Err(refusal) => said(status_of(&refusal), refusal.to_string()),
    }
}

/// The changes of several plugins, in place of the name of one. No plugin has such a name.
fn series(plugin: &str) -> Option<Series> {
    match plugin {
        "-changed" => Some(Series::Reload { only_changed: true, keep_going: false }),
        "-config" => Some(Series::Config),
        _ => None,
    }
}

/// Only the browser that was asked can answer, and only on the page of the same plugin.
fn asked(shared: &Shared, id: &str, plugin: &str, headers: &HeaderMap) -> Asked {
    let session = shared.auth.session(headers).unwrap_or_default();
    Asked { who: format!("page {id}"), place: format!("{plugin} {session}") }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::TooManyQuestions => StatusCode::TOO_MANY_REQUESTS,
        Refusal::SecondPerson { .. } => StatusCode::ACCEPTED,
        _ => StatusCode::CONFLICT,
    }
}

async fn carry_out(admin: &Arc<Admin>, actor: &Actor, question: Question) -> Result<String, Refusal> {
    match question {
        Question::Change(proposal) => Ok(admin.carry_out(actor, *proposal).await?.text),
        Question::Each(proposal) => {
            // The last text has all results.
            let (results, _) = mpsc::channel(1);
            Ok(admin.carry_out_series(actor, proposal, results).await?.text())
        }
        Question::Store(_) => unreachable!("a browser is not asked about data"),
    }
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
    let said = |status, text| shared.notices.said(&headers, status, &plugin, text);
    let question = match admin.confirm(&asked(&shared, &yes.question, &plugin, &headers)) {
        Ok(question @ (Question::Change(_) | Question::Each(_))) => question,
        none => {
            let text = match none {
                Err(Unasked::TooLate) => TOO_LATE,
                Ok(_) | Err(Unasked::Unknown) => {
                    "No such question waits here: it was answered already, or it is about another plugin. Ask again."
                }
            };
            return said(StatusCode::GONE, text.to_owned());
        }
    };
    // In its own task, so that a browser that disconnects does not stop it halfway.
    let done = tokio::spawn(async move { carry_out(&admin, &actor(&client), question).await }).await;
    match done {
        Ok(Ok(text)) => said(StatusCode::OK, text),
        Ok(Err(refusal)) => said(status_of(&refusal), refusal.to_string()),
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
