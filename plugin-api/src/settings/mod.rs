//! The settings of a plugin, which the operator writes into `[plugins.NAME.config]`.
//!
//! [`#[derive(Settings)]`](macro@crate::Settings) reads them, with defaults, ranges and units, and tells Rosey about
//! them: names, documentation, and which are secret. Rosey checks them before a build serves, and `rosey check` names
//! the line of the operator's file.
//!
//! ```
//! use plugin_api::{prelude::*, testing::Bot};
//! use std::time::Duration;
//!
//! #[derive(Settings)]
//! struct WeatherSettings {
//!     /// The city that `!weather` is about.
//!     #[setting(default = "Bern")]
//!     city: String,
//!     /// How long an answer of the service is used again.
//!     #[setting(default = "10m", range = "1s"..="1d")]
//!     reuse: Duration,
//!     /// The key of the service.
//!     key: Secret,
//!     /// The most days that may be asked for.
//!     #[setting(default = 3, range = 1..=14, unit = "days")]
//!     days: u8,
//!     /// A person who is told of failures.
//!     keeper: Option<String>,
//! }
//!
//! struct Weather(WeatherSettings);
//!
//! #[plugin]
//! impl Weather {
//!     #[create]
//!     fn new(settings: WeatherSettings) -> Self {
//!         Self(settings)
//!     }
//!
//!     /// The weather
//!     #[command]
//!     fn weather(&self, _cx: &Context) -> String {
//!         format!("{}, {:?}, {} days, {:?}", self.0.city, self.0.reuse, self.0.days, self.0.key)
//!     }
//! }
//!
//! let bot = Bot::<Weather>::with_settings(r#"{"key": "hunter2", "reuse": "1h30m"}"#).unwrap();
//! assert_eq!(bot.say("!weather").text(), "Bern, 5400s, 3 days, Secret(hidden)");
//!
//! let refusal = |json| Bot::<Weather>::with_settings(json).err().map(|error| error.detail().to_owned()).unwrap();
//! assert_eq!(refusal("{}"), "key: is not set and has no default");
//! assert_eq!(refusal(r#"{"key": "x", "days": 15}"#), "days: needs 1 to 14 days");
//! assert_eq!(refusal(r#"{"key": "x", "reuse": 10}"#), "reuse: needs a duration in quotes, such as \"10m\"");
//! ```
//!
//! Any type with `serde::Deserialize` may be the parameter of `#[create]` instead. Rosey then knows nothing about the
//! settings but what serde says of wrong ones.

mod explain;
mod secret;

pub use explain::settings;
pub use secret::Secret;

use crate::manifest::Setting;
use serde::{Deserializer, de::DeserializeOwned, de::Visitor};
use std::{fmt, marker::PhantomData, time::Duration};

/// Settings that Rosey knows about. [`#[derive(Settings)]`](macro@crate::Settings) writes it; by hand it is a constant
/// beside `serde::Deserialize`:
///
/// ```
/// use plugin_api::manifest::Setting;
///
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     city: String,
/// }
///
/// impl plugin_api::Settings for Mine {
///     const SCHEMA: &'static [Setting] = &[Setting { kind: "text", required: true, ..Setting::new("city") }];
/// }
/// ```
pub trait Settings: DeserializeOwned {
    /// Every setting, in the order in which people should read them.
    const SCHEMA: &'static [Setting];
}

/// Reads a duration in quotes, for `#[derive(Settings)]`.
///
/// # Errors
/// When it is none.
#[doc(hidden)]
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a duration in quotes, such as \"10m\"")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
            let why = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
            crate::args::read_duration(text).ok_or_else(why)
        }
    }

    deserializer.deserialize_str(Text)
}

/// Finds the schema of a type that may have one: [`NoSchema`] is taken when the inherent constant does not apply.
#[doc(hidden)]
pub struct SchemaOf<T>(PhantomData<T>);

impl<T: Settings> SchemaOf<T> {
    /// That of the type.
    pub const SCHEMA: &'static [Setting] = T::SCHEMA;
}

/// See [`SchemaOf`].
#[doc(hidden)]
pub trait NoSchema {
    /// Nothing is known about the settings.
    const SCHEMA: &'static [Setting] = &[];
}

impl<T> NoSchema for SchemaOf<T> {}

/// Finds out whether a type holds a secret, however an author names it. Works like [`SchemaOf`].
#[doc(hidden)]
pub struct IsSecret<T>(PhantomData<T>);

impl IsSecret<Secret> {
    /// It is one.
    pub const SECRET: bool = true;
}

impl IsSecret<Option<Secret>> {
    /// It may be one.
    pub const SECRET: bool = true;
}

impl IsSecret<Vec<Secret>> {
    /// They all are.
    pub const SECRET: bool = true;
}

/// See [`IsSecret`].
#[doc(hidden)]
pub trait NotSecret {
    /// It is none.
    const SECRET: bool = false;
}

impl<T> NotSecret for IsSecret<T> {}
