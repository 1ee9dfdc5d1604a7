//! Everything that a plugin imports: `use plugin_api::prelude::*;`

pub use crate::{
    Choice, Context, Plugin, Reply, Secret, Settings,
    args::Rest,
    error::{Error, OrTell, Result},
    plugin,
};
