//! The spare: one shim that has proved itself and waits, so that the next start needs no new process.
//!
//! The host makes it when no start is under way, and gives it to the plugin that starts next. One spare is enough:
//! starts at the same time wait for processors anyway.

use crate::process::launch::{Launcher, Shim};
use crate::process::spawn::Exit;
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Starts that may ask for the spare at a time; further ones wait.
const CLAIMS: usize = 64;

/// Time for a spare to prove itself. No start waits for it, and a slower shim would be of no use.
const LAUNCH_WITHIN: Duration = Duration::from_secs(10);

type Claim = oneshot::Sender<Option<Shim>>;

/// Access to the spare.
#[derive(Debug)]
pub struct Spare {
    claims: mpsc::Sender<Claim>,
    starts: Arc<Starts>,
}

/// The starts under way.
#[derive(Debug, Default)]
struct Starts {
    count: AtomicUsize,
    none: Notify,
}

/// A start under way, until dropped.
#[derive(Debug)]
pub struct StartGuard(Arc<Starts>);

impl Drop for StartGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.none.notify_one();
        }
    }
}

impl Spare {
    /// Keeps a spare on the current runtime, from the end of the first start on, until this is dropped.
    pub fn keep(launcher: Arc<Launcher>) -> Self {
        let (claims, claimed) = mpsc::channel(CLAIMS);
        let starts = Arc::<Starts>::default();
        tokio::spawn(keep(launcher, claimed, Arc::clone(&starts)));
        Self { claims, starts }
    }

    /// Says that a start begins. The host makes no new spare before all starts have ended.
    pub fn start(&self) -> StartGuard {
        self.starts.count.fetch_add(1, Ordering::Relaxed);
        StartGuard(Arc::clone(&self.starts))
    }

    /// The spare, if there is one. Waits for one that is being made, because that takes less time than a new one.
    /// Cancellation leaves it as the spare.
    pub async fn claim(&self) -> Option<Shim> {
        let (answer, answered) = oneshot::channel();
        self.claims.send(answer).await.ok()?;
        answered.await.ok().flatten()
    }
}

async fn keep(launcher: Arc<Launcher>, mut claims: mpsc::Receiver<Claim>, starts: Arc<Starts>) {
    let mut spare: Option<Shim> = None;
    loop {
        tokio::select! {
            claim = claims.recv() => {
                let Some(claim) = claim else { return };
                if let Err(unclaimed) = claim.send(spare.take()) {
                    spare = unclaimed;
                }
            }
            exit = ended(&mut spare) => {
                tracing::info!("the spare shim ended: {exit}");
                spare = None;
            }
            () = starts.none.notified(), if spare.is_none() => {
                // The task that waited for that start runs first.
                tokio::task::yield_now().await;
                if starts.count.load(Ordering::Relaxed) == 0 {
                    spare = launch(&launcher).await;
                }
            }
        }
    }
}

async fn ended(spare: &mut Option<Shim>) -> Exit {
    match spare {
        Some(shim) => shim.process.exited().await,
        None => pending().await,
    }
}

/// Does not report a failure: the next start meets it too, and knows which plugin to report it for.
async fn launch(launcher: &Launcher) -> Option<Shim> {
    match tokio::time::timeout(LAUNCH_WITHIN, launcher.launch()).await {
        Ok(Ok(shim)) => Some(shim),
        Ok(Err(error)) => {
            tracing::debug!("there is no spare shim: {error}");
            None
        }
        Err(_) => None,
    }
}
