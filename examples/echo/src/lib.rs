//! Repeats a text: `!echo hello`. This is the smallest useful plugin; copy `examples/template` to begin your own.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;

/// The plugin. It keeps nothing.
#[derive(Default)]
pub struct Echo;

#[plugin(probe = "echo hello")]
impl Echo {
    /// Say something again: `!echo hello`
    #[command]
    fn echo(&self, _cx: &Context, text: Rest) -> Reply {
        text.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    #[test]
    fn it_says_what_was_said() {
        assert_eq!(Bot::<Echo>::new().say("!echo hello  you").text(), "hello  you");
    }
}
