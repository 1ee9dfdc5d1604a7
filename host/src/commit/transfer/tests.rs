//! What is written out is what is read in.

use super::*;
use crate::commit::values::Values;
use crate::{
    commit::{Applied, Batch, Change, Record, SCHEMA, To, all_usage, kept, timers::TimerQuota},
    time::Clock,
};
use proptest::prelude::*;

const QUOTA: Quota = Quota { keys: 100, bytes: 10_000, lines: 10 };

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch(SCHEMA).expect("our own tables");
    connection
}

fn put(connection: &mut Connection, scope: &str, key: &str, value: &str, ttl: u64) {
    let change = Change { scope: scope.into(), key: key.to_owned(), to: To::Value(value.to_owned(), ttl) };
    let records = vec![Record { changes: vec![change], ..Record::default() }];
    let timer_quota = TimerQuota { timers: 0, bytes: 0 };
    let (plugin, clock, accepts) = ("p".into(), Clock::default(), Vec::new());
    let batch = Batch {
        plugin,
        quota: QUOTA,
        timer_quota,
        clock,
        values: Values::default(),
        store_version: None,
        accepts,
        records,
    };
    let results = sql::run(connection, &batch).expect("memory").records;
    assert_eq!(results, [Ok(Applied::default())]);
}

fn exported(connection: &mut Connection) -> String {
    let mut output = Vec::new();
    let keys = export(connection, "p", &mut output).expect("memory").expect("memory");
    let text = String::from_utf8(output).expect("JSON");
    assert_eq!(keys.expect("it keeps something") as usize, text.lines().count() - 1);
    text
}

fn read(text: &str) -> Result<Import, String> {
    let mut import = Import::new("p", QUOTA);
    text.lines().try_for_each(|line| import.line(line))?;
    import.finish()
}

fn all(connection: &Connection) -> Vec<(String, String, String)> {
    let kept = kept(connection, "p", "", 1000).expect("memory");
    kept.into_iter().map(|one| (one.scope, one.key, one.value)).collect()
}

#[test]
fn an_export_has_a_line_for_each_key() {
    let mut store = open();
    assert!(export(&mut store, "p", &mut Vec::new()).expect("memory").expect("memory").is_none(), "it keeps nothing");
    put(&mut store, "", "quote:1", r#"{"by":"al","text":"so\nit goes"}"#, 0);
    put(&mut store, "user irc:nick:al", "n", "3", 0);
    put(&mut store, "", "pretty", "[\n1\n]", 0);
    let text = exported(&mut store);
    let expected = "{\"rosey_store\":1,\"plugin\":\"p\",\"store_version\":0,\"keys\":3}\n\
                    {\"scope\":\"global\",\"key\":\"pretty\",\"text\":\"[\\n1\\n]\"}\n\
                    {\"scope\":\"global\",\"key\":\"quote:1\",\"value\":{\"by\":\"al\",\"text\":\"so\\nit goes\"}}\n\
                    {\"scope\":\"user irc:nick:al\",\"key\":\"n\",\"value\":3}\n";
    assert_eq!(text, expected);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let head = |keys: u32| format!("{{\"rosey_store\":1,\"plugin\":\"p\",\"store_version\":2,\"keys\":{keys}}}\n");
    let one = "{\"scope\":\"global\",\"key\":\"a\",\"value\":1}\n";
    assert_eq!(read(&(head(1) + one)).expect("whole").store_version(), 2);
    for (text, why) in [
        (String::new(), "it is empty"),
        (one.to_owned(), "first line is not that of an export"),
        (head(1).replace(":1,", ":2,") + one, "format 2"),
        (head(1).replace("\"p\"", "\"q\"") + one, "an export of q, not of p"),
        (head(2) + one, "cut off: it has 1 of the 2 keys"),
        (head(2) + one + one, "line 3 has a key that another line has"),
        (head(1) + one + "{}", "more than the 1 keys"),
        (head(1) + "{\"scope\":\"global\",\"key\":\"a\"}", "needs one of value and text"),
        (head(1) + "{\"scope\":\"global\",\"key\":\"\",\"value\":1}", "a key has 1 to 256 bytes"),
        (head(1) + "{\"scope\":\"nowhere\",\"key\":\"a\",\"value\":1}", "is no scope"),
        (head(1) + "{\"scope\":\"global\",\"key\":\"a\",\"value\":1,\"x\":1}", "line 2 is no key of an export"),
    ] {
        let error = read(&text).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
    let many: String = (0..101).map(|n| one.replace("\"a\"", &format!("\"{n}\""))).collect();
    assert!(read(&(head(101) + &many)).expect_err("too many").contains("limits.store_keys"));
    let large = one.replace(":1}", &format!(":\"{}\"}}", "x".repeat(10_000)));
    assert!(read(&(head(1) + &large)).expect_err("too large").contains("limits.store_bytes"));
}

#[test]
fn an_import_takes_the_place_of_all_that_was_there_and_what_was_read_before_counts_as_changed() {
    let mut store = open();
    put(&mut store, "", "kept", "1", 0);
    let text = exported(&mut store);
    put(&mut store, "", "kept", "2", 0);
    put(&mut store, "", "later", "1", 0);
    let version = |store: &Connection, key: &str| {
        let sql = "SELECT version FROM kept WHERE key = ?1";
        store.query_row(sql, [key], |row| row.get::<_, u64>(0)).expect("it is there")
    };
    let before = version(&store, "kept");
    let usage = read(&text).expect("whole").apply(&mut store).expect("memory");
    assert_eq!(all(&store), [(String::new(), "kept".to_owned(), "1".to_owned())]);
    assert!(version(&store, "kept") > before);
    assert_eq!(all_usage(&store).expect("memory"), [("p".to_owned(), usage)]);
    assert_eq!(usage, Usage { keys: 1, bytes: 5, commits: 4 });
}

#[test]
fn a_delete_goes_by_the_beginning_of_keys_in_all_scopes() {
    let mut store = open();
    for (scope, key) in [("", "q:1"), ("", "q:2"), ("", "r"), ("channel irc:#a", "q:1")] {
        put(&mut store, scope, key, "1", 0);
    }
    let (gone, usage) = delete(&mut store, "p", "q:").expect("memory");
    assert_eq!((gone, usage), (3, Usage { keys: 1, bytes: 2, commits: 5 }));
    assert_eq!(all(&store), [(String::new(), "r".to_owned(), "1".to_owned())]);
    let (gone, usage) = delete(&mut store, "p", "").expect("memory");
    assert_eq!((gone, usage), (1, Usage { keys: 0, bytes: 0, commits: 6 }));
    assert_eq!(sql::version(&store, "p").expect("memory"), None);
}

proptest! {
    #[test]
    fn whatever_is_kept_comes_back_byte_for_byte(
        entries in prop::collection::btree_map(
            (prop::sample::select(vec!["", "channel irc:#a", "user irc:nick:b", "member irc:#a irc:nick:b"]), "\\PC{1,20}"),
            ("\\PC{0,30}|[ \n\t0-9.eE+-]{1,8}", prop::sample::select(vec![0u64, 3_600_000])),
            0..20,
        )
    ) {
        let mut store = open();
        put(&mut store, "", "\u{1}first", "0", 0);
        for ((scope, key), (value, ttl)) in &entries {
            put(&mut store, scope, key, value, *ttl);
        }
        let (before, text) = (all(&store), exported(&mut store));
        let import = read(&text).expect("our own");
        let mut other = open();
        import.apply(&mut other).expect("memory");
        prop_assert_eq!(all(&other), before);
        prop_assert_eq!(exported(&mut other), text);
    }
}
