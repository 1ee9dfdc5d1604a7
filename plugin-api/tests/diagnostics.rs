//! What an author reads who writes something else than `#[plugin]` takes: each message stands at the author's own words
//! and says what to write. `TRYBUILD=overwrite cargo test -p plugin-api --test diagnostics` writes what is read now.
//!
//! Only our own texts stand here: what rustc says of its own changes from release to release.

#[test]
fn every_mistake_is_shown_where_it_is_with_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/diagnostics/*.rs");
}
