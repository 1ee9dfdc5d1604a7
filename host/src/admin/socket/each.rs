//! Changes of several plugins on the control socket. Each result is sent as progress as soon as it is there.

use super::{ALIVE, Client, Response};
use crate::admin::{
    Actor, Admin, Refusal,
    confirm::Question,
    series::{RESULTS, Series},
};
use std::{io, pin::pin, sync::Arc};
use tokio::sync::mpsc;

impl Client {
    /// Carries out a request that changes several plugins.
    pub(super) async fn each(
        &mut self,
        admin: &Arc<Admin>,
        actor: &Actor,
        series: Series,
    ) -> io::Result<Result<Response, Refusal>> {
        let looking = "Looking at the plugins …";
        let proposal = match self.during(admin.propose_series(actor, series), admin, "", Some(looking)).await? {
            Ok(proposal) => proposal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let proposal = match self.confirmed(admin, actor, Question::Each(proposal), series.words()).await? {
            Ok(Question::Each(proposal)) => proposal,
            Ok(_) => unreachable!("a client is asked one question at a time"),
            Err(response) => return Ok(Ok(response)),
        };
        self.tell(&Response::Progress(proposal.progress().to_owned())).await?;
        let (results, mut told) = mpsc::channel(RESULTS);
        let mut done = pin!(admin.carry_out_series(actor, proposal, results));
        let done = loop {
            tokio::select! {
                biased;
                Some(text) = told.recv() => self.tell(&Response::Progress(text)).await?,
                done = &mut done => break done,
                () = tokio::time::sleep(ALIVE) => self.tell(&Response::Progress("Still working …".to_owned())).await?,
            }
        };
        Ok(done.map(|done| Response::Done { text: done.text(), data: done.data(series) }))
    }
}
