//! `rosey completions`: clap's completions for each shell, and the names of the plugins from `rosey plugin-names`.

use crate::{
    admin::command::{Argument, FORMS},
    cli::{Cli, Shell},
    config::Config,
    plugins::set,
};
use clap::{Command, CommandFactory};
use std::collections::BTreeSet;

/// The admin commands that take the name of a plugin.
fn take_plugin() -> Vec<&'static str> {
    let take = FORMS.iter().filter(|form| form.takes.first() == Some(&Argument::Plugin));
    let mut names: Vec<_> = take.map(|form| form.name).collect();
    names.dedup();
    names
}

/// Prints the script for a shell.
pub fn print(shell: Shell) -> u8 {
    super::say(&script(shell))
}

/// Prints the names of all plugins, one a line: those of the configuration, and those that an operator loaded.
pub fn plugin_names(config: &Config) -> u8 {
    let loaded = super::db::peek(config, set::read).unwrap_or_default();
    let names: BTreeSet<_> = config.plugins.keys().chain(loaded.keys()).collect();
    super::say(&names.into_iter().map(|name| format!("{name}\n")).collect::<String>())
}

/// The command line without hidden commands, for completions and man pages.
pub fn visible(command: Command) -> Command {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect::<Vec<_>>();
    let arguments = command.get_arguments().cloned().collect::<Vec<_>>();
    let (about, more) = (command.get_about().cloned(), command.get_long_about().cloned());
    let named = Command::new("rosey").version(env!("CARGO_PKG_VERSION")).args(arguments).subcommands(shown);
    named.about(about.unwrap_or_default()).long_about(more.unwrap_or_default())
}

fn script(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut visible(Cli::command()), "rosey", &mut script);
    let script = String::from_utf8(script).expect("scripts are text");
    match shell {
        Shell::Bash => script + &BASH.replace("TAKE_PLUGIN", &take_plugin().join("|")),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &FISH.replace("TAKE_PLUGIN", &take_plugin().join(" ")),
    }
}

/// Wraps clap's function: completes names of plugins where the words so far ask for one. Bash splits `--config=F` into
/// three words.
const BASH: &str = r#"
_rosey_with_plugins() {
    local cur=${COMP_WORDS[COMP_CWORD]} typed=() config=() wants= i word value
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --config | --plugin | --since | --limit | --head)
                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
                ((i++))
                value=${COMP_WORDS[i]}
                if ((i >= COMP_CWORD)); then
                    wants=$word
                elif [[ $word == --config ]]; then
                    config=(--config "${value/#\~\//$HOME/}")
                fi
                ;;
            -* | =) ;;
            *) typed+=("$word") ;;
        esac
    done
    case "$wants ${typed[*]}" in
        "--plugin "*) ;;
        " admin "*)
            [[ ${#typed[@]} == 2 && ${typed[1]} == @(TAKE_PLUGIN) && $cur != -* ]] || { _rosey "$@"; return; }
            ;;
        *)
            _rosey "$@"
            return
            ;;
    esac
    [[ $cur == = ]] && cur=
    COMPREPLY=($(compgen -W "$(rosey plugin-names "${config[@]}" 2>/dev/null)" -- "$cur"))
}
shopt -s extglob
complete -F _rosey_with_plugins -o nosort -o bashdefault -o default rosey
"#;

const FISH: &str = r#"
function __fish_rosey_plugins
    set -l config
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case --config
                set config --config $words[(math $i + 1)]
            case '--config=*'
                set config --config (string replace -- --config= '' $words[$i])
        end
    end
    rosey plugin-names $config 2>/dev/null
end
complete -c rosey -n "__fish_seen_subcommand_from admin; and __fish_seen_subcommand_from TAKE_PLUGIN" -f -a "(__fish_rosey_plugins)"
complete -c rosey -n "__fish_seen_subcommand_from audit" -l plugin -x -a "(__fish_rosey_plugins)"
"#;

const ZSH: &str = r#"
_rosey_plugins() {
    local config=() i
    for ((i = 1; i < $#rosey_words; i++)); do
        case ${rosey_words[i]} in
            --config) config=(--config ${~rosey_words[i + 1]}) ;;
            --config=*) config=(--config ${rosey_words[i]#--config=}) ;;
        esac
    done
    local names=(${(f)"$(rosey plugin-names $config 2>/dev/null)"})
    compadd -a names
}
"#;

/// Completes arguments named `plugin` with the names. clap's function removes words as it descends, so they are saved
/// first.
fn zsh(script: &str) -> String {
    let kept = "_rosey() {\n    local -a rosey_words=(\"${words[@]}\")\n";
    let script: String = script
        .replacen("_rosey() {\n", kept, 1)
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
    fn each_shell_is_told_how_to_find_the_plugins_and_nothing_that_is_hidden() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert_eq!(script.matches("plugin-names").count(), 1, "{shell:?}");
            assert!(script.contains("rosey plugin-names"), "{shell:?}");
            assert!(script.contains("rollback"), "{shell:?}");
        }
        let zsh = script(Shell::Zsh);
        assert!(zsh.contains(":_rosey_plugins'") && zsh.contains("local -a rosey_words"));
    }
}
