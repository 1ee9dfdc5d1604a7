//! A plugin that misbehaves: one command for each misdeed, and one `VARIANT` for each bad build.
#![cfg_attr(test, allow(dead_code, reason = "there are no unit tests, and #[plugin] exports nothing to them"))]
#![expect(clippy::disallowed_methods, reason = "it is late on purpose")]

mod acts;
mod flood;

use plugin_api::{event::Timer, prelude::*};
use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

/// The variant of this build. The harness writes another name over these bytes, and so makes another library without a
/// compiler. It finds them by the mark at their beginning.
static VARIANT: [u8; 48] = *b"ROSEY-TEST-VARIANT=good                         ";

fn variant() -> &'static str {
    let text = std::str::from_utf8(black_box(&VARIANT)).unwrap_or_default();
    text.split_once('=').map_or("", |(_, name)| name.trim_end())
}

#[derive(Default)]
struct Misbehave {
    count: AtomicU64,
    leaked: Mutex<Vec<Vec<u8>>>,
}

fn block_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

#[plugin(probe = "echo probe", state_version = 1)]
impl Misbehave {
    #[create]
    fn new(_settings: Settings) -> Result<Self> {
        match variant() {
            "create-refuses" => Err(Error::internal("the moon is not full")),
            "create-panics" => panic!("create panics"),
            "create-hangs" => block_for_ever(),
            "create-exits" => std::process::exit(7),
            "create-aborts" => {
                eprintln!("no moon at all");
                std::process::abort()
            }
            _ => Ok(Self::default()),
        }
    }

    #[command]
    fn echo(&self, cx: &Context, text: Rest) -> Result<Reply> {
        match variant() {
            "probe-fails" if cx.is_probe() => Err(Error::internal("the probe finds nothing")),
            "probe-hangs" if cx.is_probe() => block_for_ever(),
            "probe-crashes" if cx.is_probe() => {
                eprintln!("the probe is too much for me");
                std::process::abort()
            }
            "probe-is-silent" if cx.is_probe() => Ok(Reply::none()),
            "echo-crashes" if !cx.is_probe() => std::process::abort(),
            "echo-fails" if !cx.is_probe() => Err(Error::internal("every one of them")),
            _ => Ok(Reply::text(text.to_string())),
        }
    }

    /// The variant that answers.
    #[command]
    fn variant(&self, _cx: &Context) -> String {
        variant().to_owned()
    }

    /// The process that answers.
    #[command]
    fn pid(&self, _cx: &Context) -> String {
        std::process::id().to_string()
    }

    /// Counts up: the state that a handoff moves.
    #[command]
    fn count(&self, _cx: &Context) -> String {
        (self.count.fetch_add(1, SeqCst) + 1).to_string()
    }

    /// Answers later, without blocking.
    #[command]
    async fn later(&self, _cx: &Context, millis: u64, text: Rest) -> String {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        text.to_string()
    }

    /// As `!later`, but no other answer waits for it.
    #[command(order = "none")]
    async fn lookup(&self, _cx: &Context, millis: u64, text: Rest) -> String {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        text.to_string()
    }

    /// As `!later`, in the order of the whole channel.
    #[command(order = "channel")]
    async fn guess(&self, _cx: &Context, millis: u64, text: Rest) -> String {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        text.to_string()
    }

    #[command]
    fn panic(&self, _cx: &Context) -> String {
        panic!("this handler panics");
    }

    #[command]
    fn fail(&self, _cx: &Context) -> Result<String> {
        Err(Error::internal("this handler fails"))
    }

    #[command]
    fn abort(&self, _cx: &Context) -> String {
        if variant() == "abort-mended" {
            return "mended".to_owned();
        }
        eprintln!("about to abort");
        std::process::abort()
    }

    #[command]
    fn exit(&self, _cx: &Context, code: u8) -> String {
        std::process::exit(code.into())
    }

    #[command]
    fn overflow(&self, _cx: &Context) -> String {
        fn deeper(depth: u64) -> u64 {
            if black_box(depth) == u64::MAX { 0 } else { deeper(depth + 1) + black_box(1) }
        }
        deeper(0).to_string()
    }

    /// Panics on a thread of its own, which must not hurt.
    #[command]
    fn elsewhere(&self, _cx: &Context) -> &'static str {
        let joined = std::thread::spawn(|| panic!("on another thread")).join();
        if joined.is_err() { "it panicked" } else { "it did not" }
    }

    #[command]
    fn hang(&self, _cx: &Context) -> String {
        block_for_ever()
    }

    /// Blocks the thread of all handlers that wait.
    #[command]
    async fn stall(&self, _cx: &Context) -> String {
        tokio::time::sleep(Duration::from_millis(1)).await;
        block_for_ever()
    }

    /// Takes this much memory and does not come back.
    #[command]
    fn gobble(&self, cx: &Context, megabytes: usize) -> String {
        self.leak(cx, megabytes);
        block_for_ever()
    }

    /// More log records than anyone wants.
    #[command]
    fn chatter(&self, _cx: &Context, records: u32) -> &'static str {
        for record in 0..records {
            tracing::info!("record {record}");
        }
        "chattered"
    }

    #[command]
    fn leak(&self, _cx: &Context, megabytes: usize) -> String {
        let mut leaked = self.leaked.lock().expect("nothing panics while holding it");
        leaked.push(vec![1; megabytes << 20]);
        "leaked".to_owned()
    }

    /// Writes into every socket it finds, the one to the host among them.
    #[command]
    fn garbage(&self, _cx: &Context) -> &'static str {
        for fd in 3..64 {
            // SAFETY: only tried. The kernel refuses a number that is not open, and breaking the open ones is the
            // purpose of this command.
            let fd = unsafe { rustix::fd::BorrowedFd::borrow_raw(fd) };
            let _ = rustix::net::send(fd, &[0xee; 64], rustix::net::SendFlags::NOSIGNAL);
        }
        "garbage"
    }

    /// Runs a shell script, and answers with what it prints.
    #[command]
    fn sh(&self, _cx: &Context, script: Rest) -> Result<String> {
        let mut shell = std::process::Command::new("/bin/sh");
        let output = shell.arg("-c").arg(&*script.to_string()).stderr(std::process::Stdio::inherit()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Does one act of the catalogue, or sends frames of a kind for ever, and answers `done` or with the name of the error.
    #[command]
    fn act(&self, cx: &Context, name: String) -> Result<String> {
        if name == "hoard" {
            cx.store().put("large", &"x".repeat(60_000))?;
            return Ok("done".to_owned());
        }
        if let Some(frames) = name.strip_prefix("flood-").and_then(flood::frames) {
            if name == "flood-gets" {
                flood::send_for_ever(&frames);
            }
            std::thread::spawn(move || flood::send_for_ever(&frames));
            return Ok("done".to_owned());
        }
        let done = acts::act(&name).ok_or_else(|| Error::internal(format!("there is no act {name}")))?;
        Ok(match done {
            Ok(()) => "done".to_owned(),
            Err(error) => acts::error_name(&error),
        })
    }

    /// Connects by TCP, and answers `done` or with the name of the error.
    #[command]
    fn reach(&self, _cx: &Context, address: String) -> String {
        match std::net::TcpStream::connect(address) {
            Ok(_) => "done".to_owned(),
            Err(error) => acts::error_name(&error),
        }
    }

    /// A record for those who look for details.
    #[command]
    fn detail(&self, _cx: &Context, text: String) -> &'static str {
        tracing::debug!("{text}");
        "noted"
    }

    /// More output than anyone wants.
    #[command]
    fn shout(&self, _cx: &Context, lines: u32) -> &'static str {
        for line in 0..lines {
            eprintln!("line {line} {}", "x".repeat(200));
        }
        "shouted"
    }

    /// An answer of this many bytes.
    #[command]
    fn long(&self, _cx: &Context, bytes: usize) -> String {
        "x".repeat(bytes)
    }

    /// An answer of this many lines.
    #[command]
    fn lines(&self, _cx: &Context, count: usize) -> String {
        (1..=count).map(|line| format!("line {line}\n")).collect()
    }

    /// Counts in what is kept, without reading it.
    #[command]
    fn tally(&self, cx: &Context) -> Result<&'static str> {
        cx.store().add("tally", 1)?;
        cx.store().user().add("mine", 1)?;
        Ok("counted")
    }

    /// Counts, and then ends as told.
    #[command]
    async fn tally_then(&self, cx: &Context, how: String) -> Result<&'static str> {
        cx.store().add("tally", 1)?;
        match how.as_str() {
            "error" => Err(Error::internal("after it counted")),
            "panic" => panic!("after it counted"),
            "abort" => std::process::abort(),
            _ => Ok("counted"),
        }
    }

    /// Reads a number and keeps the next.
    #[command]
    async fn bump(&self, cx: &Context) -> Result<String> {
        let next = cx.store().get::<u32>("bump").await?.unwrap_or_default() + 1;
        cx.store().put("bump", &next)?;
        Ok(next.to_string())
    }

    /// What is kept under a key.
    #[command]
    async fn kept(&self, cx: &Context, key: String) -> Result<String> {
        let number = cx.store().get::<i64>(&key).await?;
        Ok(number.map_or_else(|| "nothing".to_owned(), |number| number.to_string()))
    }

    /// Waits for the store and for other things, in every order: one read, two at a time, a read that loses against a timer
    /// and one that wins, a timer alone, a task of its own that reads nothing.
    #[command]
    async fn waits(&self, cx: &Context) -> Result<String> {
        let store = cx.store();
        let mut sum = store.get::<i64>("one").await?.unwrap_or(1);
        let (two, three) = tokio::join!(store.get::<i64>("two"), store.get::<i64>("three"));
        sum += two?.unwrap_or(2) + three?.unwrap_or(3);
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_micros(1)) => sum += 4,
            four = store.get::<i64>("four") => sum += four?.unwrap_or(4),
        }
        sum += tokio::time::timeout(Duration::from_secs(20), store.get::<i64>("five")).await??.unwrap_or(5);
        tokio::time::sleep(Duration::from_millis(1)).await;
        sum += tokio::spawn(async {
            tokio::task::yield_now().await;
            6
        })
        .await
        .map_err(|_| Error::internal("gone"))?;
        sum += store.get::<i64>("seven").await?.unwrap_or(7);
        Ok(sum.to_string())
    }

    /// Once a minute for each person.
    #[command(cooldown = "1m")]
    fn rarely(&self, _cx: &Context) -> &'static str {
        "now"
    }

    /// Once a minute in a channel.
    #[command(channel_cooldown = "1m")]
    fn rarely_here(&self, _cx: &Context) -> &'static str {
        "here"
    }

    /// Sets a timer of this name, so many milliseconds from now.
    #[command]
    fn remind(&self, cx: &Context, millis: u64, name: String) -> Result<&'static str> {
        cx.after(Duration::from_millis(millis), &name, &())?;
        Ok("set")
    }

    /// Cancels the timer of this name.
    #[command]
    fn forget(&self, cx: &Context, name: String) -> Result<&'static str> {
        cx.cancel_timer(&name)?;
        Ok("gone")
    }

    /// The timers that are set.
    #[command]
    async fn pending(&self, cx: &Context) -> Result<String> {
        let names: Vec<_> = cx.timers().await?.into_iter().map(|timer| timer.name).collect();
        Ok(if names.is_empty() { "none".to_owned() } else { names.join(" ") })
    }

    /// Counts, and keeps how late it was, in milliseconds.
    #[timer]
    fn ring(&self, cx: &Context, timer: &Timer) -> Result<()> {
        cx.store().add(&format!("fired/{}", timer.name), 1)?;
        if !cx.channel().is_empty() {
            cx.store().channel().put(&format!("late/{}", timer.name), &(timer.late.as_millis() as u64))?;
        }
        match timer.name.as_str() {
            "fail" => Err(Error::internal("this timer fails")),
            "abort" => std::process::abort(),
            _ => Ok(()),
        }
    }

    /// For operators.
    #[command(path = "vault open", requires = "operator")]
    fn open(&self, cx: &Context, doors: Vec<u8>) -> String {
        format!("{} opens {}", cx.user(), doors.len())
    }

    /// For everyone.
    #[command(path = "vault look", aliases("l"), channel_cooldown = "1m")]
    fn look(&self, _cx: &Context) -> &'static str {
        "closed"
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        match variant() {
            "snapshot-fails" => Err(Error::internal("cannot remember")),
            "snapshot-hangs" => block_for_ever(),
            _ => Ok(self.count.load(SeqCst).to_le_bytes().to_vec()),
        }
    }

    #[restore]
    fn load(&self, _version: u32, bytes: &[u8]) -> Result<()> {
        if variant() == "restore-fails" {
            return Err(Error::internal("cannot make sense of it"));
        }
        self.count.store(u64::from_le_bytes(bytes.try_into()?), SeqCst);
        Ok(())
    }
}

/// It does nothing with them.
#[derive(Settings)]
struct Settings {
    #[setting(name = "limit")]
    _limit: Option<u32>,
    /// The answers that it gives in a row.
    #[setting(name = "most", default = 3, range = 1..=14, unit = "answers")]
    _most: u8,
    #[setting(name = "word")]
    _word: Option<Secret>,
}
