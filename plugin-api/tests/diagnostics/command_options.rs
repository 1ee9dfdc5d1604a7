//! What stands in `#[command(…)]`.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct Unknown;

#[plugin]
impl Unknown {
    #[command(alias = "r")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Twice;

#[plugin]
impl Twice {
    #[command(name = "r", name = "s")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct NotInParentheses;

#[plugin]
impl NotInParentheses {
    #[command = "r"]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct NameWithoutText;

#[plugin]
impl NameWithoutText {
    #[command(name)]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct NameIsNoText;

#[plugin]
impl NameIsNoText {
    #[command(name = r)]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct AliasesWithoutParentheses;

#[plugin]
impl AliasesWithoutParentheses {
    #[command(aliases = "r")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct AliasIsNoText;

#[plugin]
impl AliasIsNoText {
    #[command(aliases(r))]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct CooldownWithoutUnit;

#[plugin]
impl CooldownWithoutUnit {
    #[command(cooldown = "5")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct CooldownIsNoText;

#[plugin]
impl CooldownIsNoText {
    #[command(cooldown = 5)]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct CooldownIsTooLong;

#[plugin]
impl CooldownIsTooLong {
    #[command(cooldown = "99999m")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct NoSuchOrder;

#[plugin]
impl NoSuchOrder {
    #[command(order = "chanel")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct OrderIsNoText;

#[plugin]
impl OrderIsNoText {
    #[command(order = none)]
    fn roll(&self, _cx: &Context) {}
}

fn main() {}
