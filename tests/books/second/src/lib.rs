//! Keeps the books of `books-1`, with the sum under another name.
#![cfg_attr(test, allow(dead_code, reason = "there are no unit tests, and #[plugin] exports nothing to them"))]

use plugin_api::{event::Timer, prelude::*};
use std::time::Duration;

#[derive(Default)]
struct Books;

#[plugin(store_version = 2, probe = "which")]
impl Books {
    /// Show which build this is: `!which`
    #[command]
    fn which(&self, _cx: &Context) -> &'static str {
        "two"
    }

    /// Enter a number into the books: `!entry 7`
    #[command]
    async fn entry(&self, cx: &Context, number: u64) -> Result<String> {
        let store = cx.store();
        let total = store.get::<u64>("sum").await?.unwrap_or(0) + 1;
        store.put("sum", &total)?;
        store.user().add("mine", 1)?;
        store.add(&format!("entry/{number}"), 1)?;
        cx.after(Duration::from_millis(100 + number % 7 * 50), &format!("t/{number}"), &number)?;
        if number > 0 && number.is_multiple_of(3) {
            cx.cancel_timer(&format!("t/{}", number - 1))?;
        }
        cx.say(&format!("said by two {number}"))?;
        Ok(format!("entered by two {number}"))
    }

    #[timer]
    fn due(&self, cx: &Context, timer: &Timer) -> Result<()> {
        let number = timer.payload::<u64>()?;
        cx.store().add(&format!("fired/{number}"), 1)?;
        cx.say(&format!("fired by two {number}"))
    }

    #[migrate]
    async fn migrate(&self, cx: &Context, _from: u32) -> Result<()> {
        let store = cx.store();
        let total = store.get::<u64>("total").await?.unwrap_or(0);
        store.delete("total")?;
        store.put("sum", &total)
    }
}
