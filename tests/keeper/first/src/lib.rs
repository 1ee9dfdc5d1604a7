//! A plugin that keeps numbers, each as a number. `keeper-2` is the build that comes after it.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;

/// The plugin.
#[derive(Default)]
pub struct Keeper;

#[plugin(store_version = 1, probe = "which")]
impl Keeper {
    /// Which build this is: `!which`
    #[command]
    fn which(&self, _cx: &Context) -> &'static str {
        "one"
    }

    /// Keep a number in every scope: `!keep 3`
    #[command]
    fn keep(&self, cx: &Context, number: u32) -> Result<&'static str> {
        let store = cx.store();
        for scope in [store, store.channel(), store.user(), store.member()] {
            scope.put("number", &number)?;
        }
        Ok("kept")
    }

    /// The number of every scope: `!numbers`
    #[command]
    async fn numbers(&self, cx: &Context) -> Result<String> {
        let (store, mut all) = (cx.store(), Vec::new());
        for scope in [store, store.channel(), store.user(), store.member()] {
            all.push(scope.get::<u32>("number").await?.map_or_else(|| "-".to_owned(), |number| number.to_string()));
        }
        Ok(all.join(" "))
    }

    /// Keep numbers under keys of their own: `!fill 0 200`
    #[command]
    fn fill(&self, cx: &Context, from: u32, to: u32) -> Result<&'static str> {
        (from..to).try_for_each(|number| cx.store().put(&format!("many:{number}"), &number))?;
        Ok("filled")
    }
}
