//! `#[derive(Settings)]`: what it reads, what it refuses, and what Rosey learns of it.

use plugin_api::{Plugin, manifest::Setting, prelude::*, testing::Bot};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

type Hidden = Secret;

/// Every form of setting.
#[derive(Debug, Settings)]
struct Everything {
    /// The city,
    /// in one word.
    ///
    /// More about it.
    #[setting(default = "Bern")]
    city: String,
    #[setting(default = 7, range = 1..=14, unit = "days")]
    days: u8,
    #[setting(default = -1.5, range = -2.0..)]
    colder: f32,
    #[setting(default = "10m", range = "1s"..="1h30m")]
    reuse: Duration,
    #[setting(range = ..="1d")]
    patience: Option<Duration>,
    #[setting(name = "type", default)]
    r#kind: PathBuf,
    #[setting(default = vec!["a".to_owned()])]
    list: Vec<String>,
    #[setting(default)]
    names: BTreeMap<String, u32>,
    #[setting(default = true)]
    loud: bool,
    #[setting(range = 1..=3)]
    level: Option<u8>,
    key: Secret,
    #[setting(default = "sesame")]
    word: Hidden,
    other: Option<Hidden>,
}

#[derive(Debug)]
struct Plain(Everything);

#[plugin]
impl Plain {
    #[create]
    fn new(settings: Everything) -> Self {
        Self(settings)
    }

    #[command]
    fn show(&self, _cx: &Context) -> String {
        format!("{:?}", self.0)
    }
}

fn made(json: &str) -> Bot<Plain> {
    Bot::with_settings(json).expect("good settings")
}

fn refused(json: &str) -> String {
    Bot::<Plain>::with_settings(json).err().expect("it is refused").detail().to_owned()
}

#[test]
fn what_is_not_set_has_its_default() {
    let bot = made(r#"{"key": "hunter2"}"#);
    let Everything { city, days, colder, reuse, patience, .. } = &bot.plugin().0;
    assert_eq!((city.as_str(), *days, *colder), ("Bern", 7, -1.5));
    assert_eq!((*reuse, *patience), (Duration::from_secs(600), None));
    let Everything { kind, list, names, loud, level, key, word, other, .. } = &bot.plugin().0;
    assert_eq!((kind.as_os_str().len(), &list[..], names.len()), (0, &["a".to_owned()][..], 0));
    assert_eq!((*loud, *level, key.expose(), other.is_none()), (true, None, "hunter2", true));
    assert_eq!(word.expose(), "sesame");
    let shown = bot.say("!show");
    assert!(shown.text().contains("key: Secret(hidden)") && !shown.text().contains("hunter2"), "{}", shown.text());
}

#[test]
fn what_is_set_is_read() {
    let json = r#"{"key": "", "city": "Rome", "days": 14, "reuse": "1h", "patience": "1d", "type": "a/b", "level": 3,
        "names": {"a": 1}, "other": "x"}"#;
    let bot = made(json);
    let Everything { city, days, reuse, patience, kind, level, names, .. } = &bot.plugin().0;
    assert_eq!((city.as_str(), *days, *reuse), ("Rome", 14, Duration::from_secs(3600)));
    assert_eq!((*patience, *level, names["a"]), (Some(Duration::from_secs(86_400)), Some(3), 1));
    assert_eq!(kind, &PathBuf::from("a/b"));
}

#[test]
fn what_does_not_fit_is_named_with_what_it_needs() {
    for (json, why) in [
        ("{}", "key: is not set and has no default"),
        (r#"{"key": 5}"#, "key: needs text in quotes"),
        (r#"{"key": "x", "days": 15}"#, "days: needs 1 to 14 days"),
        (r#"{"key": "x", "days": "hunter2"}"#, "days: needs a whole number that is not negative"),
        (r#"{"key": "x", "colder": -3.0}"#, "colder: needs at least -2.0"),
        (r#"{"key": "x", "reuse": "2h"}"#, "reuse: needs 1s to 1h30m"),
        (r#"{"key": "x", "reuse": "hunter2"}"#, "reuse: needs a duration in quotes, such as \"10m\""),
        (r#"{"key": "x", "reuse": 10}"#, "reuse: needs a duration in quotes, such as \"10m\""),
        (r#"{"key": "x", "patience": "2d"}"#, "patience: needs at most 1d"),
        (r#"{"key": "x", "level": 4}"#, "level: needs 1 to 3"),
    ] {
        assert_eq!(refused(json), why, "{json}");
    }
    let unknown = refused(r#"{"key": "x", "ctiy": "Rome"}"#);
    assert!(unknown.starts_with("ctiy: there is no such setting; there is `city`, `days`, "), "{unknown}");
}

#[test]
fn rosey_learns_of_each_setting() {
    let all = Plain::MANIFEST.settings;
    let Setting { name, help, kind, default, required, secret, .. } = all[0];
    assert_eq!((name, help, kind, default), ("city", "The city, in one word.", "text", "\"Bern\""));
    assert_eq!((required, secret), (false, false));
    let of = |setting: &Setting| (setting.kind, setting.unit, setting.range, setting.default);
    assert_eq!(of(&all[1]), ("whole number", "days", "1 to 14", "7"));
    assert_eq!(of(&all[2]), ("number", "", "at least -2.0", "-1.5"));
    assert_eq!(of(&all[3]), ("duration", "", "1s to 1h30m", "\"10m\""));
    assert_eq!(of(&all[4]), ("duration", "", "at most 1d", ""));
    assert_eq!((all[5].name, of(&all[6]), of(&all[7])), ("type", ("list", "", "", ""), ("table", "", "", "")));
    assert_eq!(of(&all[8]), ("true or false", "", "", "true"));
    let secrets: Vec<_> = all.iter().filter(|it| it.secret).map(|it| (it.name, it.required)).collect();
    assert_eq!(secrets, [("key", true), ("word", false), ("other", false)]);
    assert!(all.iter().all(|it| !it.default.contains("sesame")), "a secret's default is a secret");
}
