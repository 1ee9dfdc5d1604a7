//! Keeps books whose entries must add up, whatever a test kills.
#![cfg_attr(test, allow(dead_code, reason = "there are no unit tests, and #[plugin] exports nothing to them"))]

use plugin_api::{event::Timer, prelude::*};
use std::time::Duration;

#[derive(Default)]
struct Books;

#[plugin(store_version = 1, probe = "which")]
impl Books {
    /// Show which build this is: `!which`
    #[command]
    fn which(&self, _cx: &Context) -> &'static str {
        "one"
    }

    /// Enter a number into the books: `!entry 7`
    #[command]
    async fn entry(&self, cx: &Context, number: u64) -> Result<String> {
        let store = cx.store();
        let total = store.get::<u64>("total").await?.unwrap_or(0) + 1;
        store.put("total", &total)?;
        store.user().add("mine", 1)?;
        store.add(&format!("entry/{number}"), 1)?;
        cx.after(Duration::from_millis(100 + number % 7 * 50), &format!("t/{number}"), &number)?;
        if number > 0 && number.is_multiple_of(3) {
            cx.cancel_timer(&format!("t/{}", number - 1))?;
        }
        cx.say(&format!("said by one {number}"))?;
        Ok(format!("entered by one {number}"))
    }

    #[timer]
    fn due(&self, cx: &Context, timer: &Timer) -> Result<()> {
        let number = timer.payload::<u64>()?;
        cx.store().add(&format!("fired/{number}"), 1)?;
        cx.say(&format!("fired by one {number}"))
    }
}
