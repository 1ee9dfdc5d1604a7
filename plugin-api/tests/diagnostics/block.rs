//! `#[plugin]` on what is no plugin's `impl` block.

use plugin_api::prelude::*;

#[plugin]
#[derive(Default)]
pub struct OnTheType;

#[plugin]
pub enum OnAnEnum {}

#[plugin]
pub fn on_a_function() {}

#[derive(Default)]
pub struct OnATrait;

#[plugin]
impl Clone for OnATrait {
    fn clone(&self) -> Self {
        Self
    }
}

#[derive(Default)]
pub struct Generic<T>(T);

#[plugin]
impl<T> Generic<T> {
    #[command]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WithoutCommands;

#[plugin]
impl WithoutCommands {
    pub fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct TwoInOne;

#[plugin]
impl TwoInOne {
    #[command]
    #[shutdown]
    fn roll(&self, _cx: &Context) {}
}

fn main() {}
