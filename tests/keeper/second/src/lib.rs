//! A plugin that keeps numbers, each in an object, and brings a store of `keeper-1` to that.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};

/// The plugin.
pub struct Keeper {
    settings: Settings,
}

/// What an operator sets.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// What goes wrong with the migration: `error`, `panic`, `abort`, `crowd`; or `wait`, for a file `go`.
    migrate: String,
}

#[derive(Deserialize, Serialize)]
struct Number {
    number: u32,
}

#[plugin(store_version = 2, probe = "which")]
impl Keeper {
    #[create]
    fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Which build this is: `!which`
    #[command]
    fn which(&self, _cx: &Context) -> &'static str {
        "two"
    }

    /// Keep a number in every scope: `!keep 3`
    #[command]
    fn keep(&self, cx: &Context, number: u32) -> Result<&'static str> {
        let store = cx.store();
        for scope in [store, store.channel(), store.user(), store.member()] {
            scope.put("number", &Number { number })?;
        }
        Ok("kept")
    }

    /// The number of every scope: `!numbers`
    #[command]
    async fn numbers(&self, cx: &Context) -> Result<String> {
        let (store, mut all) = (cx.store(), Vec::new());
        for scope in [store, store.channel(), store.user(), store.member()] {
            all.push(scope.get::<Number>("number").await?.map_or_else(|| "-".to_owned(), |it| it.number.to_string()));
        }
        Ok(all.join(" "))
    }

    #[migrate]
    async fn migrate(&self, cx: &Context, from: u32) -> Result<()> {
        std::fs::write("migrating", "")?;
        let mut walk = cx.store().walk();
        while let Some(entry) = walk.next().await? {
            walk.put(&entry, &Number { number: entry.value()? })?;
            if self.settings.migrate == "crowd" {
                for n in 0..100 {
                    walk.rename(&entry, &format!("{}:{n}", entry.key))?;
                }
            }
        }
        cx.store().put("migrated", &Number { number: from })?;
        match self.settings.migrate.as_str() {
            "error" => Err(Error::internal("it does not want to")),
            "panic" => panic!("the migration panics"),
            "abort" => std::process::abort(),
            "wait" => {
                let mut looks = tokio::time::interval(Duration::from_millis(2));
                while !Path::new("go").exists() {
                    looks.tick().await;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
