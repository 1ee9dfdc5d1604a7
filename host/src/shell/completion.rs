//! `rosey completions`: what clap makes for each shell, and the names of the plugins, which `rosey plugin-names` knows.

use crate::{
    cli::{Cli, Shell, exit},
    config::Config,
};
use clap::CommandFactory;

/// Commands that take a plugin's name.
const TAKE_PLUGIN: &str = "status logs deadletters reload restart rollback start stop";

/// Prints the script for a shell.
pub fn print(shell: Shell) -> u8 {
    print!("{}", script(shell));
    exit::OK
}

/// Prints the names of all plugins, one a line.
pub fn plugin_names(config: &Config) -> u8 {
    config.plugins.keys().for_each(|name| println!("{name}"));
    exit::OK
}

fn script(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "rosey", &mut script);
    let script = String::from_utf8(script).expect("scripts are text");
    match shell {
        Shell::Bash => script + &BASH.replace("TAKE_PLUGIN", &TAKE_PLUGIN.replace(' ', "|")),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &FISH.replace("TAKE_PLUGIN", TAKE_PLUGIN),
    }
}

/// Around clap's function: the word after a command that takes a plugin.
const BASH: &str = r#"
_rosey_plugins() {
    local i config=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --config ]] && config=(--config "${COMP_WORDS[i + 1]}")
    done
    rosey plugin-names "${config[@]}" 2>/dev/null
}
_rosey_with_plugins() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ " ${COMP_WORDS[*]} " == *" admin "* && $cur != -* ]]; then
        case $before in
            TAKE_PLUGIN)
                COMPREPLY=($(compgen -W "$(_rosey_plugins)" -- "$cur"))
                return
                ;;
        esac
    fi
    if [[ $before == --plugin ]]; then
        COMPREPLY=($(compgen -W "$(_rosey_plugins)" -- "$cur"))
        return
    fi
    _rosey "$@"
}
complete -F _rosey_with_plugins -o nosort -o bashdefault -o default rosey
"#;

const FISH: &str = r#"
function __fish_rosey_plugins
    set -l words (commandline -opc)
    set -l at (contains -i -- --config $words)
    and rosey plugin-names --config $words[(math $at + 1)] 2>/dev/null
    or rosey plugin-names 2>/dev/null
end
complete -c rosey -n "__fish_seen_subcommand_from admin; and __fish_seen_subcommand_from TAKE_PLUGIN" -f -a "(__fish_rosey_plugins)"
complete -c rosey -n "__fish_seen_subcommand_from audit" -l plugin -x -a "(__fish_rosey_plugins)"
"#;

const ZSH: &str = r#"
_rosey_plugins() {
    local at=${words[(i)--config]} config=()
    (( at < $#words )) && config=(--config ${words[at + 1]})
    local names=(${(f)"$(rosey plugin-names $config 2>/dev/null)"})
    compadd -a names
}
"#;

/// Arguments called `plugin` complete with the names.
fn zsh(script: &str) -> String {
    let script: String = script
        .lines()
        .map(|line| match line.contains("plugin -- ") || line.contains("--plugin=[") {
            true => line.replace(":_default'", ":_rosey_plugins'") + "\n",
            false => format!("{line}\n"),
        })
        .collect();
    // Before the last lines, which call clap's function.
    let at = script.find("if [ \"$funcstack[1]\"").unwrap_or(script.len());
    format!("{}{ZSH}\n{}", &script[..at], &script[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_is_told_how_to_find_the_plugins() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("rosey plugin-names"), "{shell:?}");
            assert!(script.contains("rollback"), "{shell:?}");
        }
        assert!(script(Shell::Zsh).contains(":_rosey_plugins'"));
    }
}
