//! The `#[plugin]` attribute of `plugin-api`.
//!
//! An inherent `impl` block goes in; it comes out unchanged, but for the helper attributes, with an implementation of
//! `plugin_api::Plugin` and the exported root module beside it. `options` reads what stands in the attributes, `block`
//! what stands in the `impl`, `usage` the doc comments; `expand` writes.

mod block;
mod expand;
mod options;
mod usage;

use proc_macro::TokenStream;
use syn::{ItemImpl, parse_macro_input};

/// Makes a plugin of an `impl` block.
///
/// | on the block: `#[plugin(…)]` | |
/// | --- | --- |
/// | `probe = "roll 1d20"` | a command line, without prefix, that proves a new version healthy |
/// | `reload = "overlap"` | or `"handoff"` (state is handed over) or `"exclusive"` (never two at once) |
/// | `state_version = 2` | the version of the state that `#[snapshot]` writes; 1 if not given |
/// | `reads_state = 1..=2` | the versions that `#[restore]` reads; only `state_version` if not given |
///
/// | on a method | |
/// | --- | --- |
/// | `#[command]` | `fn` or `async fn (&self, cx: &Context, …)`; see `plugin_api::args` and `plugin_api::reply` |
/// | `#[command(name = "8ball")]` | its name, if not that of the method with `-` for `_` |
/// | `#[command(aliases("r", "d"))]` | other names |
/// | `#[command(cooldown = "1s")]` | how long one user waits between two calls: `ms`, `s` or `m` |
/// | `#[create]` | `fn (settings: T) -> Self` or `-> Result<Self>`, `T: Deserialize`; without it `Default` is used |
/// | `#[snapshot]` | `fn (&self) -> Result<Vec<u8>>` |
/// | `#[restore]` | `fn (&self, version: u32, state: &[u8]) -> Result<()>` |
/// | `#[shutdown]` | `fn (&self)` |
///
/// The doc comment of a command is its help. Its code spans that begin with `!` are its usage. Name, version and
/// description of the plugin are those of its package.
///
/// The crate may say `#![forbid(unsafe_code)]`. The symbol is exported except under `cfg(test)`, so that tests may hold
/// many plugins.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
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
