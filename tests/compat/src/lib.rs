//! A plugin as it was written before protocol 2.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The plugin.
#[derive(Default)]
pub struct Veteran {
    count: AtomicU64,
}

#[plugin(probe = "echo hello", reload = "handoff", state_version = 1)]
impl Veteran {
    /// Say it again: `!echo hello`
    #[command]
    fn echo(&self, cx: &Context, text: Rest) -> String {
        format!("{} says {}", cx.user(), &*text)
    }

    /// Count, later: `!count`
    #[command(aliases("tally"))]
    async fn count(&self, _cx: &Context) -> String {
        // Once around the plugin's own runtime.
        std::future::poll_fn({
            let mut polled = false;
            move |cx| {
                if std::mem::replace(&mut polled, true) {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
        })
        .await;
        (self.count.fetch_add(1, Relaxed) + 1).to_string()
    }

    /// Fail: `!fail`
    #[command]
    fn fail(&self, _cx: &Context) -> Result<String> {
        Err(Error::internal("it always does"))
    }

    #[snapshot]
    fn snapshot(&self) -> Result<Vec<u8>> {
        plugin_api::state::to_bytes(&self.count.load(Relaxed))
    }

    #[restore]
    fn restore(&self, _version: u32, state: &[u8]) -> Result<()> {
        self.count.store(plugin_api::state::from_bytes(state)?, Relaxed);
        Ok(())
    }
}
