//! The sandbox: takes from this process all rights that its plugin does not need, before the library is opened and while
//! there is one thread, and then tries each rule from inside.
//!
//! `process` drops privileges and sets bounds. `files` restricts files, ports and signals with landlock. `calls` filters
//! system calls with seccomp: `list` has the calls of ordinary programs, and `table` makes a filter of it. `proof` tries what each rule forbids. The order
//! matters: each step needs calls or files that a later one takes away.
//!
//! Knows nothing about plugins: the host decides what is granted.

mod calls;
mod files;
mod list;
mod process;
mod proof;
mod table;

use rosey_wire::sandbox::{Finding, Rule, RuleState, SandboxPolicy};
use std::path::Path;

/// What the shim found out about one rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    rule: Rule,
    state: RuleState,
    detail: String,
}

impl Found {
    /// The form for the host.
    pub fn finding(&self) -> Finding<'_> {
        Finding { rule: self.rule, state: self.state, detail: &self.detail }
    }
}

/// Applies the policy to this process, for ever, and tries each rule. `own` is the plugin's working folder, and `library`
/// the file that the shim opens afterwards. Call it once, on the only thread. What this kernel lacks is not an error: the
/// result says so.
///
/// # Errors
/// A text for the operator, when this process lacked something to apply it. It must not open the library then.
pub fn confine(policy: &SandboxPolicy, own: &Path, library: &str) -> Result<Vec<Found>, String> {
    process::close_descriptors();
    process::limit(policy);
    process::drop_privileges();
    let landlock = files::restrict(policy, own, library)?;
    let filter = calls::filter(policy, landlock.version);
    Ok(proof::prove(policy, &landlock, filter.err()))
}

/// The reason not to open the library: a required rule that does not hold.
///
/// # Errors
/// A text for the operator, when there is such a rule.
pub fn check_required(policy: &SandboxPolicy, found: &[Found]) -> Result<(), String> {
    let missing: Vec<String> = found
        .iter()
        .filter(|found| found.state == RuleState::Unavailable && policy.require.contains(&found.rule))
        .map(|found| match found.detail.is_empty() {
            true => found.rule.to_string(),
            false => format!("{} ({})", found.rule, found.detail),
        })
        .collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "this machine cannot enforce what sandbox.require names: {}; use a machine that can, or take it from the list",
            missing.join(", ")
        )),
    }
}
