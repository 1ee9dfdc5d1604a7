//! The main loop: read what has come, handle all of it, write all answers at once.

use crate::{link, load};
use abi_stable::std_types::RResult;
use plugin_api::abi::module::{PluginModRef, RawEvent, flags};
use rosey_wire::{
    frame::{FrameError, Reader, decode},
    message::{Answer, Command, LoadStep, ToHost, ToShim},
    sandbox::SandboxPolicy,
};

/// Serves until the host says stop or goes away.
///
/// # Errors
/// A text that names what the host sent against the protocol.
pub fn serve() -> Result<(), String> {
    let mut reader = Reader::default();
    let (mut plugin, mut policy) = (None, None);
    while link::read(&mut reader) {
        while let Some(frame) = reader.next_frame().map_err(protocol_error)? {
            let goes_on = handle(decode(frame).map_err(protocol_error)?, &mut plugin, &mut policy)?;
            if !goes_on {
                link::flush();
                return Ok(());
            }
        }
        link::flush();
    }
    Ok(())
}

fn protocol_error(error: FrameError) -> String {
    format!("the host sent {error}")
}

fn handle(
    message: ToShim<'_>,
    plugin: &mut Option<PluginModRef>,
    policy: &mut Option<SandboxPolicy>,
) -> Result<bool, String> {
    match *plugin {
        Some(module) => Ok(pass_on(message, module)),
        None => begin(message, plugin, policy),
    }
}

/// Takes a message before there is a plugin.
fn begin(
    message: ToShim<'_>,
    plugin: &mut Option<PluginModRef>,
    policy: &mut Option<SandboxPolicy>,
) -> Result<bool, String> {
    match message {
        ToShim::Confine(rules) => *policy = Some(rules),
        ToShim::Load(request) => {
            let Some(policy) = policy else { return Err("the host sent a library before its sandbox".to_owned()) };
            match load::load(&request, policy) {
                Ok((module, manifest)) => {
                    *plugin = Some(module);
                    link::send(&ToHost::Described(&manifest));
                }
                Err((step, message)) => link::send(&ToHost::LoadFailed { step, message: &message }),
            }
        }
        ToShim::Ping(number) => link::send(&ToHost::Pong(number)),
        ToShim::Stop => {
            link::send(&ToHost::Stopped);
            return Ok(false);
        }
        _ => return Err("the host sent work before the library to load".to_owned()),
    }
    Ok(true)
}

/// Passes a message on to the plugin. Returns false at the last one.
fn pass_on(message: ToShim<'_>, module: PluginModRef) -> bool {
    match message {
        ToShim::Command(command) => module.handle()(&raw(&command)),
        ToShim::Ping(number) => link::send(&ToHost::Pong(number)),
        ToShim::Snapshot => match module.snapshot()() {
            RResult::ROk(state) => link::send(&ToHost::State { version: state.version, state: &state.bytes }),
            RResult::RErr(message) => link::send(&ToHost::StateFailed { message: &message }),
        },
        ToShim::Restore { version, state } => match module.restore()(version, state.into()) {
            RResult::ROk(()) => link::send(&ToHost::Restored),
            RResult::RErr(message) => link::send(&ToHost::StateFailed { message: &message }),
        },
        ToShim::Collect => {
            let json = module.metrics()();
            link::send(&ToHost::Metrics(std::str::from_utf8(&json).unwrap_or_default()));
        }
        ToShim::Load(_) | ToShim::Confine(_) => {
            link::send(&ToHost::LoadFailed { step: LoadStep::Open, message: "this shim has a plugin already" });
        }
        ToShim::Occur { id, probe, deadline_ms, event } => match module.occur() {
            Some(occur) => occur(id, if probe { flags::PROBE } else { 0 }, deadline_ms, event.into()),
            None => fail(id, "the library was built with plugin-api before 1.1, which handles only commands"),
        },
        ToShim::Returned { call, answer } => {
            if let Some(returned) = module.returned() {
                returned(call, answer.into());
            }
        }
        ToShim::Migrate { id, from } => match module.migrate() {
            Some(migrate) => migrate(id, from),
            None => fail(id, "the library was built with plugin-api before 1.1, which has no store"),
        },
        ToShim::Stop => {
            module.shutdown()();
            link::send(&ToHost::Stopped);
            return false;
        }
    }
    true
}

fn fail(event: u64, detail: &str) {
    link::send(&ToHost::Reply { event, answer: Answer::Failed { text: "", detail } });
}

fn raw<'a>(command: &Command<'a>) -> RawEvent<'a> {
    RawEvent {
        id: command.id,
        flags: if command.probe { flags::PROBE } else { 0 },
        deadline_ms: command.deadline_ms,
        command: command.command.into(),
        args: command.args.into(),
        user: command.user.into(),
        channel: command.channel.into(),
        connector: command.connector.into(),
        traceparent: command.traceparent.into(),
    }
}
