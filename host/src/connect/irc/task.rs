//! The task that owns the socket: it carries out what `session` and `outbox` decide.

use super::{
    ConnectorPhase,
    config::Settings,
    connection_event::ConnectionEvent,
    flood::{Backoff, People, Verdict},
    frame::Frames,
    message::{LINE, decoded},
    outbox::Outbox,
    session::{Effect, Inbound, Occurred, Session},
    split::head,
    tls,
};
use crate::{
    event::{MAX_LINE, Outgoing, Place, User, What},
    metrics::{
        Metrics,
        traffic::{Dropped, Traffic},
    },
    router::{Routed, Router},
};
use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

/// Most answers due at a time: with a line a second and some lines each, as many as can be sent before they are too
/// old.
pub(super) const DUE: usize = 32;

/// Most messages that wait for the router, which waits for room for their answers. Chat without a command takes no
/// room.
const HEARD: usize = 256;

/// Most lines that wait for the socket. All but a few are for lines that cannot wait: `PONG`, and the login.
const WIRE: usize = 64;

/// Lines of [`WIRE`] that answers leave free.
const SPARE: usize = 56;

/// Time for the look-up of the server's name, for the connection, and for TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Time for the answers that are due when the bot stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Time for the server to close the connection after `QUIT`.
const GOODBYE: Duration = Duration::from_secs(2);

/// Most bytes of one read.
const CHUNK: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Keeps a connection up until the bot leaves.
pub async fn run(
    settings: Settings,
    tls: Option<TlsConnector>,
    router: Arc<Router>,
    metrics: Metrics,
    phase: watch::Receiver<ConnectorPhase>,
    (outgoing, answers): (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>),
) {
    let (heard, queue) = mpsc::channel(HEARD);
    let routing = tokio::spawn(route(Arc::clone(&router), queue, outgoing));
    let now = Instant::now();
    let settings = Arc::new(settings);
    let task = Task {
        outbox: Outbox::new(settings.burst, settings.line_interval, settings.max_lines, now),
        people: People::new(settings.user_commands, settings.user_window),
        traffic: metrics.traffic(&settings.id),
        settings,
        tls,
        router,
        metrics,
        phase,
        heard: Some(heard),
        is_nowhere: false,
        is_busy: false,
        answers: Some(answers),
    };
    task.keep_up().await;
    // The rest of it would answer a connection that is gone.
    routing.abort();
}

/// Passes messages to the router, in their order, until there are no more.
async fn route(router: Arc<Router>, mut queue: mpsc::Receiver<(Heard, bool)>, outgoing: mpsc::Sender<Outgoing>) {
    router.wait_until_started().await;
    while let Some((heard, is_query)) = queue.recv().await {
        let line = match heard.content {
            Content::Line(line) => line,
            Content::Other(what) => {
                router.occur(&what, &heard.user, &heard.place, &outgoing).await;
                continue;
            }
        };
        let routed = router.route(&line, &heard.user, &heard.place, &outgoing).await;
        // In a channel the command may be for another bot.
        if routed == Routed::Unknown && is_query {
            // Fails only when the connection's task has ended.
            let text = router.unknown(&line, &heard.place);
            let _ = outgoing.send(Outgoing::answer(heard.place, heard.user, text)).await;
        }
    }
}

/// A message or an occurrence on its way to the router.
struct Heard {
    content: Content,
    user: Arc<User>,
    place: Arc<Place>,
}

/// A line of a person, or another occurrence.
enum Content {
    Line(String),
    Other(What),
}

/// The state that outlives a connection.
struct Task {
    settings: Arc<Settings>,
    tls: Option<TlsConnector>,
    router: Arc<Router>,
    metrics: Metrics,
    traffic: Arc<Traffic>,
    phase: watch::Receiver<ConnectorPhase>,
    outbox: Outbox,
    people: People,
    /// `None` when the bot takes no more commands.
    heard: Option<mpsc::Sender<(Heard, bool)>>,
    /// Whether it was reported that the bot is in none of its channels.
    is_nowhere: bool,
    /// Whether it was reported that commands are dropped, until the next one is taken.
    is_busy: bool,
    /// `None` when all answers have come.
    answers: Option<mpsc::Receiver<Outgoing>>,
}

/// How a connection ended.
struct End {
    why: String,
    lasted: Duration,
}

impl Task {
    async fn keep_up(mut self) {
        let mut backoff = Backoff::default();
        while let Some(connected) = self.meanwhile(connect(Arc::clone(&self.settings), self.tls.clone())).await {
            let end = match connected {
                Ok(stream) => self.talk(stream).await,
                Err(error) => {
                    let (server, port) = (&self.settings.server, self.settings.port);
                    End { why: format!("cannot connect to {server}:{port}: {error}"), lasted: Duration::ZERO }
                }
            };
            if self.is_leaving() {
                break;
            }
            let after = backoff.next(end.lasted, fastrand::f64());
            ConnectionEvent::Lost { why: end.why, after }.report(&self.settings.id, &self.metrics);
            self.outbox.disconnected();
            if self.meanwhile(sleep_until((Instant::now() + after).into())).await.is_none() {
                break;
            }
        }
        let left = self.outbox.len() + self.answers.as_mut().map_or(0, drain);
        self.too_late(left);
        self.metrics.connector(&self.settings.id, false);
    }

    /// Waits for a future without a connection. `None` when the bot leaves first; then `what` is cancelled.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        loop {
            if self.is_leaving() {
                return None;
            }
            self.stop_accepting_if_draining();
            let now = Instant::now();
            let wake = self.outbox.wake(None, now).unwrap_or(now + FAREWELL);
            tokio::select! {
                done = &mut what => return Some(done),
                answer = next(&mut self.answers), if self.outbox.wants(None) => self.take(answer),
                () = sleep_until(wake.into()) => self.expire(),
                Ok(()) = self.phase.changed() => {}
            }
        }
    }

    /// One connection from its first line to its last.
    async fn talk(&mut self, stream: Box<dyn Stream>) -> End {
        let (mut read, write) = tokio::io::split(stream);
        let (lines, queue) = mpsc::channel(WIRE);
        let mut writing = pin!(write_lines(write, queue));
        let (began, mut frames, mut chunk) = (Instant::now(), Frames::default(), vec![0; CHUNK]);
        let (session, effects) = Session::begin(Arc::clone(&self.settings), began);
        let mut link = Link { session, lines, gone: None, leave_by: None, gone_by: None };
        self.apply(&mut link, effects);
        loop {
            self.stop_accepting_if_draining();
            self.speak(&mut link);
            self.leave(&mut link);
            if let Some(why) = link.gone {
                // The system has the last lines already, or the server does not read them.
                let lasted = if link.session.is_registered() { began.elapsed() } else { Duration::ZERO };
                return End { why, lasted };
            }
            // While the socket takes nothing, the outbox need not be woken by time.
            let is_full = link.lines.capacity() <= SPARE;
            let speak_at = if is_full { None } else { self.outbox.wake(Some(&link.session), Instant::now()) };
            let times = [speak_at, link.leave_by, link.gone_by];
            let wake = times.into_iter().flatten().fold(link.session.wake(), Instant::min);
            tokio::select! {
                read = read.read(&mut chunk) => match read {
                    Ok(0) => link.gone("the server hung up"),
                    Ok(bytes) => self.receive(&mut link, &mut frames, &chunk[..bytes]),
                    Err(error) => link.gone(&format!("the connection broke: {error}")),
                },
                answer = next(&mut self.answers), if self.outbox.wants(Some(&link.session)) => self.take(answer),
                () = sleep_until(wake.into()) => {
                    self.expire();
                    let effects = link.session.tick(Instant::now());
                    self.apply(&mut link, effects);
                }
                Err(error) = &mut writing => link.gone(&format!("the connection broke: {error}")),
                () = has_room(&link.lines), if is_full => {}
                Ok(()) = self.phase.changed() => {}
            }
        }
    }

    fn receive(&mut self, link: &mut Link, frames: &mut Frames, bytes: &[u8]) {
        let now = Instant::now();
        frames.feed(bytes, |line| match line {
            Some(line) => {
                let effects = link.session.line(&decoded(line), now);
                self.apply(link, effects);
            }
            None => self.traffic.dropped(Dropped::Malformed, 1),
        });
    }

    fn apply(&mut self, link: &mut Link, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Urgent(line) => {
                    // Servers do not count the lines of the login.
                    if link.session.is_registered() {
                        self.outbox.hurried(Instant::now());
                    }
                    link.send(&line);
                }
                Effect::Send(line) => self.outbox.push_own(line),
                Effect::Inbound(inbound) => self.inbound(inbound),
                Effect::Occurred(occurred) => self.occurred(occurred),
                Effect::Report(event) => event.report(&self.settings.id, &self.metrics),
                Effect::Close(why) => link.gone(&why),
            }
        }
        let is_nowhere = link.session.is_nowhere();
        if is_nowhere != std::mem::replace(&mut self.is_nowhere, is_nowhere) {
            self.metrics.connector_nowhere(&self.settings.id, is_nowhere);
        }
    }

    /// Sends the lines that may be sent now.
    fn speak(&mut self, link: &mut Link) {
        while link.gone_by.is_none() && link.lines.capacity() > SPARE {
            let Some(next) = self.outbox.next(&link.session, Instant::now()) else { break };
            if next.is_answer {
                self.traffic.sent();
            }
            if next.cut {
                self.traffic.dropped(Dropped::Cut, 1);
            }
            link.send(&next.line);
            if let Some(receipt) = next.receipt {
                // Fails when the line was taken back meanwhile.
                let _ = receipt.send(());
            }
        }
    }

    /// Says goodbye when no answer is due any more, or the time is over.
    fn leave(&mut self, link: &mut Link) {
        let now = Instant::now();
        if !self.is_leaving() || link.gone.is_some() {
            return;
        }
        let leave_by = *link.leave_by.get_or_insert(now + FAREWELL);
        match link.gone_by {
            Some(gone_by) if gone_by <= now => link.gone("goodbye"),
            Some(_) => {}
            None if !link.session.is_registered() => link.gone("goodbye"),
            None if (self.answers.is_none() && self.outbox.is_empty()) || leave_by <= now => {
                (link.leave_by, link.gone_by) = (None, Some(now + GOODBYE));
                link.send("QUIT :Rosey is stopping");
            }
            None => {}
        }
    }

    /// Passes a message to the router, unless there are too many.
    fn inbound(&mut self, inbound: Inbound) {
        self.traffic.received();
        // A real server's lines are far shorter.
        if inbound.text.len() > MAX_LINE {
            return self.traffic.dropped(Dropped::Malformed, 1);
        }
        let Some(heard) = &self.heard else { return };
        let place = Arc::new(Place::new(&self.settings.id, inbound.place));
        let user = Arc::new(User { name: inbound.nick, identity: inbound.identity });
        let is_command = self.router.is_command(&inbound.text, &place);
        let verdict = if is_command { self.people.says(&inbound.host, Instant::now()) } else { Verdict::Fine };
        if verdict != Verdict::Fine {
            self.traffic.dropped(Dropped::Flood, 1);
            if verdict == Verdict::Told && self.outbox.wants(None) {
                ConnectionEvent::Flood { who: user.name.clone() }.report(&self.settings.id, &self.metrics);
                let seconds = self.settings.user_window.as_secs_f32().ceil();
                let text = format!("That is more than I can take; try again in {seconds} s.");
                self.outbox.push(Outgoing::answer(place, user, text), Instant::now());
            }
            return;
        }
        if heard.try_send((Heard { content: Content::Line(inbound.text), user, place }, inbound.is_query)).is_ok() {
            self.is_busy = false;
        } else if is_command {
            self.traffic.dropped(Dropped::Busy, 1);
            if !std::mem::replace(&mut self.is_busy, true) {
                ConnectionEvent::Busy.report(&self.settings.id, &self.metrics);
            }
        }
    }

    /// Passes another occurrence to the router, if any plugin hears it.
    fn occurred(&mut self, occurred: Occurred) {
        let Some(heard) = self.heard.as_ref().filter(|_| self.router.hears(occurred.what.kind())) else { return };
        let place = Arc::new(Place::new(&self.settings.id, occurred.place));
        let user = Arc::new(User { name: occurred.nick, identity: occurred.identity });
        if heard.try_send((Heard { content: Content::Other(occurred.what), user, place }, false)).is_err() {
            self.traffic.dropped(Dropped::Busy, 1);
        }
    }

    fn take(&mut self, answer: Option<Outgoing>) {
        match answer {
            Some(mut answer) => {
                answer.text = answer.text.map(|text| self.router.shown(text, &answer.place));
                self.outbox.push(answer, Instant::now());
            }
            None => self.answers = None,
        }
    }

    fn expire(&mut self) {
        let answers = self.outbox.expire(Instant::now());
        self.too_late(answers);
    }

    fn too_late(&self, answers: usize) {
        if answers > 0 {
            self.traffic.dropped(Dropped::Late, answers);
            ConnectionEvent::Late { answers }.report(&self.settings.id, &self.metrics);
        }
    }

    fn stop_accepting_if_draining(&mut self) {
        if *self.phase.borrow_and_update() >= ConnectorPhase::Draining {
            self.heard = None;
        }
    }

    /// True also when the handle was dropped.
    fn is_leaving(&self) -> bool {
        *self.phase.borrow() == ConnectorPhase::Leaving || self.phase.has_changed().is_err()
    }
}

/// A connection.
struct Link {
    session: Session,
    lines: mpsc::Sender<Vec<u8>>,
    /// The reason for its end, once it has ended.
    gone: Option<String>,
    /// The time at which the bot says goodbye, even with answers due.
    leave_by: Option<Instant>,
    /// The time at which the bot closes the connection, if the server has not.
    gone_by: Option<Instant>,
}

impl Link {
    /// Records the end; the first reason counts.
    fn gone(&mut self, why: &str) {
        self.gone.get_or_insert_with(|| why.to_owned());
    }

    /// Passes a line to the socket, always as one line.
    fn send(&mut self, line: &str) {
        let line: String = line.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
        let line = format!("{}\r\n", head(&line, LINE - "\r\n".len()));
        if self.lines.try_send(line.into_bytes()).is_err() {
            self.gone("the server does not read what it is sent");
        }
    }
}

/// Waits until the socket has taken enough that answers may be sent again.
async fn has_room(lines: &mpsc::Sender<Vec<u8>>) {
    // The room is given back: only the wait matters. It fails when the writer has ended, which is noticed elsewhere.
    drop(lines.reserve_many(SPARE + 1).await);
}

/// The next answer; `None` at once, and for ever, when all have come.
async fn next(answers: &mut Option<mpsc::Receiver<Outgoing>>) -> Option<Outgoing> {
    match answers {
        Some(answers) => answers.recv().await,
        None => std::future::pending().await,
    }
}

/// Counts the answers that can no longer be sent, and closes their queue.
fn drain(answers: &mut mpsc::Receiver<Outgoing>) -> usize {
    answers.close();
    std::iter::from_fn(|| answers.try_recv().ok()).filter(|answer| answer.text.is_some()).count()
}

/// Writes lines until there are no more.
async fn write_lines(mut write: WriteHalf<Box<dyn Stream>>, mut lines: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(WIRE);
    while lines.recv_many(&mut batch, WIRE).await > 0 {
        write.write_all(&batch.concat()).await?;
        write.flush().await?;
        batch.clear();
    }
    write.shutdown().await
}

/// Looks up the server's name again, and connects.
async fn connect(settings: Arc<Settings>, tls: Option<TlsConnector>) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = TcpStream::connect((settings.server.as_str(), settings.port)).await?;
        stream.set_nodelay(true)?;
        Ok(match &tls {
            Some(tls) => Box::new(tls::handshake(tls, &settings, stream).await?) as Box<dyn Stream>,
            None => Box::new(stream),
        })
    };
    match timeout(CONNECT_WITHIN, connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            let advice = if tls.is_some() { "; does this port speak TLS?" } else { "" };
            Err(io::Error::other(format!("no answer within {} s{advice}", CONNECT_WITHIN.as_secs())))
        }
    }
}
