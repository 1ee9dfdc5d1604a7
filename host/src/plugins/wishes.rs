//! What a plugin wants of its sandbox, and whether the operator grants it.

use super::{PluginConfig, PluginError, Sandbox};
use rosey_wire::{
    manifest::Wishes,
    sandbox::{Network, Profile, port},
};
use std::path::Path;

/// The wishes of a plugin, for people: `the network: *:80, *:443`. Empty without wishes.
pub fn text(wishes: &Wishes) -> String {
    let Wishes { network, files, processes, memory } = wishes;
    let mut texts = Vec::new();
    texts.extend((!network.is_empty()).then(|| format!("the network: {}", network.join(", "))));
    texts.extend((!files.is_empty()).then(|| format!("to read {}", files.join(", "))));
    texts.extend(processes.then(|| "to start processes".to_owned()));
    texts.extend((*memory > 0).then(|| format!("{memory} MiB of memory")));
    texts.join("; ")
}

/// Refuses a plugin that wants more than its configuration grants.
///
/// # Errors
/// [`PluginError::NotGranted`], which has the lines to write.
pub fn check(wishes: &Wishes, config: &PluginConfig) -> Result<(), PluginError> {
    let missing = missing(wishes, config);
    if missing == Wishes::default() {
        return Ok(());
    }
    Err(PluginError::NotGranted { wants: text(&missing), write: lines(&missing, config) })
}

/// The wishes that the configuration does not grant.
fn missing(wishes: &Wishes, config: &PluginConfig) -> Wishes {
    let Sandbox { profile, network, files, writable, processes, .. } = &config.sandbox;
    let memory = if wishes.memory > config.limits.memory_mb { wishes.memory } else { 0 };
    if *profile == Profile::Open {
        return Wishes { memory, ..Wishes::default() };
    }
    let may_connect = |target: &str| match network {
        Network::None => false,
        Network::Ports(ports) => port(target).flatten().is_some_and(|port| ports.contains(&port)),
        Network::All => true,
    };
    let may_read = |path: &str| files.iter().chain(writable).any(|granted| Path::new(path).starts_with(granted));
    Wishes {
        network: wishes.network.iter().filter(|target| !may_connect(target)).cloned().collect(),
        files: wishes.files.iter().filter(|path| !may_read(path)).cloned().collect(),
        processes: wishes.processes && !processes,
        memory,
    }
}

/// What people read about the wishes of a plugin that runs. Empty without wishes.
pub fn told(wishes: &Wishes, config: &PluginConfig) -> String {
    match check(wishes, config) {
        Ok(()) if *wishes == Wishes::default() => String::new(),
        Ok(()) => format!("it wants {}, which is granted", text(wishes)),
        Err(error) => error.to_string(),
    }
}

/// What the operator writes to grant them.
fn lines(missing: &Wishes, config: &PluginConfig) -> String {
    let Wishes { network, files, processes, memory } = missing;
    let list = |texts: &[String]| texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ");
    let setting = |name: &str, texts: &[String], has_some: bool| match has_some {
        true => format!("{} added to {name}", list(texts)),
        false => format!("{name} = [{}]", list(texts)),
    };
    let mut sandbox = Vec::new();
    if !network.is_empty() {
        sandbox.push(setting("network", network, config.sandbox.network != Network::None));
    }
    if !files.is_empty() {
        sandbox.push(setting("files", files, !config.sandbox.files.is_empty()));
    }
    sandbox.extend(processes.then(|| "processes = true".to_owned()));
    let table = |name: &str, lines: &str| format!("[plugins.{}.{name}] {lines}", config.name);
    let mut tables = Vec::new();
    tables.extend((!sandbox.is_empty()).then(|| table("sandbox", &sandbox.join(", "))));
    tables.extend((*memory > 0).then(|| table("limits", &format!("memory_mb = {memory}"))));
    tables.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(network: &[&str], files: &[&str], processes: bool, memory: u64) -> Wishes {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Wishes { network: texts(network), files: texts(files), processes, memory }
    }

    fn refusal(wishes: &Wishes, sandbox: Sandbox) -> String {
        let config = PluginConfig { name: "quotes".to_owned(), sandbox, ..PluginConfig::default() };
        check(wishes, &config).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_not_granted_is_refused_with_what_to_write() {
        let some = wishes(&["api.example.org:443", "*:80"], &["/srv/words/en"], true, 1024);
        assert_eq!(
            refusal(&some, Sandbox::default()),
            "it wants the network: api.example.org:443, *:80; to read /srv/words/en; to start processes; 1024 MiB of memory, \
             which is not granted. To grant it, write [plugins.quotes.sandbox] network = [\"api.example.org:443\", \
             \"*:80\"], files = [\"/srv/words/en\"], processes = true and [plugins.quotes.limits] memory_mb = 1024 into the \
             configuration and apply it"
        );
        let part = Sandbox {
            network: Network::Ports(vec![443]),
            writable: vec!["/srv/words".into()],
            processes: true,
            ..Sandbox::default()
        };
        let text = refusal(&wishes(&["api.example.org:443", "*:80"], &["/srv/words/en"], true, 512), part);
        assert!(text.contains("it wants the network: *:80, which"), "{text}");
        assert!(text.contains("[plugins.quotes.sandbox] \"*:80\" added to network into"), "{text}");
    }

    #[test]
    fn what_is_granted_or_not_wanted_is_not_refused() {
        assert_eq!(refusal(&Wishes::default(), Sandbox::default()), "");
        assert_eq!(refusal(&wishes(&[], &[], false, 512), Sandbox::default()), "");
        let open = Sandbox { profile: Profile::Open, ..Sandbox::default() };
        assert_eq!(refusal(&wishes(&["*"], &["/"], true, 0), open), "");
        let all = Sandbox { network: Network::All, ..Sandbox::default() };
        assert_eq!(refusal(&wishes(&["*", "a:*", "a:1"], &[], false, 0), all), "");
        let ports = Sandbox { network: Network::Ports(vec![443]), ..Sandbox::default() };
        assert!(refusal(&wishes(&["a:*"], &[], false, 0), ports).contains("a:*"), "no port stands for all of them");
    }
}
