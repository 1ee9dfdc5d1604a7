//! The terminal as a chat: each input line is a message of one configured user, each answer a line of output.
//!
//! A pipe works the same. At the end of its input the console waits for the answers still due, and ends. A thread of
//! its own writes the answers, so a reader that stalls stops only this console.

use super::{ConnectError, Connector, Ending};
use crate::{
    event::{ConnectorId, Form, Identity, MAX_LINE, Outgoing, Place, User},
    metrics::{Metrics, traffic::Traffic},
    router::{Routed, Router},
    speech::Speech,
};
use rosey_wire::effect::Style;
use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Most answers that may be due at a time; with that many due the console reads no further line.
const DUE: usize = 1024;

/// Time for the answers that are due when the host stops. A terminal or a pipe that is not read would take for ever.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// The running console.
#[derive(Debug)]
pub struct Console {
    id: ConnectorId,
    phase: watch::Sender<bool>,
    /// `None` after its end was reported.
    task: Option<JoinHandle<io::Result<()>>>,
}

impl Console {
    /// Reads standard input and writes standard output, on the current runtime. Takes the first line when the plugins
    /// are up.
    pub fn start(user: &str, router: Arc<Router>, metrics: &Metrics, speech: &Speech) -> Self {
        let id = ConnectorId::from("console");
        metrics.connector(&id, true);
        let (phase, mut phases) = watch::channel(false);
        let (user, traffic) = (user.to_owned(), metrics.traffic(&id));
        let (outgoing, answers) = mpsc::channel(DUE);
        speech.serve(&id, outgoing.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = router.wait_until_started() => {}
                () = stopped(&mut phases) => return Ok(()),
            }
            let until = stopped(&mut phases);
            run(&user, router, &traffic, tokio::io::stdin(), io::stdout(), (outgoing, answers), until).await
        });
        Self { id, phase, task: Some(task) }
    }
}

/// Waits until the console takes no more commands.
async fn stopped(phases: &mut watch::Receiver<bool>) {
    // An error means that the console was dropped.
    let _ = phases.wait_for(|draining| *draining).await;
}

impl Connector for Console {
    fn id(&self) -> &ConnectorId {
        &self.id
    }

    fn stop_accepting(&self) {
        self.phase.send_replace(true);
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(async {
            let Some(task) = &mut self.task else { return Ok(()) };
            // A panic was reported where it happened.
            let result = task.await.unwrap_or(Ok(()));
            self.task = None;
            result.map_err(ConnectError::Console)
        })
    }

    fn finish(mut self: Box<Self>) -> Ending<'static> {
        self.stop_accepting();
        Box::pin(async move {
            let finished = tokio::time::timeout(FINISH_WITHIN, self.ended()).await;
            finished.unwrap_or_else(|_| {
                tracing::warn!("the console does not take the answers that are due; they are lost");
                Ok(())
            })
        })
    }
}

/// Reads lines and writes answers until the end of input or of `until`, and then until the last answer due is written.
/// A line over [`MAX_LINE`] gets an answer and is not used. Cancelled, a write that is under way goes on.
///
/// # Errors
///
/// The answers cannot be written.
pub async fn run(
    user: &str,
    router: Arc<Router>,
    traffic: &Traffic,
    input: impl AsyncRead + Unpin,
    output: impl Write + Send + 'static,
    (outgoing, answers): (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>),
    until: impl Future<Output = ()>,
) -> io::Result<()> {
    let user = Arc::new(User { name: user.to_owned(), identity: Identity::Console });
    let place = Arc::new(Place::new("console", "terminal"));
    let shown = Arc::clone(&router);
    let lines = async move {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        while read_line(&mut input, &mut line).await? {
            traffic.received();
            let text = String::from_utf8_lossy(&line);
            let problem = if text.len() > MAX_LINE {
                Some(format!("That line is too long: {MAX_LINE} bytes are the limit."))
            } else {
                let mut routed = router.route(text.trim(), &user, &place, &outgoing).await;
                // The pipe or the terminal keeps the following lines.
                let mut changes = (routed == Routed::Unknown).then(|| router.commands_changed());
                while let (Routed::Unknown, Some(changes)) = (routed, &mut changes) {
                    routed = router.route(text.trim(), &user, &place, &outgoing).await;
                    if routed == Routed::Unknown && !changes.wait().await {
                        break;
                    }
                }
                match routed {
                    Routed::Unknown => Some(router.unknown(&text, &place)),
                    Routed::Taken | Routed::Chat | Routed::Closed => None,
                }
            };
            if let Some(text) = problem {
                let answer = Outgoing::answer(Arc::clone(&place), Arc::clone(&user), text);
                if outgoing.send(answer).await.is_err() {
                    break;
                }
            }
        }
        Ok(())
    };
    // In both cases the sender of answers is dropped here, so the answers due now are the last.
    let reading = async {
        tokio::select! {
            result = lines => result,
            () = until => Ok(()),
        }
    };
    let (written, writer) = writer(output)?;
    let writing = async move {
        say(answers, written, &shown, traffic).await;
        writer.await.unwrap_or(Ok(()))
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}

/// Lines to write, and who waits until they are written.
type Written = (String, Vec<oneshot::Sender<()>>);

/// Passes texts to the writer, in batches, until there are no more or it has ended.
async fn say(
    mut answers: mpsc::Receiver<Outgoing>,
    written: mpsc::Sender<Written>,
    router: &Router,
    traffic: &Traffic,
) {
    let mut batch = Vec::with_capacity(DUE);
    while answers.recv_many(&mut batch, DUE).await > 0 {
        let (mut lines, mut receipts) = (String::new(), Vec::new());
        for Outgoing { place, text, form, receipt, .. } in batch.drain(..) {
            let Some(text) = text else { continue };
            if form == Form::Line(Style::Action) {
                lines.push_str("* ");
            }
            lines.push_str(&printable(&router.shown(text, &place)));
            lines.push('\n');
            traffic.sent();
            receipts.extend(receipt);
        }
        if written.send((lines, receipts)).await.is_err() {
            return;
        }
    }
}

/// Starts a thread that writes its texts, one batch at a time, and reports the result at its end.
fn writer(
    mut output: impl Write + Send + 'static,
) -> io::Result<(mpsc::Sender<Written>, oneshot::Receiver<io::Result<()>>)> {
    // One batch waits while one is written. Answers wait behind it, and the reader behind the answers.
    let (lines, mut waiting) = mpsc::channel::<Written>(1);
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("rosey-console".to_owned()).spawn(move || {
        let mut write = || {
            while let Some((lines, receipts)) = waiting.blocking_recv() {
                output.write_all(lines.as_bytes())?;
                output.flush()?;
                for receipt in receipts {
                    // Fails when the speech has ended.
                    let _ = receipt.send(());
                }
            }
            Ok(())
        };
        // Fails when the console was dropped.
        let _ = end.send(write());
    })?;
    Ok((lines, ended))
}

/// Reads to the end of the line. Keeps only a part of a line that is far too long, enough to detect it. False at the
/// end of input.
async fn read_line(input: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |end| end + 1);
        let room = (2 * MAX_LINE).saturating_sub(line.len());
        line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len()).min(room)]);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// An answer for a terminal: no control characters but line breaks.
fn printable(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}
