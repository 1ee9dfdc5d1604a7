//! Subcommands, roles, parameters and choices.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct PathOfOneWord;

#[plugin]
impl PathOfOneWord {
    #[command(path = "quotes")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathOfThreeWords;

#[plugin]
impl PathOfThreeWords {
    #[command(path = "quotes search all")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathIsNoText;

#[plugin]
impl PathIsNoText {
    #[command(path = quotes)]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathWithName;

#[plugin]
impl PathWithName {
    #[command(name = "search", path = "quotes search")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathTwice;

#[plugin]
impl PathTwice {
    #[command(path = "quotes search")]
    fn search(&self, _cx: &Context) {}

    #[command(path = "quotes find", aliases("search"))]
    fn find(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathOfAlias;

#[plugin]
impl PathOfAlias {
    #[command(aliases("q"))]
    fn quotes(&self, _cx: &Context) {}

    #[command(path = "q search")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathOfRosey;

#[plugin]
impl PathOfRosey {
    #[command(path = "admin search")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct PathWithPrefix;

#[plugin]
impl PathWithPrefix {
    #[command(path = "!quotes search")]
    fn search(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct UnknownRole;

#[plugin]
impl UnknownRole {
    #[command(requires = "admin")]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct RoleIsNoText;

#[plugin]
impl RoleIsNoText {
    #[command(requires)]
    fn roll(&self, _cx: &Context) {}
}

#[derive(Default)]
pub struct ListInTheMiddle;

#[plugin]
impl ListInTheMiddle {
    #[command]
    fn roll(&self, _cx: &Context, _dice: Vec<String>, _times: u8) {}
}

#[derive(Default)]
pub struct RestInTheMiddle;

#[plugin]
impl RestInTheMiddle {
    #[command]
    fn roll(&self, _cx: &Context, _dice: Rest, _times: u8) {}
}

#[derive(Clone, Copy, Choice)]
pub struct NoEnum;

#[derive(Clone, Copy, Choice)]
pub enum Nothing {}

#[derive(Clone, Copy, Choice)]
pub enum WithFields {
    Small,
    Big(u8),
}

#[derive(Clone, Copy, Choice)]
pub enum SameName {
    Small,
    #[choice(aliases("small"))]
    Big,
}

#[derive(Clone, Copy, Choice)]
pub enum UpperCase {
    #[choice(name = "Big")]
    Big,
}

#[derive(Clone, Copy, Choice)]
pub enum TwoWords {
    #[choice(name = "very big")]
    Big,
}

#[derive(Clone, Copy, Choice)]
pub enum UnknownOption {
    #[choice(alias = "big")]
    Big,
}

#[derive(Clone, Copy, Choice)]
pub enum NotInParentheses {
    #[choice = "big"]
    Big,
}

#[derive(Clone, Copy, Choice)]
pub enum Generic<T> {
    Big,
    Small(T),
}

fn main() {}
