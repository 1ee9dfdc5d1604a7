//! A warm spare: one shim that has proved itself and waits, so that the next start costs no process.
//!
//! It is made when nothing else is being started, and given to whichever plugin starts next. One is enough: what starts
//! together waits for the processors anyway.

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

/// Starts that may ask at a time; more wait for each other.
const CLAIMS: usize = 64;

/// For a spare to prove itself. Nobody waits for it, and a shim that takes longer would be of no use.
const LAUNCH_WITHIN: Duration = Duration::from_secs(10);

type Claim = oneshot::Sender<Option<Shim>>;

/// The way to the spare.
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
    /// Keeps a spare on the current runtime, from the end of the first start on. It ends when this is dropped.
    pub fn keep(launcher: Arc<Launcher>) -> Self {
        let (claims, claimed) = mpsc::channel(CLAIMS);
        let starts = Arc::<Starts>::default();
        tokio::spawn(keep(launcher, claimed, Arc::clone(&starts)));
        Self { claims, starts }
    }

    /// Says that a start begins. No new spare is made before all have ended.
    pub fn start(&self) -> StartGuard {
        self.starts.count.fetch_add(1, Ordering::Relaxed);
        StartGuard(Arc::clone(&self.starts))
    }

    /// The spare, if there is one. Waits for one that is being made: that is further than a new one would be. Cancelled,
    /// it stays a spare.
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
                // Whoever waited for that start is told first.
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

/// A failure is told by the next start, which meets it too and knows whom to tell.
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
