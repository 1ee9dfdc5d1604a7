//! What a command cannot be called.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct TwoWords;

#[plugin]
impl TwoWords {
    #[command(name = "roll dice")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Empty;

#[plugin]
impl Empty {
    #[command(name = "")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WithPrefix;

#[plugin]
impl WithPrefix {
    #[command(name = "!roll")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Capitals;

#[plugin]
impl Capitals {
    #[command(name = "Roll")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Reserved;

#[plugin]
impl Reserved {
    #[command(name = "help")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct AliasIsReserved;

#[plugin]
impl AliasIsReserved {
    #[command(aliases("r", "admin"))]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct AliasIsTheName;

#[plugin]
impl AliasIsTheName {
    #[command(aliases("r", "roll"))]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct TwoOfOneName;

#[plugin]
impl TwoOfOneName {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[command(name = "roll")]
    fn other(&self, _cx: &Context) {}
}

fn main() {}
