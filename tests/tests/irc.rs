//! The bot on IRC: with real servers from Debian's packages and real clients, and with a server of our own for lines
//! that no real one sends.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
    irc::{Network, Person, free_port},
};
use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

/// Faster than a real network would allow.
const FAST: &str = "channels = [\"#rosey\"]\nline_interval = 0.1\n";

const PLUGINS: &str = "[plugins.dice-roller]\n[plugins.misbehave]\n";

fn folder() -> Folder {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

/// A bot that is in its channel.
fn start(folder: &Folder, settings: &str) -> Bot {
    let bot = folder.start_without_console(&format!("{settings}{PLUGINS}"));
    bot.until_logged("irc: in #rosey");
    bot
}

fn leave(bot: &mut Bot) {
    bot.signal(Signal::TERM);
    assert!(bot.exit().success(), "{}", bot.log());
}

#[test]
fn people_roll_in_a_channel_and_in_a_query() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = start(&folder, &format!("{}{FAST}", network.settings()));
    // No person is at the terminal: its end is not the end of the bot.
    bot.end_input();
    let mut al = Person::beside("rosey", &network, "al");
    let roll = al.asks("#Rosey", "!roll 2d6+3");
    assert!(roll.starts_with("al: 2d6+3: ") && roll.contains(" = "), "{roll}");
    assert!(al.asks("rosey", "!roll 2d6").starts_with("2d6: "));
    assert_eq!(al.asks("rosey", "!dance"), "There is no such command; !help lists them.");
    // None of these is a command, or it is for another bot.
    al.say("#rosey", "!dance");
    al.say("#rosey", "\u{1}ACTION !roll 1d6\u{1}");
    al.say("rosey", "\u{1}VERSION\u{1}");
    al.send("NOTICE #rosey :!roll 1d6");
    assert_eq!(al.asks("#rosey", "\u{3}04!echo\u{3} done"), "al: done");
    let refused = al.asks("#rosey", "!admin reload misbehave");
    assert_eq!(refused, "al: Admin permission required.");
    leave(&mut bot);
    assert!(al.until(" QUIT ").contains("Rosey is stopping"));
}

#[test]
fn a_bare_nick_may_where_nicks_are_trusted() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = start(&folder, &format!("{}{FAST}[admin]\ntrust_nicks = true\n", network.settings()));
    bot.until_logged("a person who takes the nick of an admin becomes an admin");
    let mut alice = Person::beside("rosey", &network, "alice");
    assert!(alice.asks("rosey", "!admin list").contains("misbehave 1.0.0 running"));
    let mut al = Person::beside("rosey", &network, "al");
    assert_eq!(al.asks("rosey", "!admin list"), "Admin permission required.");
    leave(&mut bot);
}

#[test]
fn two_people_at_once_are_answered_in_their_order() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = start(&folder, &format!("{}{FAST}", network.settings()));
    let mut people = ["al", "bo"].map(|nick| Person::beside("rosey", &network, nick));
    for n in 0..10 {
        people.iter_mut().for_each(|person| person.say("#rosey", &format!("!echo {n}")));
    }
    let answers: Vec<_> = (0..20).map(|_| people[0].hears("rosey")).collect();
    for nick in ["al", "bo"] {
        let own: Vec<_> = answers.iter().filter_map(|answer| answer.strip_prefix(&format!("{nick}: "))).collect();
        assert_eq!(own, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "{answers:?}");
    }
    leave(&mut bot);
}

#[test]
fn a_server_that_dies_is_found_again() {
    let Some(mut network) = Network::ngircd() else { return };
    let folder = folder();
    let settings = format!("[dashboard]\nenabled = true\nport = 0\n{}{FAST}", network.settings());
    let mut bot = start(&folder, &settings);
    let dashboard = bot.dashboard();
    let is_up = |up: u8| {
        http::get(&dashboard, "/metrics").text().contains(&format!("rosey_connector_up{{connector=\"irc\"}} {up}\n"))
    };
    wait_until("the bot is connected", || is_up(1));
    network.kill();
    bot.until_logged("connecting again at once");
    bot.until_logged("cannot connect to 127.0.0.1");
    wait_until("the bot is not connected", || is_up(0));
    network.start();
    let mut al = Person::beside("rosey", &network, "al");
    assert!(al.asks("#rosey", "!roll 2d6").starts_with("al: 2d6: "));
    wait_until("the bot is connected again", || is_up(1));
    assert!(
        http::get(&dashboard, "/metrics").text().contains("rosey_connector_connections_total{connector=\"irc\"} 2\n")
    );
    assert!(http::get(&dashboard, "/events").text().contains("connecting again at once"));
    leave(&mut bot);
}

#[test]
fn a_nick_that_is_taken_is_taken_back_when_it_is_free() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut thief = Person::new(&network, "rosey");
    thief.send("JOIN #rosey");
    thief.until(" 366 ");
    let mut bot = start(&folder, &format!("{}{FAST}", network.settings()));
    bot.until_logged("the nick rosey is taken; this bot is rosey_ until it is free");
    let mut al = Person::beside("rosey_", &network, "al");
    al.say("#rosey", "!echo hello");
    assert_eq!(al.hears("rosey_"), "al: hello");
    thief.send("QUIT :gone");
    al.until(" NICK :rosey");
    bot.until_logged("this bot is rosey again");
    assert_eq!(al.asks("rosey", "!echo hello"), "hello");
    leave(&mut bot);
}

#[test]
fn a_channel_that_throws_the_bot_out_gets_it_back() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut al = Person::new(&network, "al");
    al.send("JOIN #rosey");
    al.until(" 366 ");
    let mut bot = start(&folder, &format!("{}{FAST}", network.settings()));
    al.send("MODE #rosey +i");
    al.until(" MODE #rosey ");
    al.send("KICK #rosey rosey :go away");
    bot.until_logged("removed from #rosey by al (go away); coming back in 5 s");
    bot.until_logged("ask one of its operators to invite the bot");
    al.send("INVITE rosey #rosey");
    al.until(" JOIN ");
    assert_eq!(al.asks("#rosey", "!echo back"), "al: back");
    leave(&mut bot);
}

#[test]
fn a_long_answer_does_not_get_the_bot_thrown_off() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let all = format!("{}{FAST}max_lines = 100\n", network.settings());
    let mut bot = start(&folder, &all);
    let mut al = Person::beside("rosey", &network, "al");
    assert_eq!(al.asks("#rosey", "!lines 50"), "al: line 1");
    for line in 2..=50 {
        assert_eq!(al.hears("rosey"), format!("line {line}"));
    }
    al.say("rosey", "!long 1000");
    let text: String = (0..3).map(|_| al.hears("rosey")).collect();
    assert_eq!(text, "x".repeat(1000));
    leave(&mut bot);
    let mut bot = start(&folder, &format!("[dashboard]\nenabled = true\nport = 0\n{}{FAST}", network.settings()));
    al.until(" JOIN ");
    assert_eq!(al.asks("#rosey", "!lines 50"), "al: line 1");
    let rest: Vec<_> = (0..4).map(|_| al.hears("rosey")).collect();
    assert_eq!(rest, ["line 2", "line 3", "line 4", "line 5 …"]);
    assert_eq!(al.asks("#rosey", "!echo on"), "al: on");
    let cut = "rosey_connector_dropped_total{connector=\"irc\",why=\"cut\"} 1\n";
    let dashboard = bot.dashboard();
    wait_until("the cut is counted", || http::get(&dashboard, "/metrics").text().contains(cut));
    leave(&mut bot);
}

#[test]
fn who_gives_too_many_commands_is_told_once() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = start(&folder, &format!("{}{FAST}user_commands = 3\nuser_window = \"1h\"\n", network.settings()));
    let mut people = ["al", "bo"].map(|nick| Person::beside("rosey", &network, nick));
    let [al, bo] = &mut people;
    for n in 1..=3 {
        assert_eq!(al.asks("#rosey", &format!("!echo {n}")), format!("al: {n}"));
    }
    assert_eq!(al.asks("#rosey", "!echo 4"), "al: That is more than I can take; try again in 3600 s.");
    al.say("#rosey", "!echo 5");
    al.say("#rosey", "just chatting");
    bo.until("just chatting");
    assert_eq!(bo.asks("#rosey", "!echo mine"), "bo: mine");
    assert_eq!(al.hears("rosey"), "bo: mine");
    leave(&mut bot);
}

#[test]
fn a_request_to_terminate_says_what_is_due_and_goodbye() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = start(&folder, &format!("{}{FAST}", network.settings()));
    let mut al = Person::beside("rosey", &network, "al");
    // The server slows down a person who says much at once, so this must take longer.
    al.say("#rosey", "!later 6000 at last");
    // This came in later, and another plugin answers it, which does not wait.
    assert!(al.asks("#rosey", "!roll 2d6").starts_with("al: 2d6: "));
    bot.signal(Signal::TERM);
    let (answer, quit) = (al.hears("rosey"), al.until(" QUIT "));
    assert!(answer == "al: at last" && quit.starts_with(":rosey!"), "{answer} {quit}");
    assert!(bot.exit().success());
}

#[test]
fn a_console_beside_it_still_ends_the_bot() {
    let Some(network) = Network::ngircd() else { return };
    let folder = folder();
    let mut bot = folder.start(&format!("{}{FAST}{PLUGINS}", network.settings()));
    bot.until_logged("irc: in #rosey");
    assert_eq!(bot.ask("!echo here"), "here");
    let mut al = Person::beside("rosey", &network, "al");
    assert_eq!(al.asks("#rosey", "!echo there"), "al: there");
    assert!(bot.end().success());
    al.until(" QUIT ");
}

#[test]
fn tls_takes_the_servers_own_certificate_and_no_other() {
    let Some(network) = Network::ngircd_with_tls() else { return };
    let folder = folder();
    let settings = network.settings().replace("tls = false", "tls = true");
    let mut bot = folder.start_without_console(&format!("{settings}{FAST}{PLUGINS}"));
    bot.until_logged("set connect.irc.ca_file");
    leave(&mut bot);
    let mut bot = start(&folder, &format!("{settings}ca_file = {:?}\n{FAST}", network.certificate()));
    leave(&mut bot);
}

#[test]
fn a_verified_admin_reloads_while_others_roll() {
    let Some(network) = Network::with_services() else { return };
    let folder = folder();
    // The bot's own account.
    let mut rosey = Person::new(&network, "rosey");
    rosey.registers("hunter22");
    rosey.send("QUIT");
    rosey.until("ERROR");
    let account = |password: &str| {
        let settings = network.settings();
        format!("{settings}{FAST}account = \"rosey\"\naccount_password = \"{password}\"\n[admin]\ncooldown = 0\n")
    };
    let mut bot = folder.start_without_console(&format!("{}{PLUGINS}", account("wrong")));
    bot.until_logged("the login to the services account failed");
    bot.until_logged("connecting again in");
    leave(&mut bot);
    let mut bot = start(&folder, &account("hunter22"));
    let mut alice = Person::beside("rosey", &network, "alice");
    let mut bo = Person::beside("rosey", &network, "bo");
    // The nick of the owner, but not yet the account.
    assert_eq!(alice.asks("#rosey", "!admin reload misbehave"), "alice: Admin permission required.");
    alice.registers("hunter22");
    build::variant(&folder.library("misbehave"), "second");
    let question = alice.asks("#rosey", "!admin reload misbehave");
    assert!(question.starts_with("alice: Reload misbehave 1.0.0 ("), "{question}");
    assert!(question.ends_with("? Type 'yes' to confirm (30 s)"), "{question}");
    bo.say("#rosey", "yes");
    bo.say("#rosey", "!variant");
    alice.say("#rosey", "yes");
    for n in 0..5 {
        bo.say("#rosey", &format!("!echo {n}"));
    }
    let (mut rolls, mut reload) = (Vec::new(), Vec::new());
    while rolls.len() < 6 || reload.len() < 2 {
        let line = alice.hears("rosey");
        match line.strip_prefix("bo: ") {
            Some(roll) => rolls.push(roll.to_owned()),
            None => reload.push(line),
        }
    }
    assert_eq!(rolls[1..], ["0", "1", "2", "3", "4"], "nothing is lost: {rolls:?}");
    assert!(reload[0].starts_with("alice: Reloading misbehave 1.0.0 (") && reload[0].ends_with('…'), "{reload:?}");
    assert!(reload[1].contains("generation 2 is active"), "{reload:?}");
    bo.say("#rosey", "!variant");
    assert_eq!(alice.hears("rosey"), "bo: second");
    leave(&mut bot);
}

#[test]
fn a_wrong_setting_is_named_at_the_start() {
    let folder = folder();
    let text = "[connect.irc]\nserver = \"irc.example\"\nnick = \"9\"\nchannels = [\"rosey\"]\npasword = \"x\"\n";
    let mut bot = folder.start_without_console(text);
    assert_eq!(bot.exit().code(), Some(3));
    bot.until_logged("did you mean password?");
    let mut bot = folder.start_without_console(&text.replace("pasword", "password"));
    assert_eq!(bot.exit().code(), Some(3));
    bot.until_logged("connect.irc.nick");
    bot.until_logged("connect.irc.channels");
    let right = "[connect.irc]\nserver = \"192.0.2.1\"\ntls = false\nnick = \"rosey\"\npassword = \"x\"\n";
    let mut bot = folder.start_without_console(right);
    bot.until_logged("passwords and all messages go to 192.0.2.1 unencrypted");
    leave(&mut bot);
}

/// A server that sends lines that no real one would.
struct Fake {
    listener: TcpListener,
}

/// A connection of the bot to the fake server.
struct Connection {
    write: TcpStream,
    read: BufReader<TcpStream>,
}

impl Fake {
    fn new() -> (Self, String) {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it was free a moment ago");
        let settings =
            format!("[connect.irc]\nserver = \"127.0.0.1\"\nport = {port}\ntls = false\nnick = \"rosey\"\n{FAST}");
        (Self { listener }, settings)
    }

    /// The next connection, up to the welcome and into the channel.
    fn welcome(&self) -> Connection {
        let mut connection = self.connected();
        connection.send(b":rosey!~rosey@localhost JOIN #rosey\r\n");
        connection
    }

    /// The next connection, up to the bot's request to join the channel.
    fn connected(&self) -> Connection {
        let (write, _) = self.listener.accept().expect("the bot connects");
        let read = BufReader::new(write.try_clone().expect("a socket"));
        let mut connection = Connection { write, read };
        connection.until("USER ");
        connection.send(b":irc.example 001 rosey :hi\r\n");
        connection.until("JOIN #rosey");
        connection
    }
}

impl Connection {
    fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).expect("the bot reads");
    }

    /// The next line with this beginning.
    fn until(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.read.read_line(&mut line).expect("UTF-8") > 0, "the bot hung up before {what:?}");
            assert!(line.len() <= 512 && line.ends_with("\r\n"), "{line:?}");
            if line.starts_with(what) {
                return line.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn the_owner_of_one_network_is_a_stranger_on_another() {
    let ((irc, first), (libera, second)) = (Fake::new(), Fake::new());
    let second = second.replace("[connect.irc]", "[connect.libera]\nkind = \"irc\"");
    let folder = folder();
    // Nicks are trusted, so that the servers need no services.
    let trust = "[roles]\n\"libera:bob\" = \"viewer\"\n[admin]\ntrust_nicks = true\n";
    let mut bot = folder.start_without_console(&format!("{first}{second}{trust}{PLUGINS}"));
    let (mut irc, mut libera) = (irc.welcome(), libera.welcome());
    for (on_irc, who, answer) in [
        (true, "alice", "dice-roller 1.0.0 running"),
        (false, "alice", "Admin permission required."),
        (false, "bob", "dice-roller 1.0.0 running"),
        (true, "bob", "Admin permission required."),
    ] {
        let connection = if on_irc { &mut irc } else { &mut libera };
        connection.send(format!(":{who}!a@h PRIVMSG rosey :!admin list\r\n").as_bytes());
        let line = connection.until("PRIVMSG");
        assert!(line.contains(answer), "{who}: {line}");
    }
    libera.send(b":alice!a@h PRIVMSG #rosey :!echo hello\r\n");
    assert_eq!(libera.until("PRIVMSG"), "PRIVMSG #rosey :alice: hello");
    bot.until_logged("list denied user=alice place=libera/alice");
    leave(&mut bot);
}

#[test]
fn a_bot_that_no_channel_lets_in_is_in_trouble() {
    let (server, settings) = Fake::new();
    let folder = folder();
    let settings = format!("[dashboard]\nenabled = true\nport = 0\n{settings}{PLUGINS}");
    let mut bot = folder.start_without_console(&settings);
    let dashboard = bot.dashboard();
    let mut connection = server.connected();
    connection.send(b":irc.example 470 rosey #rosey ##overflow :Forwarding to another channel\r\n");
    connection.send(b":rosey!~rosey@localhost JOIN ##overflow\r\n");
    assert_eq!(connection.until("PART"), "PART ##overflow");
    bot.until_logged("cannot enter #rosey (Forwarding to another channel): it forwards the bot to ##overflow; ask one");
    bot.until_logged("put into ##overflow, which is not in connect.irc.channels");
    let verdict = |text: &str| http::get(&dashboard, "/").text().contains(text);
    wait_until("the trouble is told", || verdict("irc is in none of its channels; the log says why."));
    connection.send(b":rosey!~rosey@localhost JOIN #rosey\r\n");
    wait_until("all is well", || verdict("All is well."));
    leave(&mut bot);
}

#[test]
fn garbage_from_the_server_is_survived() {
    let (server, settings) = Fake::new();
    let folder = folder();
    let mut bot = folder.start_without_console(&format!("{settings}{PLUGINS}"));
    let mut connection = server.welcome();
    let mut random = fastrand::Rng::with_seed(4);
    let long = "x".repeat(100_000);
    for garbage in [
        "\r\n\n\r\r\n : \r\n@\r\n@=;;=\\ :! PRIVMSG\r\n:\r\n\0\0\0\r\n001\r\nPRIVMSG\r\nKICK\r\nJOIN\r\nNICK\r\nCAP\r\n".as_bytes(),
        b":al PRIVMSG #rosey :!echo no user\r\n:!@ PRIVMSG #rosey :!echo nobody\r\n",
        b"@account=alice :al!a@h PRIVMSG #rosey :!admin stop misbehave\r\n",
        b":al!a@h PRIVMSG #rosey :!echo \xff\xfe\xfc\r\n",
        b":al!a@h PRIVMSG #rosey :!echo a\rQUIT :b\0c\r\n",
        format!("@{long} :al!a@h PRIVMSG #rosey :!echo {long}\r\n").as_bytes(),
        format!(":{long} PRIVMSG #rosey :!echo {long}\r\n").as_bytes(),
        format!(":al!a@h PRIVMSG #rosey :!echo {}\r\n", &long[..6000]).as_bytes(),
    ] {
        connection.send(garbage);
    }
    let noise: Vec<u8> = (0..50_000).map(|_| random.u8(..)).filter(|byte| *byte != b'E').collect();
    connection.send(&noise);
    connection.send(b"\r\n:al!a@h PRIVMSG #rosey :!echo still here\r\n");
    let (refusals, answers): (Vec<_>, Vec<_>) =
        (0..4).map(|_| connection.until("PRIVMSG")).partition(|line| line.contains("Admin"));
    assert_eq!(refusals, ["PRIVMSG #rosey :al: Admin permission required."], "the tag was not agreed on");
    assert_eq!(answers, ["ÿþü", "aQUIT :bc", "still here"].map(|text| format!("PRIVMSG #rosey :al: {text}")));
    leave(&mut bot);
}

#[test]
fn tls_where_there_is_none_says_so() {
    let (server, settings) = Fake::new();
    let folder = folder();
    let mut bot = folder.start_without_console(&format!("{}{PLUGINS}", settings.replace("tls = false", "tls = true")));
    let (mut plain, _) = server.listener.accept().expect("the bot connects");
    plain.write_all(b":irc.example NOTICE * :Looking up your hostname\r\n").expect("it reads");
    bot.until_logged("does this port speak TLS?");
    leave(&mut bot);
}

#[test]
fn a_ping_does_not_wait_for_answers_and_an_answer_waits_for_the_connection() {
    let (server, settings) = Fake::new();
    let folder = folder();
    let slow = settings.replace("line_interval = 0.1", "line_interval = \"20s\"\nburst = 3\nmax_lines = 50");
    let mut bot = folder.start_without_console(&format!("{slow}{PLUGINS}"));
    let mut connection = server.welcome();
    connection.send(b":al!a@h PRIVMSG #rosey :!lines 50\r\n");
    assert_eq!(connection.until("PRIVMSG"), "PRIVMSG #rosey :al: line 1");
    connection.send(b"PING :are you there\r\n");
    assert_eq!(connection.until("PONG"), "PONG :are you there");
    leave(&mut bot);

    let mut bot = folder.start_without_console(&format!("{settings}{PLUGINS}"));
    let mut connection = server.welcome();
    connection.send(b":al!a@h PRIVMSG #rosey :!later 300 kept\r\n:al!a@h PRIVMSG rosey :!echo now\r\n");
    assert_eq!(connection.until("PRIVMSG"), "PRIVMSG al :now");
    drop(connection);
    let mut connection = server.welcome();
    assert_eq!(connection.until("PRIVMSG"), "PRIVMSG #rosey :al: kept");
    connection.send(b"ERROR :Closing link\r\n");
    bot.until_logged("the server closes the connection: Closing link");
    // The server no longer lets it in, and pending answers do not keep it.
    bot.signal(Signal::TERM);
    assert!(bot.exit().success());
}

#[test]
fn a_server_that_does_not_read_costs_its_connection_only() {
    let (server, settings) = Fake::new();
    let folder = folder();
    let mut bot = folder.start_without_console(&format!("{settings}{PLUGINS}"));
    let mut connection = server.welcome();
    let ping = "PING :".to_owned() + &"x".repeat(400) + "\r\n";
    let flood = ping.repeat(1000);
    // The system buffers some megabytes for a reader that does not read.
    while connection.write.write_all(flood.as_bytes()).is_ok() && !bot.log().contains("does not read") {}
    bot.until_logged("the server does not read what it is sent; connecting again");
    let mut connection = server.welcome();
    connection.send(b":al!a@h PRIVMSG rosey :!echo again\r\n");
    assert_eq!(connection.until("PRIVMSG"), "PRIVMSG al :again");
    connection.write.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    bot.signal(Signal::TERM);
    assert_eq!(connection.until("QUIT"), "QUIT :Rosey is stopping");
    drop(connection);
    assert!(bot.exit().success());
}
