//! What stands in `#[plugin(…)]`.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct Unknown;

#[plugin(prob = "roll")]
impl Unknown {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Twice;

#[plugin(probe = "roll", probe = "roll")]
impl Twice {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ProbeWithoutValue;

#[plugin(probe)]
impl ProbeWithoutValue {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ProbeIsNoText;

#[plugin(probe = roll)]
impl ProbeIsNoText {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ProbeIsNoCommand;

#[plugin(probe = "rol 1d20")]
impl ProbeIsNoCommand {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ProbeWithPrefix;

#[plugin(probe = "!roll 1d20")]
impl ProbeWithPrefix {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ProbeIsEmpty;

#[plugin(probe = "")]
impl ProbeIsEmpty {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct UnknownMode;

#[plugin(reload = "restart")]
impl UnknownMode {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct HandoffWithoutHooks;

#[plugin(reload = "handoff")]
impl HandoffWithoutHooks {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct VersionIsText;

#[plugin(state_version = "2")]
impl VersionIsText {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct VersionIsTooLarge;

#[plugin(state_version = 4294967296)]
impl VersionIsTooLarge {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ReadsOne;

#[plugin(reads_state = 1)]
impl ReadsOne {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ReadsToNoEnd;

#[plugin(reads_state = 1..)]
impl ReadsToNoEnd {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ReadsBackwards;

#[plugin(reads_state = 2..=1)]
impl ReadsBackwards {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ReadsNotItsOwn;

#[plugin(state_version = 3, reads_state = 1..=2)]
impl ReadsNotItsOwn {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WishesNoTarget;

#[plugin(network("api.example.org"))]
impl WishesNoTarget {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WishesNoList;

#[plugin(files = "/usr/share/dict")]
impl WishesNoList {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

fn main() {}
