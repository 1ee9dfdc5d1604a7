//! What stands in `#[setting(…)]`.

use plugin_api::prelude::*;
use std::time::Duration;

#[derive(Settings)]
pub struct NoNames(u8);

#[derive(Settings)]
pub enum NoStruct {
    One,
}

#[derive(Settings)]
pub struct Generic<T> {
    city: T,
}

#[derive(Settings)]
pub struct Unknown {
    #[setting(defualt = 5)]
    days: u8,
}

#[derive(Settings)]
pub struct Twice {
    #[setting(default = 5, default = 6)]
    days: u8,
}

#[derive(Settings)]
pub struct NotInParentheses {
    #[setting]
    days: u8,
}

#[derive(Settings)]
pub struct OptionWithDefault {
    #[setting(default = 5)]
    days: Option<u8>,
}

#[derive(Settings)]
pub struct DurationIsNumber {
    #[setting(default = 5)]
    wait: Duration,
}

#[derive(Settings)]
pub struct DurationWithoutUnit {
    #[setting(default = "5")]
    wait: Duration,
}

#[derive(Settings)]
pub struct DurationRangeOfNumbers {
    #[setting(range = 1..=5)]
    wait: Duration,
}

#[derive(Settings)]
pub struct RangeOfText {
    #[setting(range = "a"..="b")]
    days: u8,
}

#[derive(Settings)]
pub struct RangeWithoutItsEnd {
    #[setting(range = 1..5)]
    days: u8,
}

#[derive(Settings)]
pub struct RangeIsNumber {
    #[setting(range = 5)]
    days: u8,
}

#[derive(Settings)]
pub struct UnitIsNoText {
    #[setting(unit = days)]
    days: u8,
}

#[derive(Settings)]
pub struct NameIsNoText {
    #[setting(name)]
    days: u8,
}

#[derive(Settings)]
pub struct OfSerde {
    #[serde(default)]
    days: u8,
}

fn main() {}
