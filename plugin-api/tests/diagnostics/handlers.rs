//! What stands above a handler, and how it looks.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct OnNothing;

#[plugin]
impl OnNothing {
    #[on]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OnText;

#[plugin]
impl OnText {
    #[on("message")]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct UnknownKind;

#[plugin]
impl UnknownKind {
    #[on(quit)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OnCommand;

#[plugin]
impl OnCommand {
    #[on(command)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OnTimer;

#[plugin]
impl OnTimer {
    #[on(timer)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OnStart;

#[plugin]
impl OnStart {
    #[on(start)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct EmptyRegex;

#[plugin]
impl EmptyRegex {
    #[on(message, regex = "")]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct UnknownOption;

#[plugin]
impl UnknownOption {
    #[on(message, pattern = "x")]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OptionOfAnotherKind;

#[plugin]
impl OptionOfAnotherKind {
    #[on(join, regex = "x")]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct SignalWithoutTopic;

#[plugin]
impl SignalWithoutTopic {
    #[on(signal)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct TimerIsNoText;

#[plugin]
impl TimerIsNoText {
    #[timer(tea)]
    fn due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct TwoTimers;

#[plugin]
impl TwoTimers {
    #[timer]
    fn due(&self, _cx: &Context) {}

    #[timer]
    fn also_due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct TwoOfOneName;

#[plugin]
impl TwoOfOneName {
    #[every("0 9 * * *")]
    fn tea(&self, _cx: &Context) {}

    #[timer("tea")]
    fn due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct EveryWithoutTime;

#[plugin]
impl EveryWithoutTime {
    #[every]
    fn due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct EveryWithFourFields;

#[plugin]
impl EveryWithFourFields {
    #[every("0 9 * *")]
    fn due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct EveryWithUnknownOption;

#[plugin]
impl EveryWithUnknownOption {
    #[every("0 9 * * *", zone = "UTC")]
    fn due(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct StartWithOptions;

#[plugin]
impl StartWithOptions {
    #[start(now)]
    fn begin(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WithoutContext;

#[plugin]
impl WithoutContext {
    #[on(message)]
    fn hear(&self) {}
}

#[derive(Default)]
pub struct OwnedEvent;

#[plugin]
impl OwnedEvent {
    #[on(message)]
    fn hear(&self, _cx: &Context, _message: plugin_api::event::Message) {}
}

#[derive(Default)]
pub struct GenericHandler;

#[plugin]
impl GenericHandler {
    #[on(message)]
    fn hear<T>(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct HandlerAndCommand;

#[plugin]
impl HandlerAndCommand {
    #[command]
    #[on(message)]
    fn hear(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct MigrateToNothing;

#[plugin]
impl MigrateToNothing {
    #[start]
    fn begin(&self, _cx: &Context) {}

    #[migrate]
    fn upgrade(&self, _cx: &Context, _from: u32) {}
}

#[derive(Default)]
pub struct MigrateFromNothing;

#[plugin(store_version = 2)]
impl MigrateFromNothing {
    #[start]
    fn begin(&self, _cx: &Context) {}

    #[migrate]
    fn upgrade(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct MigrateWithOptions;

#[plugin(store_version = 2)]
impl MigrateWithOptions {
    #[start]
    fn begin(&self, _cx: &Context) {}

    #[migrate(1)]
    fn upgrade(&self, _cx: &Context, _from: u32) {}
}

#[derive(Default)]
pub struct StoreVersionIsText;

#[plugin(store_version = "2")]
impl StoreVersionIsText {
    #[start]
    fn begin(&self, _cx: &Context) {}
}

fn main() {}
