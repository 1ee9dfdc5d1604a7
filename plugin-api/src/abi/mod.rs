//! The boundary between a plugin library and the shim. Plugin authors never look here.
pub mod module;
