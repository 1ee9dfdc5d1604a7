//! `rosey store import` and `delete` on the control socket.

use super::{Client, PATIENCE, Response, StoreRequest};
use crate::{
    admin::{Actor, Admin, Refusal, confirm::Question, store_change::StoreProposal},
    commit::Import,
};
use std::{io, sync::Arc};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};

/// Longest line in bytes: a key whose value JSON escapes letter by letter.
const MAX_LINE: u64 = 2 << 20;

/// Most bytes of all lines, including those after a line that was refused: the host reads them too, because the client
/// reads the reason only after its last line.
const MAX_LINES: u64 = 4 << 30;

impl Client {
    /// Carries out a request to change the data of a plugin.
    pub(super) async fn store(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        plugin: &str,
        request: StoreRequest,
    ) -> io::Result<Result<Response, Refusal>> {
        let proposal = match request {
            StoreRequest::Import => {
                let quota = match admin.may_import(actor, plugin).await {
                    Ok(quota) => quota,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                self.tell(&Response::Send).await?;
                let import = self.lines(Import::new(plugin, quota)).await?;
                admin.propose_import(actor, plugin, import).await
            }
            StoreRequest::Delete { prefix } => admin.propose_delete(actor, plugin, &prefix).await,
        };
        match proposal {
            Ok(proposal) => self.confirm_store(admin, actor, plugin, proposal).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn confirm_store(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        plugin: &str,
        proposal: StoreProposal,
    ) -> io::Result<Result<Response, Refusal>> {
        let left = format!("the store of {plugin}");
        let proposal = match self.confirmed(admin, actor, Question::Store(proposal), &left).await? {
            Ok(Question::Store(proposal)) => proposal,
            Ok(_) => unreachable!("a client is asked one question at a time"),
            Err(response) => return Ok(Ok(response)),
        };
        let working = format!("Changing the data of {plugin} …");
        let done = self.during(admin.change_store(actor, proposal), admin, plugin, Some(&working)).await?;
        Ok(done.map(|(text, usage)| {
            let data = serde_json::json!({ "plugin": plugin, "keys": usage.keys, "bytes": usage.bytes, "text": text });
            Response::Done { text, data }
        }))
    }

    /// Reads the lines of an export up to an empty line. A mistake in a line is reported after the last.
    async fn lines(&mut self, mut import: Import) -> io::Result<Result<Import, String>> {
        let (mut wrong, mut left, mut line) = (None, MAX_LINES, Vec::new());
        loop {
            line.clear();
            let mut limited = (&mut self.stream).take(MAX_LINE.min(left));
            let read = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
            left -= read as u64;
            if line == b"\n" {
                break;
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if wrong.is_none() {
                wrong = match (line.strip_suffix(b"\n"), std::str::from_utf8(&line)) {
                    (None, _) => Some(format!("a line is longer than {MAX_LINE} bytes")),
                    (_, Err(_)) => Some("the file is not UTF-8".to_owned()),
                    (Some(_), Ok(text)) => import.line(text.trim_end()).err(),
                };
            }
        }
        Ok(match wrong {
            Some(wrong) => Err(wrong),
            None => import.finish(),
        })
    }
}
