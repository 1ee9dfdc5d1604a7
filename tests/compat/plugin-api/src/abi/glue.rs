//! The functions of the root module. Each catches what the author's code throws, so that nothing unwinds over the
//! boundary.

use super::{
    log,
    module::{HostApiRef, RawEvent, RawState, flags, outcome},
    runtime,
};
use crate::{
    Context, Error, Plugin, Reply, Result,
    context::Incoming,
    guard, metrics as author_metrics,
    plugin::{Handling, Instance},
};
use abi_stable::std_types::{RResult, RSlice, RString, RVec};
use std::sync::OnceLock;

#[cfg(panic = "abort")]
compile_error!("build plugins with panic = \"unwind\": under \"abort\" one bad event would end the whole plugin");

/// The shim's functions, there once `create` was called.
static HOST: OnceLock<HostApiRef> = OnceLock::new();

/// The lane of the shim's main thread in `HostApi::executing`.
const MAIN_LANE: u32 = 0;

pub(super) extern "C" fn manifest<P: Plugin>() -> RVec<u8> {
    guard::catch(|| serde_json::to_vec(&P::MANIFEST).unwrap_or_default()).unwrap_or_default().into()
}

pub(super) extern "C" fn create<P: Plugin>(host: HostApiRef, config: RSlice<'_, u8>) -> RResult<(), RString> {
    answer(guard::catch(|| {
        let _ = HOST.set(host);
        log::install(host, P::MANIFEST.name);
        runtime::start()?;
        let instance = Instance::<P>::create(config.as_slice())?;
        P::slot().set(instance).map_err(|_| Error::internal("create was called twice"))?;
        runtime::drive();
        Ok(())
    }))
}

pub(super) extern "C" fn handle<P: Plugin>(event: &RawEvent<'_>) {
    let (Some(&host), Some(instance)) = (HOST.get(), P::slot().get()) else {
        // Without `create` there is no host to tell.
        return;
    };
    host.executing()(MAIN_LANE, event.id);
    let cx = Context::new(&incoming(event));
    let deadline = cx.deadline();
    match instance.begin(cx) {
        Handling::Done(result) => reply(host, event.id, &result),
        Handling::Future(future) => runtime::poll_once(host, event.id, deadline, future),
    }
    host.executing()(MAIN_LANE, 0);
    runtime::drive();
}

pub(super) extern "C" fn snapshot<P: Plugin>() -> RResult<RawState, RString> {
    answer(guard::catch(|| {
        let bytes = instance::<P>()?.plugin.snapshot()?.into();
        Ok(RawState { version: P::MANIFEST.state_version, bytes })
    }))
}

pub(super) extern "C" fn restore<P: Plugin>(version: u32, state: RSlice<'_, u8>) -> RResult<(), RString> {
    answer(guard::catch(|| instance::<P>()?.restore(version, state.as_slice())))
}

pub(super) extern "C" fn metrics() -> RVec<u8> {
    guard::catch(author_metrics::render).unwrap_or_default().into()
}

pub(super) extern "C" fn shutdown<P: Plugin>() {
    if let Some(instance) = P::slot().get()
        && let Err(panic) = guard::catch(|| instance.plugin.shutdown())
    {
        tracing::error!("shutdown {panic}");
    }
}

/// Ends an event.
pub(super) fn reply(host: HostApiRef, event: u64, result: &Result<Reply>) {
    let (outcome, text, detail) = match result {
        Ok(reply) => match reply.as_text() {
            Some(text) => (outcome::REPLIED, text, ""),
            None => (outcome::IGNORED, "", ""),
        },
        Err(error) => (outcome::FAILED, error.user(), error.detail()),
    };
    host.reply()(event, outcome, text.into(), detail.into());
}

fn instance<P: Plugin>() -> Result<&'static Instance<P>> {
    P::slot().get().ok_or_else(|| Error::internal("the plugin was not created"))
}

/// Flattens a guarded call into what crosses the boundary: the operator's text on failure.
fn answer<T>(result: Result<Result<T>>) -> RResult<T, RString> {
    match result.and_then(|inner| inner) {
        Ok(value) => RResult::ROk(value),
        Err(error) => RResult::RErr(error.detail().into()),
    }
}

fn incoming<'a>(event: &RawEvent<'a>) -> Incoming<'a> {
    Incoming {
        id: event.id,
        probe: event.flags & flags::PROBE != 0,
        deadline_ms: event.deadline_ms,
        command: event.command.as_str(),
        args: event.args.as_str(),
        user: event.user.as_str(),
        channel: event.channel.as_str(),
        connector: event.connector.as_str(),
        traceparent: event.traceparent.as_str(),
    }
}
