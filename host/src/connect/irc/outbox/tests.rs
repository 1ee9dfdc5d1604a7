use super::{super::config::IrcConfig, *};
use crate::event::{Identity, Place, User};
use proptest::prelude::*;
use rosey_wire::effect::Style;
use std::sync::Arc;
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);

fn session(now: Instant, lines: &[&str]) -> Session {
    let json = r##"{"server": "irc.example", "nick": "rosey", "channels": ["#a", "#b"]}"##;
    let (config, _) = IrcConfig::parse(json);
    let (mut session, _) = Session::begin(Arc::new(config.settings("irc").expect("valid")), now);
    lines.iter().for_each(|line| drop(session.line(line, now)));
    session
}

/// One that is in both channels.
fn inside(now: Instant) -> Session {
    session(now, &[":s 001 rosey :hi", ":rosey!r@h JOIN #a", ":rosey!r@h JOIN #b"])
}

fn outbox(burst: u32, max_lines: usize, now: Instant) -> Outbox {
    Outbox::new(burst, SECOND, max_lines, now)
}

fn answer(channel: &str, text: &str) -> Outgoing {
    let user = User { name: "al".into(), identity: Identity::Console };
    Outgoing::answer(Place::new("irc", channel).into(), user.into(), text.to_owned())
}

fn lines(outbox: &mut Outbox, session: &Session, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| outbox.next(session, now)).map(|next| next.line).collect()
}

#[test]
fn the_protocol_goes_first_and_answers_in_their_order() {
    let now = Instant::now();
    let (session, mut outbox) = (inside(now), outbox(3, 9, now));
    outbox.push(answer("#a", "one\ntwo"), now);
    outbox.push(answer("bo", "three"), now);
    outbox.push(Outgoing { text: None, ..answer("#a", "") }, now);
    outbox.push(answer("bo", "\u{1}\n"), now);
    outbox.push_own("NICK rosey".to_owned());
    assert_eq!(lines(&mut outbox, &session, now), ["NICK rosey", "PRIVMSG #a :al: one", "PRIVMSG #a :two"]);
    assert_eq!(outbox.wake(Some(&session), now), Some(now + SECOND));
    assert_eq!(lines(&mut outbox, &session, now + SECOND), ["PRIVMSG bo :three"]);
    assert!(lines(&mut outbox, &session, now + 9 * SECOND).is_empty() && outbox.is_empty());
    assert_eq!(outbox.wake(Some(&session), now), None);
}

#[test]
fn a_server_that_has_gone_mad_fills_no_memory() {
    let now = Instant::now();
    let mut outbox = outbox(1, 9, now);
    (0..10_000).for_each(|n| outbox.push_own(format!("PART #{n}")));
    assert_eq!(outbox.own.len(), OWN);
}

#[test]
fn while_connected_it_takes_one_answer_at_a_time() {
    let now = Instant::now();
    let (session, mut outbox) = (inside(now), outbox(1, 9, now));
    assert!(outbox.wants(Some(&session)));
    outbox.push(answer("#a", "one\ntwo"), now);
    assert!(!outbox.wants(Some(&session)) && outbox.wants(None));
    assert_eq!(lines(&mut outbox, &session, now).len(), 1);
    assert!(!outbox.wants(Some(&session)), "the second line waits");
    assert_eq!(lines(&mut outbox, &session, now + SECOND), ["PRIVMSG #a :two"]);
    assert!(outbox.wants(Some(&session)));
    (0..KEPT).for_each(|_| outbox.push(answer("#a", "x"), now));
    assert!(!outbox.wants(None));
}

#[test]
fn an_answer_waits_for_its_channel_and_holds_up_no_other() {
    let now = Instant::now();
    let (mut session, mut outbox) = (inside(now), outbox(9, 9, now));
    session.line(":op!o@h KICK #a rosey", now);
    outbox.push(answer("#a", "kept"), now);
    assert!(outbox.wants(Some(&session)));
    outbox.push(answer("#b", "at once"), now);
    assert_eq!(lines(&mut outbox, &session, now), ["PRIVMSG #b :al: at once"]);
    assert_eq!(outbox.wake(Some(&session), now), Some(now + KEEP));
    session.line(":rosey!r@h JOIN #a", now);
    assert_eq!(lines(&mut outbox, &session, now), ["PRIVMSG #a :al: kept"]);
}

#[test]
fn a_sentence_that_was_cut_short_goes_on_and_an_old_one_does_not() {
    let now = Instant::now();
    let mut outbox = outbox(2, 9, now);
    outbox.push(answer("#a", "one\ntwo\nthree"), now);
    assert_eq!(lines(&mut outbox, &inside(now), now).len(), 2);
    outbox.push_own("NICK rosey".to_owned());
    outbox.disconnected();
    assert_eq!(outbox.len(), 1);
    let later = now + KEEP - SECOND;
    assert!(lines(&mut outbox, &session(later, &[]), later).is_empty(), "the server has not let the bot in");
    assert_eq!(outbox.expire(later), 0);
    assert_eq!(lines(&mut outbox, &inside(later), later), ["PRIVMSG #a :three"]);
    outbox.push(answer("#a", "late"), now);
    assert_eq!((outbox.expire(now + KEEP), outbox.is_empty()), (1, true));
}

#[test]
fn a_cut_is_told_once() {
    let now = Instant::now();
    let (session, mut outbox) = (inside(now), outbox(9, 2, now));
    outbox.push(answer("#a", "one\ntwo\nthree"), now);
    let cuts: Vec<_> = std::iter::from_fn(|| outbox.next(&session, now)).map(|next| (next.line, next.cut)).collect();
    assert_eq!(cuts, [("PRIVMSG #a :al: one".to_owned(), true), ("PRIVMSG #a :two …".to_owned(), false)]);
}

#[test]
fn a_line_that_a_plugin_says_unasked_is_addressed_to_no_one_and_waits_for_its_connection() {
    let now = Instant::now();
    let (session, mut outbox) = (inside(now), outbox(9, 9, now));
    let (receipt, mut told) = oneshot::channel();
    for (style, text) in [(Style::Plain, "one\ntwo"), (Style::Notice, "three"), (Style::Action, "waves")] {
        outbox.push(Outgoing { form: Form::Line(style), ..answer("#a", text) }, now);
    }
    let said = lines(&mut outbox, &session, now);
    let all = ["PRIVMSG #a :one", "PRIVMSG #a :two", "NOTICE #a :three", "PRIVMSG #a :\u{1}ACTION waves\u{1}"];
    assert_eq!(said, all);
    outbox.push(Outgoing { form: Form::Line(Style::Plain), receipt: Some(receipt), ..answer("#a", "x\ny") }, now);
    assert_eq!(outbox.expire(now + 9 * KEEP), 0);
    assert!(outbox.next(&session, now + 9 * KEEP).is_some_and(|first| first.receipt.is_none()));
    let last = outbox.next(&session, now + 9 * KEEP).expect("two lines");
    last.receipt.expect("all of it is sent").send(()).expect("it is waited for");
    assert_eq!(told.try_recv(), Ok(()));
}

proptest! {
    #[test]
    fn nothing_that_a_plugin_says_ends_a_line(
        texts in proptest::collection::vec(".{0,30}|\r\nQUIT|\u{0}|(é\n){0,5}", 1..9), channel in "#a|#b|bo",
    ) {
        let now = Instant::now();
        let (session, mut outbox) = (inside(now), outbox(1, 3, now));
        texts.iter().for_each(|text| outbox.push(answer(&channel, text), now));
        let (mut at, start) = (now, format!("PRIVMSG {channel} :"));
        while let Some(wake) = outbox.wake(Some(&session), at) {
            at = wake;
            let Some(next) = outbox.next(&session, at) else { break };
            prop_assert!(next.line.starts_with(&start) && !next.line.contains(char::is_control), "{next:?}");
            prop_assert!(1 + session.mask() + 1 + next.line.len() + 2 <= 512);
        }
        outbox.expire(now + KEEP);
        prop_assert!(outbox.is_empty());
    }
}
