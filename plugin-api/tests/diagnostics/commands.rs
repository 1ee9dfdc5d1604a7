//! How a command's method begins.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct WithoutSelf;

#[plugin]
impl WithoutSelf {
    #[command]
    fn roll(_cx: &Context) {}
}

#[derive(Default)]
pub struct ByValue;

#[plugin]
impl ByValue {
    #[command]
    fn roll(self, _cx: &Context) {}
}

#[derive(Default)]
pub struct Mutable;

#[plugin]
impl Mutable {
    #[command]
    fn roll(&mut self, _cx: &Context) {}
}

#[derive(Default)]
pub struct WithoutContext;

#[plugin]
impl WithoutContext {
    #[command]
    fn roll(&self) {}
}

#[derive(Default)]
pub struct ContextByValue;

#[plugin]
impl ContextByValue {
    #[command]
    fn roll(&self, _cx: Context) {}
}

#[derive(Default)]
pub struct ArgumentFirst;

#[plugin]
impl ArgumentFirst {
    #[command]
    fn roll(&self, _dice: String, _cx: &Context) {}
}

#[derive(Default)]
pub struct BorrowedArgument;

#[plugin]
impl BorrowedArgument {
    #[command]
    fn roll(&self, _cx: &Context, _dice: &str) {}
}

#[derive(Default)]
pub struct Generic;

#[plugin]
impl Generic {
    #[command]
    fn roll<T>(&self, _cx: &Context, _dice: T) {}
}

fn main() {}
