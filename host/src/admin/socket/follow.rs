//! `rosey admin logs [PLUGIN] --follow`: the last lines of a plugin or of all, and then each new one until the client goes.

use super::{Client, Response};
use crate::admin::{
    Actor, Admin, Query, Refusal,
    grammar::{self, ParsedLine, Surface},
    show::{log_data, log_line},
};
use std::io;
use tokio::{io::AsyncBufReadExt, sync::broadcast::error::RecvError};

impl Client {
    /// Follows the log of the plugin that the line names, or of all plugins. Ends when the client does.
    pub(super) async fn follow(
        &mut self,
        admin: &Admin,
        actor: &Actor,
        line: &str,
    ) -> io::Result<Result<Response, Refusal>> {
        let ParsedLine::Query(Query::Logs, plugin) = grammar::command(line, Surface::Shell) else {
            let text = "--follow goes with logs: rosey admin logs --follow, or logs PLUGIN --follow".to_owned();
            return Ok(Err(Refusal::Unclear(text)));
        };
        let mut lines = admin.plugins.journal().follow();
        let before = match admin.query(actor, Query::Logs, plugin.as_deref()).await {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.tell(&Response::Lines(before.text)).await?;
        let mut shown = before.data["lines"].as_array().cloned().unwrap_or_default();
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                // It sends nothing more, so this is its end.
                _ = self.stream.fill_buf() => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            let text = match line {
                Ok(line) if plugin.as_ref().is_none_or(|plugin| **plugin == *line.plugin) => {
                    // A line that came between the two questions was shown already.
                    if shown.contains(&log_data(&line, plugin.is_none())) {
                        continue;
                    }
                    shown.clear();
                    log_line(&line, plugin.is_none(), usize::MAX)
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(missed)) => format!("{missed} lines are left out here"),
                Err(RecvError::Closed) => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.tell(&Response::Lines(text)).await?;
        }
    }
}
