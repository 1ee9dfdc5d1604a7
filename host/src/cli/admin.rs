//! The admin commands on the command line, made from the rows of [`crate::admin::command`].

use super::word;
use crate::admin::{
    command::{Argument, Form, LogLevel, commands},
    grammar::Surface,
};
use crate::log::LEVELS;
use clap::{
    Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, Subcommand, ValueHint, builder::PossibleValuesParser,
    error::ErrorKind,
};

/// A parsed admin command, as a line of chat without `!admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminCommand(String);

impl AdminCommand {
    /// `reload dice-roller`
    pub fn line(&self) -> &str {
        &self.0
    }

    /// Whether it only asks for help.
    pub fn is_help(&self) -> bool {
        self.0 == "help"
    }
}

impl FromArgMatches for AdminCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Some((name, given)) = matches.subcommand() else { return Err(Error::new(ErrorKind::MissingSubcommand)) };
        let mut words = vec![name];
        let plugin = given.try_get_one::<String>(PLUGIN).ok().flatten();
        words.extend(plugin.map(String::as_str));
        for form in commands().flatten().filter(|form| form.name == name) {
            if let [_, Argument::Word(word)] = form.takes
                && given.get_flag(word)
            {
                words.push(word);
            }
        }
        let level = given.try_get_one::<String>(LEVEL).ok().flatten();
        words.extend(level.map(String::as_str));
        let verb = given.try_get_one::<String>(VERB).ok().flatten();
        words.extend(verb.map(String::as_str));
        let flags: Vec<_> =
            options(name).into_iter().filter(|flag| given.get_flag(flag)).map(|flag| format!("--{flag}")).collect();
        words.extend(flags.iter().map(String::as_str));
        let path = given.try_get_one::<String>(PATH).ok().flatten();
        words.extend(path.map(String::as_str));
        let change = given.try_get_many::<String>(CHANGE).ok().flatten();
        words.extend(change.into_iter().flatten().map(String::as_str));
        Ok(Self(words.join(" ")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for AdminCommand {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(commands().map(subcommand)).subcommand_required(true).arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        commands().any(|forms| forms[0].name == name)
    }
}

/// The argument with the name of a plugin.
const PLUGIN: &str = "plugin";

/// The argument with a word that says what to do.
const VERB: &str = "verb";

/// The options that forms of this command have, in the order of the forms.
fn options(command: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for argument in commands().flatten().filter(|form| form.name == command).flat_map(|form| form.takes) {
        if let Argument::Option(option) = argument
            && !found.contains(option)
        {
            found.push(option);
        }
    }
    found.sort_by_key(|option| *option == "keep-going");
    found
}

/// The argument with the path of a library.
const PATH: &str = "path";

/// The argument with a word and a number, such as `replay 7`.
const CHANGE: &str = "change";

/// The argument with the level of a log.
const LEVEL: &str = "level";

/// A form with example values, as it is typed in the shell.
fn example(form: &Form) -> String {
    let usage = form.usage(Surface::Shell).replace("<plugin>", "dice-roller").replace("<number>", "3");
    usage.replace("<level>", "debug").replace("<path>", "/opt/lib.so")
}

fn subcommand(forms: &'static [Form]) -> Command {
    let last = &forms[forms.len() - 1];
    let example = example(last);
    let mut command = Command::new(forms[0].name)
        .about(sentence(forms[0].help))
        .after_help(format!("Example: rosey admin {example}"));
    let takes_plugin = |form: &Form| form.takes.first() == Some(&Argument::Plugin);
    let (options, has_options) =
        (options(forms[0].name), |form: &Form| matches!(form.takes.first(), Some(Argument::Option(_))));
    if forms.iter().any(takes_plugin) {
        let needed = forms.iter().all(|form| takes_plugin(form) || has_options(form));
        let plugin = Arg::new(PLUGIN).value_name("PLUGIN").value_parser(word).required(needed && options.is_empty());
        let plugin = if needed { plugin.required_unless_present_any(options.clone()) } else { plugin };
        command = command.arg(plugin.help("The name of a plugin, as rosey admin list shows it"));
    }
    for option in options {
        let form = forms.iter().find(|form| form.takes.last() == Some(&Argument::Option(option)));
        let help = form.map_or("", |form| form.help);
        command = command.arg(Arg::new(option).long(option).action(ArgAction::SetTrue).help(sentence(help)));
    }
    let verbs: Vec<_> = forms.iter().filter_map(|form| Some((verb(form)?, form.help))).collect();
    if !verbs.is_empty() {
        let help: Vec<_> = verbs.iter().map(|(verb, help)| format!("{verb}: {}", sentence(help))).collect();
        let words = PossibleValuesParser::new(verbs.iter().map(|(verb, _)| *verb));
        command =
            command.arg(Arg::new(VERB).value_name("ACTION").required(true).value_parser(words).help(help.join("; ")));
    }
    let mut changes = Vec::new();
    for form in forms {
        match form.takes {
            [_, Argument::Word(word)] => {
                command = command.arg(Arg::new(*word).long(*word).action(ArgAction::SetTrue).help(sentence(form.help)));
            }
            [_, Argument::Level] => {
                let names = LEVELS.iter().map(|(name, _)| *name).chain([LogLevel::DEFAULT]);
                let help = "The lowest level of the records; default is the level of Rosey";
                command =
                    command.arg(Arg::new(LEVEL).value_name("LEVEL").value_parser(names.collect::<Vec<_>>()).help(help));
            }
            [_, Argument::Path] => {
                let path = Arg::new(PATH).value_name("PATH").value_parser(word).value_hint(ValueHint::FilePath);
                command =
                    command.arg(path.help(
                        "The library, instead of the one in the plugin folder; a relative path counts from there",
                    ));
            }
            [_, Argument::Word(name), Argument::Number] => changes.push((*name, form.help)),
            _ => {}
        }
    }
    if changes.is_empty() {
        return command;
    }
    let help: Vec<String> = changes.iter().map(|(name, help)| format!("{name}: {}", sentence(help))).collect();
    let words = Arg::new(CHANGE).num_args(2).value_names(["ACTION", "NUMBER"]).value_parser(word);
    command.arg(words.requires(PLUGIN).help(help.join("; ")))
}

/// The word that says what this form does, if it has one.
fn verb(form: &Form) -> Option<&'static str> {
    if let [Argument::Verb(verb)] = form.takes { Some(verb) } else { None }
}

/// Without a full stop at the end, like clap's own texts.
fn sentence(help: &str) -> &str {
    help.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Cli, Command as Given},
        *,
    };
    use crate::admin::{command::FORMS, grammar};
    use clap::{CommandFactory, Parser};

    #[test]
    fn each_form_is_said_in_the_shell_as_in_chat() {
        Cli::command().debug_assert();
        for form in FORMS {
            let usage = example(&form);
            let words = ["rosey", "admin"].into_iter().chain(usage.split(' '));
            let cli = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{usage}: {error}"));
            let Some(Given::Admin(arguments)) = cli.command else { panic!("{usage}") };
            let (here, in_chat) = (arguments.command.line(), form.usage(Surface::Chat));
            assert_eq!(
                here,
                in_chat
                    .replace("<plugin>", "dice-roller")
                    .replace("<number>", "3")
                    .replace("<level>", "debug")
                    .replace("<path>", "/opt/lib.so")
            );
            let request = grammar::command(here, Surface::Shell);
            assert!(!matches!(request, grammar::ParsedLine::Unclear(_)), "{here}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        for words in
            ["", "reload", "settings", "list x", "stop a b", "dance", "deadletters x replay", "start x --force"]
        {
            let words: Vec<_> = ["rosey", "admin"].into_iter().chain(words.split_whitespace()).collect();
            assert!(Cli::try_parse_from(&words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn every_argument_and_option_says_what_is_expected() {
        fn look(command: &Command, path: &str) {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.len() >= 20, "{path} {}: {help}", argument.get_id());
            }
            for inner in command.get_subcommands() {
                let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
                assert!(about.len() >= 20, "{path} {}: {about}", inner.get_name());
                look(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        look(&Cli::command(), "rosey");
    }
}
