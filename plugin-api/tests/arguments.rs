//! Arguments as people type them, and commands with subcommands.

use plugin_api::{
    Plugin, Random,
    args::{Args, Channel, User},
    prelude::*,
    testing::Bot,
};
use std::time::Duration;

#[derive(Clone, Copy, Debug, Choice)]
enum Size {
    Small,
    VeryBig,
    #[choice(name = "middle", aliases("medium", "m"))]
    Between,
}

/// A command for each kind of argument.
#[derive(Default)]
struct Arguments;

#[plugin]
impl Arguments {
    #[command]
    fn size(&self, _cx: &Context, size: Size, more: Option<Size>) -> String {
        format!("{size:?} {more:?}")
    }

    #[command]
    fn wait(&self, _cx: &Context, wait: Duration, what: Option<String>) -> String {
        format!("{} s {what:?}", wait.as_secs())
    }

    #[command]
    fn sum(&self, _cx: &Context, numbers: Vec<i64>) -> String {
        numbers.iter().sum::<i64>().to_string()
    }

    #[command]
    fn tell(&self, _cx: &Context, whom: User, place: Channel, text: Rest) -> String {
        format!("{whom} in {place}: {text}")
    }

    #[command]
    fn pair(&self, _cx: &Context, first: String, second: String) -> String {
        format!("{first}|{second}")
    }
}

#[test]
fn each_kind_of_argument_is_read_as_people_type_it() {
    let bot = Bot::<Arguments>::new();
    for (line, answer) in [
        ("!size very-big", "VeryBig None"),
        ("!size SMALL M", "Small Some(Between)"),
        ("!wait 1m30s", "90 s None"),
        ("!wait 2H the tea", "7200 s Some(\"the tea\")"),
        ("!sum", "0"),
        ("!sum 1 -2 30", "29"),
        ("!tell @bob: #tea \"it\" is ready", "bob in #tea: \"it\" is ready"),
        ("!pair \"Ada Lovelace\" first bug", "Ada Lovelace|first bug"),
        ("!pair a \"b c\"", "a|b c"),
    ] {
        assert_eq!(bot.say(line).text(), answer, "{line}");
    }
}

#[test]
fn what_does_not_fit_is_explained_in_plain_words() {
    let bot = Bot::<Arguments>::new();
    for (line, answer) in [
        ("!size", "Usage: !size <size> [more]"),
        ("!size huge", "size: \"huge\" is not a choice; write small, very-big or middle. Usage: !size <size> [more]"),
        ("!wait soon", "wait: \"soon\" is not a duration; write 10s, 5m, 2h30m or 1d. Usage: !wait <wait> [what]"),
        ("!sum 1 x", "numbers: \"x\" is not a whole number. Usage: !sum [numbers …]"),
        ("!tell #tea x", "\"#tea\" is a channel; write the name of a person. Usage: !tell <whom> <place> [text]"),
        ("!tell bob tea", "\"tea\" is not a channel; write its name, such as #tea. Usage: !tell <whom> <place> [text]"),
    ] {
        assert_eq!(bot.say(line).text(), answer, "{line}");
    }
}

#[test]
fn any_line_is_taken_apart_into_words_of_it() {
    let letters = ['a', 'é', ' ', ' ', '\u{3000}', '"', '“', '”', '„', '«', '»', '1', 's', '-', '\u{1f600}'];
    let mut random = Random::seeded(1);
    for _ in 0..20_000 {
        let length = random.between(0..=12);
        let line: String = (0..length).filter_map(|_| random.pick(&letters)).collect();
        let mut args = Args::new(&line);
        let first = args.word::<String, _>("first");
        let all = args.last::<Vec<String>, _>("all").expect("any word is a text");
        for word in first.iter().chain(&all) {
            assert!(line.contains(word.as_str()), "{word:?} of {line:?}");
        }
        let _ = Args::new(&line).last::<Duration, _>("wait");
        let _ = Args::new(&line).last::<Vec<u8>, _>("numbers");
    }
}

/// Commands with subcommands, with and without a method of their own.
#[derive(Default)]
struct Quotes;

#[plugin(probe = "quotes 1")]
impl Quotes {
    /// Read a quote: `!quotes 3`
    #[command(aliases("q"), requires = "viewer")]
    fn quotes(&self, cx: &Context, number: u8) -> String {
        format!("{number} {:?}", cx.subcommand())
    }

    /// Find quotes
    #[command(path = "quotes search", aliases("find"))]
    async fn search(&self, cx: &Context, word: String) -> String {
        format!("{}/{}: {word}", cx.command(), cx.subcommand())
    }

    /// Delete a quote
    #[command(path = "quotes delete", requires = "operator", cooldown = "1m")]
    fn delete(&self, cx: &Context, number: Option<u8>) -> String {
        format!("{number:?} of {}", cx.args())
    }

    /// Remember a link: `!link add URL`
    #[command(path = "link add")]
    fn add(&self, _cx: &Context, link: String) -> String {
        link
    }

    #[command(path = "link list")]
    fn list(&self, _cx: &Context) -> &'static str {
        "none"
    }
}

#[test]
fn a_subcommand_is_a_method_of_its_own() {
    let bot = Bot::<Quotes>::new();
    for (line, answer) in [
        ("!quotes 3", "3 \"\""),
        ("!quotes search two  words", "quotes/search: two  words"),
        ("!Q FIND tea", "Q/FIND: tea"),
        ("!quotes search", "Usage: !quotes search <word>"),
        (
            "!quotes serch tea",
            "number: \"serch tea\" is not a whole number; did you mean !quotes search? Usage: !quotes 3",
        ),
        ("!quotes delete 7", "Some(7) of 7"),
        ("!quotes delete 8", "Wait 60 s before !quotes delete."),
        ("!quotes 4", "4 \"\""),
        ("!link list", "none"),
        ("!link", "Usage: !link add URL, !link list"),
        ("!link lst", "!link has no \"lst\"; did you mean list? Usage: !link add URL, !link list"),
        ("!link x", "!link has no \"x\". Usage: !link add URL, !link list"),
    ] {
        assert_eq!(bot.say(line).text(), answer, "{line}");
    }
    assert_eq!(bot.probe().text(), "1 \"\"");
}

#[test]
fn the_manifest_has_subcommands_within_their_command() {
    let [quotes, link] = Quotes::MANIFEST.commands else { panic!("two commands") };
    assert_eq!((quotes.name, quotes.aliases, quotes.requires), ("quotes", &["q"][..], "viewer"));
    let names: Vec<_> = quotes.subcommands.iter().map(|it| (it.name, it.aliases, it.requires, it.help)).collect();
    let (search, delete): (&[_], &[_]) = (&["find"], &[]);
    assert_eq!(names, [("search", search, "", "Find quotes"), ("delete", delete, "operator", "Delete a quote")]);
    assert_eq!((link.name, link.usage, link.help), ("link", "!link add URL, !link list", ""));
}
