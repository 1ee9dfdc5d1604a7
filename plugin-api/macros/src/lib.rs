//! The `#[plugin]` attribute of `plugin-api`.
//!
//! The macro takes an inherent `impl` block. It returns the block without the helper attributes, an implementation of
//! `plugin_api::Plugin`, and the exported root module. `options` reads the attributes, `block` the `impl` block, `command`
//! and `handler` its methods, `usage` the doc comments, and `expand` writes the code. `choice` and `settings` are
//! derives of their own.

mod block;
mod choice;
mod command;
mod expand;
mod handler;
mod options;
mod settings;
mod usage;

use proc_macro::TokenStream;
use quote::ToTokens;
use syn::{DeriveInput, Error, Item, ItemImpl};

/// Makes an `impl` block a plugin.
///
/// | on the block: `#[plugin(…)]` | |
/// | --- | --- |
/// | `probe = "roll 1d20"` | a command line without prefix, or a line that `#[on(message)]` handles, with which the host checks a new build; default: no probe |
/// | `reload = "overlap"` | or `"handoff"` (the new build gets the state) or `"exclusive"` (never two at once) |
/// | `state_version = 2` | the version of the state that `#[snapshot]` writes; default: 1 |
/// | `reads_state = 1..=2` | the versions that `#[restore]` reads; default: only `state_version` |
/// | `store_version = 2` | the version of the plugin's data in the store; see `#[migrate]` |
/// | `network("api.example.org:443")` | a wish, which the operator has to grant: where the plugin connects to; `*` stands for every host, or every port |
/// | `files("/usr/share/dict")` | a wish: what it reads besides its own folder and the system's libraries |
/// | `processes = true` | a wish: to start processes |
/// | `memory = 1024` | a wish: MiB of memory, if it needs more than 512 |
///
/// | on a method | |
/// | --- | --- |
/// | `#[command]` | `fn` or `async fn (&self, cx: &Context, …)`; see `plugin_api::args` and `plugin_api::reply` |
/// | `#[command(name = "8ball")]` | the command's name; default: that of the method with `-` for `_` |
/// | `#[command(aliases("r", "d"))]` | further names |
/// | `#[command(path = "quotes search")]` | a subcommand: `!quotes search WORD`; its aliases are further names for `search` |
/// | `#[command(requires = "operator")]` | who may use it: `viewer`, `operator` or `owner` by the operator's `[roles]`, which the host checks before it wakes the plugin; a subcommand needs what its command needs too |
/// | `#[command(order = "channel")]` | all answers to the channel keep their order, for games; `"none"`: an answer waits for no other, for slow lookups; default: `"user"`, the answers to one person in a channel keep their order; see `plugin_api::manifest::Order` |
/// | `#[command(cooldown = "1s")]` | how long one user must wait between two uses: `500ms`, `10s`, `5m`, `1h30m`, `1d`, at most 49 days |
/// | `#[command(channel_cooldown = "5s")]` | how long a channel must wait between two uses by anyone |
/// | `#[command(global_cooldown = "1s")]` | how long everyone must wait between two uses by anyone |
/// | `#[on(message)]` | `fn` or `async fn (&self, cx: &Context, event: &Message)`: lines that are no commands; see `plugin_api::event` |
/// | `#[on(message, regex = "https?://")]` | only lines that match; the host matches them before it wakes the plugin |
/// | `#[on(join)]`, `part`, `nick`, `topic` | the same with `&Join`, `&Part`, `&Nick`, `&Topic` |
/// | `#[on(signal, topic = "build-done")]` | signals of other plugins: `&Signal` |
/// | `#[timer]`, `#[timer("tea")]` | timers that handlers set, all of them or those of one name: `&Timer` |
/// | `#[every("0 9 * * 1-5", tz = "Europe/Berlin")]` | a repeated timer: minute, hour, day of the month, month, day of the week; default zone: UTC |
/// | `#[start]` | the plugin's generation becomes active: `&Start` |
/// | `#[migrate]` | `fn` or `async fn (&self, cx: &Context, from: u32) -> Result<()>`: migrates the store to `store_version` |
/// | `#[create]` | `fn (settings: T) -> Self` or `-> Result<Self>`, `T` with `#[derive(Settings)]` or `Deserialize`; default: `Default` |
/// | `#[snapshot]` | `fn (&self) -> Result<Vec<u8>>`, for `reload = "handoff"` |
/// | `#[restore]` | `fn (&self, version: u32, state: &[u8]) -> Result<()>`, for `reload = "handoff"` |
/// | `#[shutdown]` | `fn (&self)`, the last call; the host kills the process after 2 s |
///
/// A handler may leave out the event, and may return what a command may return. A plugin has at least one command or one handler.
///
/// The doc comment of a command is its help, and its code spans that begin with `!` are its usage. The plugin has the name,
/// version and description of its package.
///
/// Subcommands are methods of their own. A method whose name is the first word of their path is called when no subcommand
/// is named. Without such a method the user gets the usages of the subcommands.
///
/// The crate may say `#![forbid(unsafe_code)]`. Under `cfg(test)` the macro exports no symbol, so that tests may have many
/// plugins.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let item: ItemImpl = match syn::parse(item.clone()) {
        Ok(item) => item,
        Err(error) => return not_an_impl(item, error),
    };
    let original = item.clone();
    let expanded = options::Options::parse(options.into())
        .and_then(|options| block::Block::read(item).and_then(|block| expand::plugin(&options, &block)));
    // The block stays even after an error. Otherwise every use of its methods would be an error too.
    expanded
        .unwrap_or_else(|error| {
            let error = error.into_compile_error();
            let rest = block::without_helpers(original);
            quote::quote!(#rest #error)
        })
        .into()
}

/// Makes an enum an argument of commands: a user types the name of a variant. The enum must be `Copy`.
///
/// | on a variant | |
/// | --- | --- |
/// | (nothing) | the name is that of the variant, `VeryBig` as `very-big` |
/// | `#[choice(name = "big")]` | another name |
/// | `#[choice(aliases("large", "l"))]` | further names, which answers do not list |
///
/// Names are in lower case, and users may type any. `plugin_api::args` has an example.
#[proc_macro_derive(Choice, attributes(choice))]
pub fn derive_choice(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error().into(),
    };
    choice::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a struct the settings of a plugin, for the parameter of `#[create]`. Each field is a setting; its doc comment is
/// shown to operators. A setting without a default that is no `Option` must be set, and unknown settings are refused.
///
/// | on a field | |
/// | --- | --- |
/// | `#[setting(default = 5)]` | the value when it is not set: a literal, an expression, or a text such as `"10m"` for a `Duration` |
/// | `#[setting(default)]` | the same with `Default::default()` |
/// | `#[setting(range = 1..=100)]` | the values that it may have; also `1..`, `..=100`, and `"1s"..="1h"` for a `Duration` |
/// | `#[setting(unit = "days")]` | what a number counts |
/// | `#[setting(name = "type")]` | its name in the operator's file; default: that of the field |
///
/// The struct gets `serde::Deserialize`, so do not derive that. A `Duration` is written as text (`"2h30m"`), a
/// The value of a `plugin_api::Secret` is never shown. `plugin_api::settings` has an example.
// `serde` too, so that a mistaken `#[serde(…)]` gets this macro's message and not rustc's.
#[proc_macro_derive(Settings, attributes(setting, serde))]
pub fn derive_settings(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error().into(),
    };
    settings::expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// The author wrote `#[plugin]` on something else, most likely on the type. The item stays; otherwise every use of it
/// would be an error too.
fn not_an_impl(item: TokenStream, error: Error) -> TokenStream {
    let error = match syn::parse::<Item>(item.clone()) {
        Ok(Item::Struct(it)) => on_type(&it.ident),
        Ok(Item::Enum(it)) => on_type(&it.ident),
        Ok(other) => Error::new_spanned(other, "`#[plugin]` belongs on the `impl` block with the commands"),
        Err(_) => error,
    };
    let mut all = item;
    all.extend(TokenStream::from(error.into_compile_error()));
    all
}

fn on_type(name: &impl ToTokens) -> Error {
    let text = format!("`#[plugin]` belongs on `impl {} {{ … }}`, not on the type", name.to_token_stream());
    Error::new_spanned(name, text)
}
