//! Commands on real processes: subcommands, the roles that they need, and what `!help` says about them.

use rosey_tests::{
    bot::{Bot, Folder},
    shell::folder,
};

/// A bot at whose console this person sits.
fn start(folder: &Folder, person: &str, more: &str) -> Bot {
    let settings = format!("[connect.console]\nuser = {person:?}\n{more}\n[plugins.misbehave]\n");
    let mut bot = folder.start_without_console(&settings);
    assert_eq!(bot.ask("!variant"), "first");
    bot
}

#[test]
fn a_command_for_operators_wakes_no_plugin_for_others() {
    let folder = folder();
    let mut stranger = start(&folder, "bob", "");
    assert_eq!(stranger.ask("!VAULT Open 1 2"), "!vault open needs the role operator, which you do not have.");
    assert_eq!(stranger.ask("!misbehave:vault open"), "!vault open needs the role operator, which you do not have.");
    assert_eq!(stranger.ask("!Vault L"), "closed");
    assert!(stranger.ask("!vault look").starts_with("Wait "), "the subcommand has a cooldown of its own");
    assert!(stranger.ask("!vault opne").contains(" did you mean open? Usage: !vault open [doors …], !vault look"));
    assert!(stranger.end().success());

    let mut viewer = start(&folder, "bob", "[roles]\nbob = \"viewer\"");
    let events = |bot: &mut Bot| {
        let status = bot.ask("!admin status misbehave");
        let count = status.split(", ").find(|part| part.ends_with(" event") || part.ends_with(" events"));
        count.unwrap_or_else(|| panic!("no count in {status}")).to_owned()
    };
    let before = events(&mut viewer);
    assert_eq!(viewer.ask("!vault open"), "!vault open needs the role operator, which you do not have.");
    assert_eq!(events(&mut viewer), before, "the line has not reached the plugin");
    assert!(viewer.end().success());

    let mut operator = start(&folder, "bob", "[roles]\nbob = \"operator\"");
    assert_eq!(operator.ask("!vault open 1 2"), "bob opens 2");
    assert!(operator.ask("!vault open x").starts_with("doors: \"x\" is not a whole number. Usage: "));
    assert!(operator.end().success());
    let mut owner = start(&folder, "alice", "");
    assert_eq!(owner.ask("!vault open"), "alice opens 0");
    assert!(owner.end().success());
}

#[test]
fn a_channel_has_its_own_prefix_in_commands_and_in_what_rosey_says_of_them() {
    let folder = folder();
    let settings = "[connect.console]\nuser = \"bob\"\n[prefixes]\n\"console:terminal\" = \".\"\n[plugins.misbehave]\n";
    let mut bot = folder.start_without_console(settings);
    assert_eq!(bot.ask(".variant"), "first");
    bot.say("!variant");
    assert_eq!(bot.ask(".help valt"), "There is no command valt; did you mean .vault? .help lists all.");
    assert_eq!(bot.ask(".vault open"), ".vault open needs the role operator, which you do not have.");
    assert!(bot.ask(".valt").contains("did you mean .vault? .help lists "));
    assert!(!bot.ask(".admin list").contains("no such command"), "the admin has it too");
    assert_eq!(bot.ask(".exit many"), "code: \"many\" is not a whole number. Usage: .exit <code>");
    assert_eq!(bot.ask(".echo !vault is no !door"), ".vault is no !door");
    assert!(bot.end().success());

    for (right, wrong, problem) in [
        ("console:terminal", "cosole:terminal", "prefixes.cosole:terminal: needs the name of a channel"),
        ("\".\"", "\"a \"", "prefixes.console:terminal: needs 1 to 4 signs such as"),
    ] {
        let file = folder.configure_without_console(&settings.replace(right, wrong));
        let mut check = std::process::Command::new(rosey_tests::build::rosey());
        let output = check.arg("check").arg("--config").arg(file).output().expect("it is built");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn help_is_about_a_command_a_subcommand_or_a_plugin() {
    let folder = folder();
    let mut bot = start(&folder, "bob", "");
    assert!(bot.ask("!help vault").ends_with(" (misbehave). With open, look: !help vault open says more."));
    let open = "!vault open [doors …] — For operators. (misbehave; needs the role operator)";
    assert_eq!(bot.ask("!help VAULT open"), open);
    assert_eq!(bot.ask("!help vault l"), "!vault look — For everyone. (misbehave; or l)");
    let plugin = bot.ask("!help Misbehave");
    assert!(
        plugin.starts_with("misbehave") && plugin.contains("!vault") && plugin.contains("!help COMMAND"),
        "{plugin}"
    );
    assert_eq!(bot.ask("!help valt"), "There is no command valt; did you mean !vault? !help lists all.");
    assert!(bot.end().success());
}
