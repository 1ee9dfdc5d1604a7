# The commands that people type: `just --list` shows them, CONTRIBUTING.md says when. Each works without just as well.

# Shows this list
default:
    @just --list

# Runs Rosey on this terminal, with the two plugins that come with it
run *arguments:
    cargo run -- {{ arguments }}

# Compiles everything without running it: the fastest answer while you write
check:
    cargo check --workspace --all-targets

# Runs the tests whose name contains FILTER; without one, all of them
test *filter:
    cargo test --workspace {{ filter }}

# Runs one file of end-to-end tests, such as `just e2e reload a_handoff`
e2e file *filter:
    cargo test -p rosey-tests --test {{ file }} {{ filter }}

# Formats the code
fmt:
    cargo fmt --all

# Shows what clippy has to say; it must be nothing
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Opens the documentation for authors of plugins
doc:
    cargo doc --no-deps --open -p plugin-api

# Builds one plugin; `!admin reload` then loads it into a bot that runs
plugin name:
    cargo build -p {{ name }}

# Measures everything that has a limit, on a quiet machine
bench:
    cargo bench -p benches

# Lets everything go wrong at once; the seed repeats the faults
storm seconds="60" seed="7":
    cargo run --release -p rosey-tests --bin chaos -- --seconds {{ seconds }} --seed {{ seed }}

# Runs everything that must hold before a change is taken
ci:
    bash .ci/run
