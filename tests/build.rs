//! Says at the start of `cargo test` how long it takes.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::warning=no problem, only a note: the first `cargo test` takes about 20 minutes on two cores, and 5 GB in target"
    );
}
