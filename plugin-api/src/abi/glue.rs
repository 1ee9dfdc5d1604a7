//! The functions of the root module. Each catches panics of the author's code, so that no panic unwinds over the
//! boundary.

use super::{
    calls, log,
    module::{HostApiRef, RawEvent, RawState, flags, outcome},
    runtime::{self, Begun, MAIN_LANE},
};
use crate::{
    Context, Error, Finished, Plugin, Reply, Result, guard, metrics as author_metrics,
    plugin::{Handling, Instance},
};
use abi_stable::std_types::{RResult, RSlice, RString, RVec};
use rosey_wire::{
    event::{Body, Event, Occurrence},
    frame::decode,
};
use std::{sync::OnceLock, time::Instant};

#[cfg(panic = "abort")]
compile_error!("build plugins with panic = \"unwind\": under \"abort\" one bad event would end the whole plugin");

/// The shim's functions, once `create` was called.
static HOST: OnceLock<HostApiRef> = OnceLock::new();

/// Why the host lacks a function.
pub(super) const OLD: &str = "its rosey-shim is older than plugin-api 1.1; build it again";

/// Longest time for `#[migrate]`, in milliseconds. The host may wait for less.
const MIGRATION_MS: u32 = 300_000;

pub(super) extern "C" fn manifest<P: Plugin>() -> RVec<u8> {
    guard::catch(|| serde_json::to_vec(&P::MANIFEST).unwrap_or_default()).unwrap_or_default().into()
}

pub(super) extern "C" fn check_settings<P: Plugin>(config: RSlice<'_, u8>) -> RResult<(), RString> {
    answer(guard::catch(|| P::check_settings(config.as_slice())))
}

pub(super) extern "C" fn create<P: Plugin>(host: HostApiRef, config: RSlice<'_, u8>) -> RResult<(), RString> {
    answer(guard::catch(|| {
        let _ = HOST.set(host);
        log::install(host, P::MANIFEST.name);
        runtime::start()?;
        // A host that answers questions sees to cooldowns as well.
        let instance = Instance::<P>::create(config.as_slice(), host.call().is_some())?;
        P::slot().set(instance).map_err(|_| Error::internal("create was called twice"))?;
        runtime::drive();
        Ok(())
    }))
}

pub(super) extern "C" fn handle<P: Plugin>(event: &RawEvent<'_>) {
    let (Some(&host), Some(instance)) = (HOST.get(), P::slot().get()) else {
        // Before `create` there is no host to send it to.
        return;
    };
    host.executing()(MAIN_LANE, event.id);
    run(host, instance, &of_command(event));
}

/// Begins to handle an event whose id `executing` shows, and answers it or leaves it to the runtime.
fn run<P: Plugin>(host: HostApiRef, instance: &'static Instance<P>, event: &Event<'_>) {
    let cx = Context::new(event);
    let deadline = cx.deadline();
    go_on(host, event.id, deadline, instance.begin(cx, event));
}

fn go_on(host: HostApiRef, event: u64, deadline: Instant, begun: Handling<'static>) {
    match begun {
        Handling::Done(finished) => reply(host, event, finished),
        Handling::Future(handler) => runtime::poll_once(Begun { host, event, deadline, handler }),
    }
    host.executing()(MAIN_LANE, 0);
    runtime::drive();
}

/// The shim's functions, once the plugin was created.
pub(super) fn host() -> Option<HostApiRef> {
    HOST.get().copied()
}

pub(super) extern "C" fn occur<P: Plugin>(id: u64, bits: u32, deadline_ms: u32, event: RSlice<'_, u8>) {
    let (Some(&host), Some(instance)) = (HOST.get(), P::slot().get()) else { return };
    host.executing()(MAIN_LANE, id);
    let Ok(event) = decode::<Occurrence<'_>>(event.as_slice()) else {
        let text = "the host sent a kind of event that is newer than the plugin-api of this library";
        reply(host, id, Error::internal(text).into());
        return host.executing()(MAIN_LANE, 0);
    };
    run(host, instance, &event.into_event(id, bits & flags::PROBE != 0, deadline_ms));
}

pub(super) extern "C" fn returned(call: u64, answer: RSlice<'_, u8>) {
    // Before the answer wakes anything.
    let begun = runtime::take_parked(call);
    if let Err(panic) = guard::catch(|| calls::returned(call, answer.as_slice())) {
        tracing::error!("taking the answer to a call {panic}");
    }
    begun.into_iter().for_each(runtime::resume);
}

pub(super) extern "C" fn migrate<P: Plugin>(id: u64, from: u32) {
    let (Some(&host), Some(instance)) = (HOST.get(), P::slot().get()) else { return };
    host.executing()(MAIN_LANE, id);
    let cx = Context::of_no_event(id, MIGRATION_MS);
    let deadline = cx.deadline();
    go_on(host, id, deadline, instance.migrate(cx, from));
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

/// Ends an event. An event without reads and changes gets the same answer as in plugin-api 1.0.
pub(super) fn reply(host: HostApiRef, event: u64, finished: Finished) {
    if finished.journal.is_none() {
        return answered(host, event, &finished.result);
    }
    reply_with(host, event, &finished);
}

#[cold]
fn reply_with(host: HostApiRef, event: u64, finished: &Finished) {
    let effects = match finished.effects() {
        Ok(None) => return answered(host, event, &finished.result),
        Ok(Some(effects)) => effects,
        Err(error) => return answered(host, event, &Err(error)),
    };
    let Some(reply_with) = host.reply_with() else {
        let text = format!("this host has no store and applies no effects: {OLD}");
        return answered(host, event, &Err(Error::internal(text)));
    };
    let (outcome, text, detail) = crossing(&finished.result);
    reply_with(event, outcome, text.into(), detail.into(), effects.as_slice().into());
}

fn answered(host: HostApiRef, event: u64, result: &Result<Reply>) {
    let (outcome, text, detail) = crossing(result);
    host.reply()(event, outcome, text.into(), detail.into());
}

/// A result in the form that crosses the boundary: the outcome, the text for the user, the text for the operator.
fn crossing(result: &Result<Reply>) -> (u8, &str, &str) {
    match result {
        Ok(reply) => match reply.as_text() {
            Some(text) => (outcome::REPLIED, text, ""),
            None => (outcome::IGNORED, "", ""),
        },
        Err(error) => (outcome::FAILED, error.user(), error.detail()),
    }
}

fn instance<P: Plugin>() -> Result<&'static Instance<P>> {
    P::slot().get().ok_or_else(|| Error::internal("the plugin was not created"))
}

/// Flattens a guarded call into the form that crosses the boundary: on failure the operator's text.
fn answer<T>(result: Result<Result<T>>) -> RResult<T, RString> {
    match result.and_then(|inner| inner) {
        Ok(value) => RResult::ROk(value),
        Err(error) => RResult::RErr(error.detail().into()),
    }
}

fn of_command<'a>(event: &RawEvent<'a>) -> Event<'a> {
    Event {
        id: event.id,
        probe: event.flags & flags::PROBE != 0,
        deadline_ms: event.deadline_ms,
        handler: 0,
        user: event.user.as_str(),
        channel: event.channel.as_str(),
        connector: event.connector.as_str(),
        traceparent: event.traceparent.as_str(),
        body: Body::Command { name: event.command.as_str(), args: event.args.as_str() },
    }
}
