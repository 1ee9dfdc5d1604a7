//! What a plugin imports: `use plugin_api::prelude::*;`

pub use crate::{
    Context, Plugin, Reply,
    args::Rest,
    error::{Error, OrTell, Result},
    plugin,
};
