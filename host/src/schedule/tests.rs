//! Days on which clocks are set, leap days, and every minute against a walk through all of them.

use super::*;
use jiff::{SignedDuration, civil::date, tz::Offset};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};

/// Zones whose clocks are set in many ways: by half an hour, by two hours, at midnight, by a day, around a month of fasting.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "America/Havana",
    "Antarctica/Troll",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Beirut",
];

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::parse(cron, zone).unwrap_or_else(|error| panic!("{error}"))
}

/// The next `count` times after a time, as the clock in UTC shows them.
fn times(cron: &str, zone: &str, after: DateTime, count: usize) -> Vec<String> {
    let schedule = schedule(cron, zone);
    let start = Offset::UTC.to_timestamp(after).expect("in range").as_millisecond();
    let next = |after: &u64| schedule.next(*after);
    let all = std::iter::successors(Some(u64::try_from(start).expect("after 1970")), next).skip(1);
    all.take(count)
        .map(|at| Timestamp::from_millisecond(at as i64).expect("in range").strftime("%F %H:%M").to_string())
        .collect()
}

#[test]
fn a_time_that_is_skipped_fires_after_the_gap() {
    // In Berlin 02:00 becomes 03:00, which is 01:00 in UTC.
    let spring = date(2026, 3, 28).at(0, 0, 0, 0);
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", spring, 3),
        ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]
    );
    assert_eq!(
        times("0,30 2,3 * * *", "Europe/Berlin", date(2026, 3, 29).at(0, 0, 0, 0), 3),
        ["2026-03-29 01:00", "2026-03-29 01:30", "2026-03-30 00:00"]
    );
    // Samoa had no 30th of December in 2011.
    assert_eq!(times("0 9 30 12 *", "Pacific/Apia", date(2011, 12, 1).at(0, 0, 0, 0), 1), ["2011-12-30 10:00"]);
}

#[test]
fn a_time_that_comes_twice_fires_once() {
    // In Berlin 03:00 becomes 02:00, which is 01:00 in UTC.
    let autumn = date(2026, 10, 24).at(12, 0, 0, 0);
    assert_eq!(times("30 2 * * *", "Europe/Berlin", autumn, 2), ["2026-10-25 00:30", "2026-10-26 01:30"]);
    assert_eq!(
        times("0,30 2 * * *", "Europe/Berlin", autumn, 3),
        ["2026-10-25 00:00", "2026-10-25 00:30", "2026-10-26 01:00"]
    );
}

#[test]
fn a_pace_goes_on_while_the_clock_is_set() {
    let autumn = date(2026, 10, 25).at(0, 0, 0, 0);
    assert_eq!(
        times("30 * * * *", "Europe/Berlin", autumn, 3),
        ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"]
    );
    let spring = date(2026, 3, 29).at(0, 0, 0, 0);
    assert_eq!(times("30 * * * *", "Europe/Berlin", spring, 2), ["2026-03-29 00:30", "2026-03-29 01:30"]);
    assert_eq!(times("0 * * * *", "Europe/Berlin", spring, 2), ["2026-03-29 01:00", "2026-03-29 02:00"]);
}

#[test]
fn leap_days_come_every_four_years_and_not_in_2100() {
    assert_eq!(times("0 0 29 2 *", "", date(2026, 1, 1).at(0, 0, 0, 0), 2), ["2028-02-29 00:00", "2032-02-29 00:00"]);
    assert_eq!(times("0 0 29 feb *", "", date(2096, 3, 1).at(0, 0, 0, 0), 1), ["2104-02-29 00:00"]);
    assert_eq!(times("0 0 29 2 */7", "", date(2088, 3, 1).at(0, 0, 0, 0), 1), ["2128-02-29 00:00"]);
    assert_eq!(schedule("0 0 29 2 *", "").next(253_402_300_799_000), None, "the end of the year 9999");
}

#[test]
fn fields_are_read_as_every_cron_reads_them() {
    let from = date(2026, 11, 1).at(0, 0, 0, 0);
    assert_eq!(times("0 9 * * MON-fri", "", from, 2), ["2026-11-02 09:00", "2026-11-03 09:00"]);
    assert_eq!(times("0 9 * * 5-7", "", from, 2), ["2026-11-01 09:00", "2026-11-06 09:00"], "7 is Sunday");
    assert_eq!(
        times("5-59/20 8 * jan,NOV *", "", from, 3),
        ["2026-11-01 08:05", "2026-11-01 08:25", "2026-11-01 08:45"]
    );
    assert_eq!(times("0 0 13 * 5", "", from, 2), ["2026-11-06 00:00", "2026-11-13 00:00"], "either");
    assert_eq!(times("0 0 */13 * 5", "", from, 2), ["2026-11-27 00:00", "2027-01-01 00:00"], "both");
}

#[test]
fn what_is_wrong_is_named() {
    for (cron, why) in [
        ("", "has 0 fields and needs five"),
        ("* * * *", "has 4 fields and needs five"),
        ("60 * * * *", "has \"60\" as minute, which is 0 to 59"),
        ("* +5 * * *", "has \"+5\" as hour, which is 0 to 23"),
        ("* * 0 * *", "has \"0\" as day of the month, which is 1 to 31"),
        ("* * * juli *", "has \"juli\" as month, which is 1 to 12"),
        ("* * * * 8", "has \"8\" as day of the week, which is 0 to 7"),
        ("5/15 * * * *", "has \"5/15\" as minute: write 5-59/… for a step"),
        ("*/0 * * * *", "a step is a number from 1 on"),
        ("*/300 * * * *", "a step is a number from 1 on"),
        ("* 9-7 * * *", "has \"9-7\" as hour, which ends before it begins"),
        ("1,,2 * * * *", "has \"\" as minute"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ] {
        let error = Schedule::parse(cron, "").expect_err(cron).to_string();
        assert!(error.contains(why) && error.contains(&format!("{cron:?}")), "{error}");
    }
    let long = format!("{} * * * *", ["1"; 200].join(","));
    assert!(Schedule::parse(&long, "").is_err());
    let error = Schedule::parse("* * * * *", "Europe/Bielefeld").expect_err("there is none").to_string();
    assert_eq!(error, "there is no time zone \"Europe/Bielefeld\"; write one like Europe/Berlin, or UTC");
}

/// When it fires between two times, by a look at the zone's clock in every minute that passes.
fn walk(schedule: &Schedule, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let minute = SignedDuration::from_mins(1);
    // What the clock has shown in the two days before is over.
    let mut now = from - SignedDuration::from_hours(48);
    let (mut shown, mut fires) = (HashSet::new(), BTreeSet::new());
    let mut before = schedule.zone.to_datetime(now - minute);
    while now <= to {
        let clock = schedule.zone.to_datetime(now);
        // By the definition of `after`, which the model trusts for one minute only.
        let matches = |time: DateTime| schedule.cron.after(time - minute) == Some(time);
        let mut is_due = matches(clock);
        if !schedule.cron.is_every_hour() {
            is_due &= !shown.contains(&clock);
            let mut skipped = before + minute;
            while skipped < clock {
                is_due |= matches(skipped) && shown.insert(skipped);
                skipped += minute;
            }
        }
        if is_due && now > from {
            fires.insert(now);
        }
        shown.insert(clock);
        (before, now) = (clock, now + minute);
    }
    fires
}

prop_compose! {
    fn field(least: u8, most: u8)(
        all in any::<bool>(), step in 1..20u8, values in prop::collection::vec(least..=most, 1..4), kind in 0..3u8,
    ) -> String {
        match (kind, all) {
            (0, true) => "*".to_owned(),
            (0, false) => format!("*/{step}"),
            (1, _) => format!("{}-{most}/{step}", values[0]),
            _ => values.iter().map(u8::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn it_fires_as_a_walk_through_all_minutes_says(
        minute in field(0, 59), hour in field(0, 23), day in prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 28)],
        weekday in prop_oneof![3 => Just("*".to_owned()), 1 => field(0, 7)],
        zone in prop::sample::select(&ZONES[..]), days in 11_000..24_000i64, before in 0..2000i64,
    ) {
        let schedule = schedule(&format!("{minute} {hour} {day} * {weekday}"), zone);
        // Around a change of the clock, where there is one.
        let start = Timestamp::from_second(days * 86_400).expect("in range");
        let change = schedule.zone.following(start).next().map_or(start, |change| change.timestamp());
        let minute = Timestamp::from_second(change.as_second().div_euclid(60) * 60).expect("in range");
        let from = minute - SignedDuration::from_mins(before);
        let to = from + SignedDuration::from_hours(60);
        let mut found = BTreeSet::new();
        let mut at = u64::try_from(from.as_millisecond()).expect("after 1970");
        while let Some(next) = schedule.next(at) {
            prop_assert!(next > at);
            let next_at = Timestamp::from_millisecond(next as i64).expect("in range");
            if next_at > to {
                break;
            }
            found.insert(next_at);
            at = next;
        }
        let expected = walk(&schedule, from, to);
        prop_assert_eq!(found.symmetric_difference(&expected).next(), None, "from {}", from);
    }
}
