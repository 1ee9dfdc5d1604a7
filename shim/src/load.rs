//! Opens the plugin library, checks its ABI, and creates the plugin.

use crate::{link, page, sandbox};
use abi_stable::{
    library::{AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL},
    prefix_type::WithMetadata,
    std_types::{RResult, RSlice, RStr},
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_api::abi::{
    first,
    module::{HostApi, HostApiRef, PluginModRef, outcome},
};
use rosey_wire::{
    message::{Answer, Load, LoadStep, ToHost},
    sandbox::SandboxPolicy,
};

/// Why a library did not load: the step, and the reason for the operator.
pub type LoadError = (LoadStep, String);

/// Loads the library and, unless the host only inspects it, creates the plugin. Confines this process before, and
/// says what holds. Returns the module of the library and its manifest as JSON.
///
/// # Errors
/// The step that failed and why. The process cannot load another library then.
pub fn load(request: &Load<'_>, policy: &SandboxPolicy) -> Result<(PluginModRef, String), LoadError> {
    // The host started this process in the folder of all working directories, and created the plugin's own there.
    let own = std::env::set_current_dir(request.plugin).and_then(|()| std::env::current_dir());
    let own = own.map_err(|error| (LoadStep::Open, format!("its working directory {}: {error}", request.plugin)))?;
    let found = sandbox::confine(policy, &own, request.library).map_err(|why| (LoadStep::Sandbox, why))?;
    link::send(&ToHost::Confined(found.iter().map(sandbox::Found::finding).collect()));
    sandbox::check_required(policy, &found).map_err(|missing| (LoadStep::Sandbox, missing))?;
    let module = open(request.library)?;
    let json = module.manifest()();
    let manifest = String::from_utf8(json.into()).map_err(|_| (LoadStep::Manifest, "it is not UTF-8".to_owned()))?;
    if let Some(check) = module.check_settings()
        && let RResult::RErr(message) = check(request.config.as_bytes().into())
    {
        return Err((LoadStep::Settings, message.into()));
    }
    if request.inspect {
        return Ok((module, manifest));
    }
    match module.create()(HostApiRef(HOST.static_as_prefix()), request.config.as_bytes().into()) {
        RResult::ROk(()) => Ok((module, manifest)),
        RResult::RErr(message) => Err((LoadStep::Create, message.into())),
    }
}

fn open(path: &str) -> Result<PluginModRef, LoadError> {
    // RTLD_NOW: a missing symbol is an error here and not in the middle of an event. RTLD_LOCAL: no symbol leaks between the
    // library and us.
    // SAFETY: runs the library's constructors. That code is no more trusted than the rest of the plugin; this process
    // exists to contain it.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| (LoadStep::Open, chain(&error)))?;
    // SAFETY: abi_stable defines this symbol for a static `LibHeader`, whose first field is the `AbiHeader` that
    // `AbiHeaderRef` points to; `upgrade` below checks its magic and version before anything else is read.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) }
        .map(|symbol| *symbol)
        .map_err(|_| (LoadStep::FindModule, "it has no plugin module".to_owned()))?;
    // The library is never unloaded: the header and everything behind it point into it.
    std::mem::forget(library);
    let header = header.upgrade().map_err(|error| (LoadStep::CheckAbi, first_line(&error.to_string())))?;
    let error = match header.init_root_module::<PluginModRef>() {
        Ok(module) => return Ok(module),
        Err(error) => error,
    };
    match header.init_root_module::<first::PluginModRef>() {
        // SAFETY: both are pointers to a prefix and what says how many of its fields are there. The fields of `first` are the
        // first ones of today, in the same order and of the same types, as has just been checked; all later ones are optional,
        // and read as missing where that says so. The host's functions that such a library is given begin with those that it
        // knows.
        Ok(first::PluginModRef(old)) => Ok(PluginModRef(unsafe { old.cast() })),
        Err(_) => Err((LoadStep::CheckAbi, mismatch(&error))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn mismatch(error: &LibraryError) -> String {
    match error {
        LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
            format!("{actual_version}, and this Rosey has {expected_version}")
        }
        error => first_line(&error.to_string()),
    }
}

/// abi_stable explains a layout mismatch in pages. The host gets the beginning, standard error all of it.
fn first_line(text: &str) -> String {
    eprintln!("{text}");
    text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join(" ")
}

const HOST: &WithMetadata<HostApi> = &WithMetadata::new(HostApi { reply, executing, log, reply_with, call });

extern "C" fn reply(event: u64, how: u8, text: RStr<'_>, detail: RStr<'_>) {
    link::send(&ToHost::Reply { event, answer: answer(how, &text, &detail) });
}

extern "C" fn reply_with(event: u64, how: u8, text: RStr<'_>, detail: RStr<'_>, effects: RSlice<'_, u8>) {
    link::send(&ToHost::ReplyWith { event, answer: answer(how, &text, &detail), effects: effects.as_slice() });
}

extern "C" fn call(call: u64, event: u64, request: RSlice<'_, u8>) {
    link::send(&ToHost::Call { call, event, request: request.as_slice() });
}

fn answer<'a>(how: u8, text: &'a RStr<'a>, detail: &'a RStr<'a>) -> Answer<'a> {
    match how {
        outcome::REPLIED => Answer::Replied(text.as_str()),
        outcome::IGNORED => Answer::Ignored,
        _ => Answer::Failed { text: text.as_str(), detail: detail.as_str() },
    }
}

extern "C" fn executing(lane: u32, event: u64) {
    page::executing(lane, event);
}

extern "C" fn log(level: u8, target: RStr<'_>, message: RStr<'_>) {
    link::send(&ToHost::Log { level, target: target.as_str(), message: message.as_str() });
}
