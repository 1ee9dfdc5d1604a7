//! The messages for authors who write something that `#[plugin]` does not accept. Each message is at the author's own
//! words and says what to write. `TRYBUILD=overwrite cargo test -p plugin-api --test diagnostics` records the present
//! messages.
//!
//! Only the macro's own messages are here, because rustc's messages change from release to release.

#[test]
fn every_mistake_is_shown_where_it_is_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/diagnostics/*.rs");
}
