use super::channels::ANSWER_WITHIN;
use super::{
    super::{config::IrcConfig, split},
    *,
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings(more: &str) -> Arc<Settings> {
    let json =
        format!(r##"{{"server": "irc.example", "nick": "rosey", "channels": ["#Rosey", "#key s3cret"]{more}}}"##);
    let (config, _) = IrcConfig::parse(&json);
    Arc::new(config.settings("irc").expect("valid settings"))
}

fn network() -> Network {
    Network { id: "irc".into(), case: CaseMapping::Rfc1459 }
}

/// A session, and a clock that the test moves.
struct Client {
    session: Session,
    now: Instant,
    first: Vec<Effect>,
}

impl Client {
    fn new(more: &str) -> Self {
        let now = Instant::now();
        let (session, first) = Session::begin(settings(more), now);
        Self { session, now, first }
    }

    /// One that is in both channels, on a server that names accounts.
    fn inside() -> Self {
        let mut client = Self::new("");
        client.takes(&[
            ":s CAP * LS :account-tag message-tags",
            ":s CAP * ACK :message-tags",
            ":s CAP * ACK :account-tag",
        ]);
        client.takes(&[":s 001 rosey :hi", ":rosey!~r@host JOIN #rosey", ":rosey!~r@host JOIN #key * :Rosey"]);
        client
    }

    fn takes(&mut self, lines: &[&str]) -> Vec<Effect> {
        lines.iter().flat_map(|line| self.session.line(line, self.now)).collect()
    }

    /// What it sends in answer to these lines.
    fn sends(&mut self, lines: &[&str]) -> Vec<String> {
        sent(self.takes(lines))
    }

    fn waits(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.session.tick(self.now)
    }

    fn inbound(&mut self, line: &str) -> Option<Inbound> {
        self.takes(&[line]).into_iter().find_map(|effect| match effect {
            Effect::Inbound(inbound) => Some(inbound),
            _ => None,
        })
    }
}

fn sent(effects: Vec<Effect>) -> Vec<String> {
    let line = |effect| match effect {
        Effect::Urgent(line) | Effect::Send(line) => Some(line),
        _ => None,
    };
    effects.into_iter().filter_map(line).collect()
}

fn closes(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close(why) => Some(why.as_str()),
        _ => None,
    })
}

#[test]
fn what_people_do_beside_talking_is_told_where_the_bot_is() {
    let mut client = Client::inside();
    let lines = [
        "@account=alice :al!a@h JOIN #ROSEY",
        ":bo!b@h PART #rosey :see \u{2}you",
        ":bo!b@h JOIN #other",
        ":al!a@h TOPIC #rosey :Dice",
        ":al!a@h NICK al_",
        ":al_!a@h KICK #rosey bo :bye",
        ":bo!b@h QUIT :Ping timeout",
        ":rosey!~r@host TOPIC #rosey :mine",
        ":irc.example NOTICE * :hi",
    ];
    let told = client.takes(&lines).into_iter().filter_map(|effect| match effect {
        Effect::Occurred(occurred) => Some(occurred),
        _ => None,
    });
    let nick = || Identity::Nick { network: network() };
    let account = Identity::Account { network: network(), name: "alice".into() };
    let expected = [
        ("al", account, "#rosey", What::Join),
        ("bo", nick(), "#rosey", What::Part { reason: "see you".into() }),
        ("al", nick(), "#rosey", What::Topic { text: "Dice".into() }),
        ("al", nick(), "", What::Nick { new: "al_".into() }),
        ("bo", nick(), "#rosey", What::Part { reason: "kicked by al_: bye".into() }),
        ("bo", nick(), "", What::Part { reason: "Ping timeout".into() }),
    ];
    let expected = expected.map(|(nick, identity, place, what)| Occurred {
        nick: nick.into(),
        identity,
        place: place.into(),
        what,
    });
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn a_server_without_capabilities_lets_the_bot_in() {
    let mut client = Client::new(r#", "password": ":s p""#);
    let first = sent(std::mem::take(&mut client.first));
    assert_eq!(first, ["PASS ::s p", "CAP LS 302", "NICK rosey", "USER rosey 0 * :Rosey, a chat bot"]);
    assert!(client.sends(&[":s 421 * CAP :Unknown command", ":s NOTICE * :looking you up"]).is_empty());
    assert_eq!(client.sends(&["PING :17", ":s 001 rosey :hi"]), ["PONG :17", "JOIN #Rosey", "JOIN #key s3cret"]);
    assert!(client.session.is_registered() && !client.session.reaches("#rosey") && client.session.reaches("al"));
    client.takes(&[":rosey!~r@host JOIN #ROSEY"]);
    assert!(client.session.reaches("#rosey") && !client.session.reaches("#other"));
}

#[test]
fn capabilities_are_asked_for_where_offered() {
    let mut client = Client::new("");
    let list = [":s CAP * LS * :multi-prefix sasl=PLAIN account-tag", ":s CAP * LS :message-tags server-time"];
    assert_eq!(client.sends(&list), ["CAP REQ :account-tag", "CAP REQ :message-tags"]);
    assert!(client.sends(&[":s CAP rosey ACK :account-tag "]).is_empty());
    assert_eq!(client.sends(&[":s CAP rosey NAK :message-tags"]), ["CAP END"]);
    assert!(client.session.account_tag);
    client.takes(&[":s 001 rosey :hi", ":s CAP rosey DEL :account-tag"]);
    assert!(!client.session.account_tag);
    assert_eq!(client.sends(&[":s CAP rosey NEW :sasl=PLAIN account-tag"]), ["CAP REQ :account-tag"]);
    assert_eq!(Client::new("").sends(&[":s CAP * LS :"]), ["CAP END"]);
}

#[test]
fn sasl_logs_in_before_anything_else() {
    let mut client = Client::new(r#", "account": "rosey", "account_password": "s3cret""#);
    assert_eq!(client.sends(&[":s CAP * LS :sasl=EXTERNAL,PLAIN"]), ["CAP REQ :sasl"]);
    assert_eq!(client.sends(&[":s CAP * ACK :sasl"]), ["AUTHENTICATE PLAIN"]);
    assert_eq!(client.sends(&["AUTHENTICATE +"]), ["AUTHENTICATE AHJvc2V5AHMzY3JldA=="]);
    assert_eq!(client.sends(&[":s 900 rosey r!r@h rosey :in", ":s 903 rosey :done"]), ["CAP END"]);
    assert_eq!(client.sends(&[":s 001 rosey :hi"]).len(), 2);
    assert!(client.sends(&["AUTHENTICATE +"]).is_empty());
}

#[test]
fn a_long_password_travels_in_pieces() {
    for (length, pieces) in [(280, 1), (293, 2), (300, 2)] {
        let more = format!(r#", "account": "rosey", "account_password": "{}""#, "x".repeat(length));
        let mut client = Client::new(&more);
        let lines = client.sends(&["AUTHENTICATE +"]);
        assert_eq!(lines.len(), pieces, "{length}: {lines:?}");
        let last = lines.last().expect("one at least");
        assert_eq!(length == 293, last == "AUTHENTICATE +", "a full line is followed by an empty one: {lines:?}");
    }
}

#[test]
fn without_its_account_the_bot_does_not_go_on() {
    for (lines, why) in [
        (&[":s CAP * LS :account-tag"][..], "offers no login"),
        (&[":s CAP * LS :sasl=EXTERNAL"], "offers no login"),
        (&[":s 421 * CAP :Unknown command"], "knows no SASL"),
        (&[":s CAP * LS :sasl", ":s CAP * NAK :sasl"], "denies"),
        (&[":s CAP * LS :sasl", ":s CAP * ACK :sasl", ":s 904 * :Wrong\u{1b} password"], "(Wrong password): check"),
        (&[":s 908 * EXTERNAL :are available mechanisms"], "are available mechanisms"),
        (&[":s 001 rosey :hi"], "without its services account"),
    ] {
        let mut client = Client::new(r#", "account": "rosey", "account_password": "x""#);
        let effects = client.takes(lines);
        assert!(closes(&effects).is_some_and(|text| text.contains(why)), "{lines:?}: {effects:?}");
        assert!(!client.session.is_registered());
    }
}

#[test]
fn another_nick_is_found_and_the_wanted_one_taken_back() {
    let mut client = Client::new("");
    let taken = ":s 433 * rosey :Nickname is already in use";
    assert_eq!(client.sends(&[taken, taken]), ["NICK rosey_", "NICK rosey__"]);
    let welcome = client.takes(&[":s 001 rosey__ :hi"]);
    let (nick, wanted) = ("rosey__".to_owned(), "rosey".to_owned());
    assert!(welcome.contains(&Effect::Report(ConnectionEvent::OtherNick { nick, wanted })));
    client.takes(&[":rosey__!~r@host JOIN #rosey", ":rosey__!~r@host JOIN #key"]);
    assert!(client.inbound(":al!a@h PRIVMSG rosey :!roll").is_none(), "the other one is asked");
    assert_eq!(sent(client.waits(PING_AFTER)), ["PING :rosey", "NICK rosey"]);
    assert!(client.sends(&[taken]).is_empty());
    let (nick, wanted) = ("Guest7".to_owned(), "rosey".to_owned());
    let forced = client.takes(&[":rosey__!~r@host NICK Guest7"]);
    assert_eq!(forced, [Effect::Report(ConnectionEvent::Renamed { nick, wanted })], "not of its own will");
    assert_eq!(client.sends(&[":ROSEY!x@y QUIT :gone"]), ["NICK rosey"]);
    assert_eq!(client.sends(&[":rosey!x@y NICK other"]), ["NICK rosey"]);
    let back = client.takes(&[":Guest7!~r@host NICK :rosey"]);
    assert_eq!(back, [Effect::Report(ConnectionEvent::NickBack { nick: "rosey".into() })]);
    assert!(client.inbound(":al!a@h PRIVMSG rosey :!roll").is_some_and(|inbound| inbound.is_query));
    assert_eq!(client.sends(&[":rosey!x@y QUIT"]), Vec::<String>::new());
}

#[test]
fn nicks_get_shorter_where_longer_ones_are_refused() {
    let mut client = Client::new("");
    let (taken, bad) = (":s 433 * x :taken", ":s 432 * x :bad");
    assert_eq!(client.sends(&[taken, bad, taken]), ["NICK rosey_", "NICK rosey2", "NICK rosey___"]);
    assert_eq!(client.sends(&[taken, taken]), ["NICK rosey4", "NICK rosey5"]);
    let effects = client.takes(&[taken; 20]);
    assert!(closes(&effects).is_some_and(|why| why.contains("connect.irc.nick")), "{effects:?}");
    let mut client = Client::new("");
    let effects = client.takes(&[":s 432 * rosey :Erroneous nickname"]);
    assert!(closes(&effects).is_some_and(|why| why.contains("connect.irc.nick")));
}

#[test]
fn identity_is_what_the_server_says_of_this_very_message() {
    let mut client = Client::inside();
    let identity = |client: &mut Client, tags: &str| {
        client.inbound(&format!("{tags}:al!a@h PRIVMSG #rosey :!roll")).expect("a message").identity
    };
    assert_eq!(
        identity(&mut client, "@account=alice "),
        Identity::Account { network: network(), name: "alice".into() }
    );
    assert_eq!(identity(&mut client, ""), Identity::Nick { network: network() });
    for tags in ["@account ", "@account= ", "@account=* ", "@+account=alice ", "@time=1;x=account=alice "] {
        assert_eq!(identity(&mut client, tags), Identity::Nick { network: network() }, "{tags}");
    }
    client.takes(&[":s CAP rosey DEL :account-tag"]);
    assert_eq!(identity(&mut client, "@account=alice "), Identity::Nick { network: network() });
}

#[test]
fn only_what_people_say_is_said() {
    let mut client = Client::inside();
    let inbound = client.inbound(":Al!a@h PRIVMSG #ROSEY :\u{3}04!roll 2d6 ").expect("a message");
    assert_eq!((inbound.place.as_str(), inbound.text.as_str(), inbound.is_query), ("#rosey", "!roll 2d6", false));
    assert_eq!((inbound.nick.as_str(), inbound.host.as_str()), ("Al", "a@h"));
    let query = client.inbound(":Al[1]!a@h PRIVMSG Rosey :!roll").expect("a message");
    assert!(query.is_query && query.place == "al{1}", "{query:?}");
    for line in [
        ":al!a@h NOTICE #rosey :!roll",
        ":al!a@h PRIVMSG #rosey :\u{1}ACTION !roll\u{1}",
        ":al!a@h PRIVMSG rosey :\u{1}VERSION\u{1}",
        ":irc.example PRIVMSG #rosey :!roll",
        ":rosey!~r@host PRIVMSG #rosey :!roll",
        ":al!a@h PRIVMSG @#rosey :!roll",
        ":al!a@h PRIVMSG #elsewhere :!roll",
        ":al!a@h PRIVMSG somebody :!roll",
        "PRIVMSG #rosey :!roll",
    ] {
        assert_eq!(client.inbound(line), None, "{line}");
    }
    client.takes(&[":s 005 rosey CASEMAPPING=ascii CHANTYPES=# :are supported"]);
    assert_eq!(client.inbound(":Al[1]!a@h PRIVMSG rosey :hi").map(|inbound| inbound.place), Some("al[1]".into()));
}

#[test]
fn a_silent_server_is_asked_and_then_given_up() {
    let mut client = Client::inside();
    assert_eq!(client.session.wake(), client.now + PING_AFTER);
    assert_eq!(sent(client.waits(PING_AFTER)), ["PING :rosey"]);
    client.takes(&[":s PONG s :rosey"]);
    assert!(client.waits(PONG_WITHIN).is_empty());
    assert_eq!(sent(client.waits(PONG_WITHIN)), ["PING :rosey"]);
    let effects = client.waits(PONG_WITHIN);
    assert_eq!(closes(&effects), Some("the server has said nothing for 90 s"));
    let mut client = Client::new("");
    client.waits(PING_AFTER);
    client.takes(&[":s NOTICE * :wait"]);
    assert!(closes(&client.waits(REGISTER_WITHIN - PING_AFTER)).is_some_and(|why| why.contains("within 90 s")));
    assert!(closes(&client.takes(&["ERROR :Closing link"])).is_some_and(|why| why.contains("Closing link")));
}

#[test]
fn the_bot_comes_back_to_its_channels() {
    let mut client = Client::inside();
    let kick = ":al!a@h KICK #Rosey rosey :go\u{2} away";
    let effects = client.takes(&[kick]);
    let [Effect::Report(ConnectionEvent::Removed { why, after, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((why.as_str(), *after), ("al (go away)", 5 * SECOND));
    assert!(!client.session.reaches("#rosey") && client.session.reaches("#key"));
    assert_eq!(client.session.wake(), client.now + 5 * SECOND);
    assert_eq!(sent(client.waits(5 * SECOND)), ["JOIN #Rosey"]);
    client.takes(&[":rosey!~r@host JOIN #rosey", kick]);
    assert!(client.waits(5 * SECOND).is_empty());
    assert_eq!(client.sends(&[":al!a@h INVITE rosey #rosey"]), ["JOIN #Rosey"]);
    client.takes(&[":rosey!~r@host JOIN #rosey", ":x!a@h KICK #rosey al", ":al!a@h PART #rosey"]);
    assert!(client.session.reaches("#rosey"));
    client.takes(&[":rosey!~r@host PART #rosey"]);
    assert!(!client.session.reaches("#rosey"));
}

#[test]
fn a_closed_door_says_what_to_do() {
    for (code, advice) in
        [("471", "full"), ("473", "invite"), ("474", "ban"), ("475", "#channel key"), ("477", "account")]
    {
        let mut client = Client::new("");
        client.takes(&[":s 001 rosey :hi"]);
        let effects = client.takes(&[&format!(":s {code} rosey #rosey :Cannot join channel")]);
        let [Effect::Report(ConnectionEvent::Refused { advice: text, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert!(text.contains(advice), "{text}");
        assert_eq!(sent(client.waits(5 * SECOND)), ["JOIN #Rosey"]);
    }
    let mut client = Client::inside();
    assert_eq!(client.takes(&[":s 404 rosey #rosey :Cannot send", ":s 404 rosey #rosey :Cannot send"]).len(), 1);
}

#[test]
fn any_error_that_names_a_wanted_channel_is_a_refusal_and_said_once() {
    for code in ["470", "480", "495", "500", "609", "926", "999"] {
        let mut client = Client::new("");
        client.takes(&[":s 001 rosey :hi"]);
        let refusal = format!(":s {code} rosey #ROSEY ##overflow :Not you");
        let effects = client.takes(&[&refusal]);
        let [Effect::Report(ConnectionEvent::Refused { channel, why, advice, .. })] = &effects[..] else {
            panic!("{code}: {effects:?}")
        };
        assert_eq!((channel.as_str(), why.as_str()), ("#Rosey", "Not you"));
        assert!(
            advice.contains(if code == "470" { "to ##overflow" } else { "it takes no one in" })
                || advice.contains(code)
        );
        assert!(client.takes(&[&refusal]).is_empty(), "{code} again is no news");
        assert_eq!(client.takes(&[":s 474 rosey #rosey :Banned"]).len(), 1, "another reason is");
        client.takes(&[":rosey!~r@host JOIN #rosey", ":rosey!~r@host PART #rosey"]);
        assert_eq!(client.takes(&[":s 474 rosey #rosey :Banned"]).len(), 1, "and so is the same after a stay");
    }
    let mut client = Client::inside();
    for line in [":s 482 rosey #rosey :No operator", ":s 499 rosey #other :?", ":s 421 rosey FOO :Unknown", ":s 433 :x"]
    {
        assert!(client.takes(&[line]).is_empty(), "{line}");
    }
}

#[test]
fn a_channel_that_the_bot_was_moved_to_is_left() {
    let mut client = Client::inside();
    let effects = client.takes(&[":rosey!~r@host JOIN ##overflow"]);
    assert!(matches!(&effects[1], Effect::Report(ConnectionEvent::Misplaced { channel }) if channel == "##overflow"));
    assert_eq!(sent(effects), ["PART ##overflow"]);
    assert!(client.takes(&[":al!a@h JOIN ##overflow", ":rosey!~r@host PART ##overflow"]).is_empty());
}

#[test]
fn a_bot_that_is_in_none_of_its_channels_is_nowhere() {
    let mut client = Client::new("");
    assert!(!client.session.is_nowhere());
    client.takes(&[":s 001 rosey :hi"]);
    assert!(!client.session.is_nowhere(), "the answer is still to come");
    client.takes(&[":s 474 rosey #rosey :Banned"]);
    assert!(!client.session.is_nowhere(), "there is another channel");
    client.waits(ANSWER_WITHIN);
    assert!(client.session.is_nowhere(), "which never answers");
    client.takes(&[":rosey!~r@host JOIN #key"]);
    assert!(!client.session.is_nowhere());
}

#[test]
fn the_own_name_is_known_as_the_server_writes_it() {
    let mut client = Client::new("");
    client.takes(&[":s 001 rosey :hi"]);
    assert_eq!(client.session.mask(), "rosey!@".len() + LONGEST_USER_AND_HOST);
    client.takes(&[":rosey!~r@host.example JOIN #rosey"]);
    assert_eq!(client.session.mask(), "rosey!~r@host.example".len());
    client.takes(&[":s 396 rosey cloak :is now your displayed host"]);
    assert_eq!(client.session.mask(), "rosey!@".len() + LONGEST_USER_AND_HOST);
    client.takes(&[":s 396 rosey u@cloak :is now your displayed host"]);
    assert_eq!(client.session.mask(), "rosey!u@cloak".len());
    assert!(split::room(client.session.mask(), "#rosey") > 400);
}

fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("rosey"),
        Just("#rosey"),
        Just("#key"),
        Just("al"),
        Just("*"),
        Just("LS"),
        Just("ACK"),
        Just("NAK"),
        Just("NEW"),
        Just("DEL"),
        Just("+"),
        Just(":"),
        Just(":account-tag sasl"),
        Just("CASEMAPPING=ascii"),
        Just("\u{1}x"),
        Just("é@"),
    ];
    let command = prop_oneof![
        Just("PING"),
        Just("PRIVMSG"),
        Just("NICK"),
        Just("QUIT"),
        Just("JOIN"),
        Just("KICK"),
        Just("PART"),
        Just("INVITE"),
        Just("CAP"),
        Just("AUTHENTICATE"),
        Just("ERROR"),
        Just("001"),
        Just("005"),
        Just("396"),
        Just("433"),
        Just("432"),
        Just("437"),
        Just("404"),
        Just("473"),
        Just("903"),
        Just("904"),
        Just("PONG"),
        Just("999"),
    ];
    let prefix = prop_oneof![Just(""), Just(":rosey!r@h "), Just(":al!a@h "), Just(":s "), Just("@account=x :al!a@h ")];
    (prefix, command, proptest::collection::vec(word, 0..5))
        .prop_map(|(prefix, command, words)| format!("{prefix}{command} {}", words.join(" ")))
}

proptest! {
    #[test]
    fn no_server_brings_it_out_of_step(
        lines in proptest::collection::vec((line(), 0_u64..40), 0..120), has_account in any::<bool>(),
    ) {
        let more = if has_account { r#", "account": "rosey", "account_password": "x""# } else { "" };
        let mut client = Client::new(more);
        for (line, seconds) in lines {
            let effects: Vec<_> =
                client.waits(Duration::from_secs(seconds)).into_iter().chain(client.takes(&[&line])).collect();
            for effect in &effects {
                if let Effect::Inbound(inbound) = effect {
                    prop_assert!(client.session.is_registered());
                    prop_assert!(inbound.is_query || client.session.reaches(&inbound.place));
                }
            }
            prop_assert!(effects.len() < 20, "{line}: {effects:?}");
            // After a tick there is always something to wait for.
            client.session.tick(client.now);
            prop_assert!(client.session.wake() > client.now || client.session.pinged.is_some() || !client.session.is_registered());
        }
    }
}
