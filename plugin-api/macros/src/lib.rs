//! The `#[plugin]` attribute of `plugin-api`.
//!
//! An inherent `impl` block goes in; it comes out unchanged, but for the helper attributes, with an implementation of
//! `plugin_api::Plugin` and the exported root module beside it. `options` reads what stands in the attributes, `block`
//! what stands in the `impl`, `usage` the doc comments; `expand` writes.

mod block;
mod expand;
mod handler;
mod options;
mod usage;

use proc_macro::TokenStream;
use quote::ToTokens;
use syn::{Error, Item, ItemImpl};

/// Makes a plugin of an `impl` block.
///
/// | on the block: `#[plugin(…)]` | |
/// | --- | --- |
/// | `probe = "roll 1d20"` | a command line without the prefix, or a line that `#[on(message)]` hears, that proves a new version healthy |
/// | `reload = "overlap"` | or `"handoff"` (state is handed over) or `"exclusive"` (never two at once) |
/// | `state_version = 2` | the version of the state that `#[snapshot]` writes; 1 if not given |
/// | `reads_state = 1..=2` | the versions that `#[restore]` reads; only `state_version` if not given |
///
/// | `store_version = 2` | the version of what the plugin keeps in the store; see `#[migrate]` |
///
/// | on a method | |
/// | --- | --- |
/// | `#[command]` | `fn` or `async fn (&self, cx: &Context, …)`; see `plugin_api::args` and `plugin_api::reply` |
/// | `#[command(name = "8ball")]` | its name, if not that of the method with `-` for `_` |
/// | `#[command(aliases("r", "d"))]` | other names |
/// | `#[command(cooldown = "1s")]` | how long one user waits between two calls: `ms`, `s` or `m` |
/// | `#[command(channel_cooldown = "5s")]` | how long a channel waits between two calls by anyone |
/// | `#[command(global_cooldown = "1s")]` | how long everyone waits between two calls by anyone |
/// | `#[on(message)]` | `fn` or `async fn (&self, cx: &Context, event: &Message)`: lines that are no commands; see `plugin_api::event` |
/// | `#[on(message, regex = "https?://")]` | only lines that match; the host looks, before the plugin is woken |
/// | `#[on(join)]`, `part`, `nick`, `topic` | the same with `&Join`, `&Part`, `&Nick`, `&Topic` |
/// | `#[on(signal, topic = "build-done")]` | what another plugin publishes: `&Signal` |
/// | `#[timer]`, `#[timer("tea")]` | timers that handlers set, all or of one name: `&Timer` |
/// | `#[every("0 9 * * 1-5", tz = "Europe/Berlin")]` | a timer of its own: minute, hour, day of the month, month, day of the week |
/// | `#[start]` | the plugin serves from now on: `&Start` |
/// | `#[migrate]` | `fn` or `async fn (&self, cx: &Context, from: u32) -> Result<()>`: brings the store up to `store_version` |
/// | `#[create]` | `fn (settings: T) -> Self` or `-> Result<Self>`, `T: Deserialize`; without it `Default` is used |
/// | `#[snapshot]` | `fn (&self) -> Result<Vec<u8>>` |
/// | `#[restore]` | `fn (&self, version: u32, state: &[u8]) -> Result<()>` |
/// | `#[shutdown]` | `fn (&self)` |
///
/// A handler may leave out the event, and returns what a command may return. A plugin has one command or one handler at least.
///
/// The doc comment of a command is its help. Its code spans that begin with `!` are its usage. Name, version and
/// description of the plugin are those of its package.
///
/// The crate may say `#![forbid(unsafe_code)]`. The symbol is exported except under `cfg(test)`, so that tests may hold
/// many plugins.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let item: ItemImpl = match syn::parse(item.clone()) {
        Ok(item) => item,
        Err(error) => return not_an_impl(item, error),
    };
    let original = item.clone();
    let expanded = options::Options::parse(options.into())
        .and_then(|options| block::Block::read(item).and_then(|block| expand::plugin(&options, &block)));
    // On an error the block stays, or every use of its methods would be an error as well.
    expanded
        .unwrap_or_else(|error| {
            let error = error.into_compile_error();
            let rest = block::without_helpers(original);
            quote::quote!(#rest #error)
        })
        .into()
}

/// `#[plugin]` on something else: most likely on the type. The item stays, or its every use would be an error as well.
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
