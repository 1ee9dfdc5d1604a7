//! `rosey new`: the crate of a new plugin, from the template.

use std::{fs, io, path::Path};

/// The template; `examples/template` builds and tests itself.
const MANIFEST: &str = include_str!("../../../examples/template/Cargo.toml");
const SOURCE: &str = include_str!("../../../examples/template/src/lib.rs");

/// The name of the plugin in the template.
const NAME: &str = "my-plugin";

/// The dependency in the template.
const API: &str = "plugin-api = { path = \"../../plugin-api\" }";
const API_COMMENT: &str = "# From your copy of the template: the path of your checkout of Rosey.\n";

/// The crate that plugins are built against, where this host was built.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api");

/// The version of that crate, for a host that was installed without its sources.
const API_MANIFEST: &str = include_str!("../../../plugin-api/Cargo.toml");

const README: &str = "\
# my-plugin

A plugin for Rosey. `rosey dev` in this folder runs it in a bot on this terminal; save a file, and the new build answers.

```sh
rosey dev                     # in a checkout of Rosey: cargo run -- dev PATH
cargo test                    # talks to the plugin without a bot
cargo build --release         # for a bot that runs elsewhere
```

To use it in another bot, add this to the bot's configuration, and reload the plugin after each build with
`!admin reload my-plugin`:

```toml
[plugins.my-plugin]
library = \"PATH/target/release/libmy_plugin.so\"

[plugins.my-plugin.config]
greeting = \"Salve\"
```

A job that tests it at each push, for GitHub (`.github/workflows/test.yml`):

```yaml
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: cargo test --locked && cargo build --release --locked
```
";

/// Words that Rust keeps for itself, and crates that come with it.
const TAKEN: [&str; 56] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Makes the folder `name` in `parent` with the crate of a plugin of this name. Returns what to do next.
///
/// # Errors
/// What is wrong with the name, or with the folder; then nothing is left behind.
pub fn create(parent: &Path, name: &str) -> Result<String, String> {
    check(name)?;
    let folder = parent.join(name);
    fs::create_dir(&folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} exists already; choose another name", folder.display()),
        _ => format!("{} cannot be created: {error}", folder.display()),
    })?;
    write(&folder, name).map_err(|error| {
        // It was made just now, and holds nothing else.
        let _ = fs::remove_dir_all(&folder);
        format!("{} cannot be written: {error}", folder.display())
    })?;
    Ok(format!(
        "Created {name}: Cargo.toml, src/lib.rs, README.md.\nTo run it in a bot on this terminal, and to reload it at each \
         save: rosey dev {}\n",
        folder.display()
    ))
}

fn check(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > 64
        || !name.chars().all(fits)
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return Err(format!(
            "{name:?} cannot be the name of a plugin: that has 1 to 64 of a-z, 0-9 and -, and begins with a letter"
        ));
    }
    if TAKEN.contains(&name) {
        return Err(format!(
            "{name} cannot be the name of a plugin, because it has a meaning in Rust; choose another one"
        ));
    }
    Ok(())
}

fn write(folder: &Path, name: &str) -> io::Result<()> {
    let library = name.replace('-', "_");
    let rename = |text: &str| text.replace(NAME, name).replace("my_plugin", &library);
    let manifest = rename(MANIFEST).replace(API_COMMENT, "").replace(API, &dependency());
    fs::create_dir(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), rename(SOURCE))?;
    fs::write(folder.join("README.md"), rename(README))?;
    fs::write(folder.join(".gitignore"), "/target\n/.rosey\n")
}

/// The line for `plugin-api` in the manifest.
fn dependency() -> String {
    if let Ok(path) = fs::canonicalize(CHECKOUT)
        && let Some(path) = path.to_str()
    {
        return format!("plugin-api = {{ path = {path:?} }}");
    }
    let version = API_MANIFEST.lines().find_map(|line| line.strip_prefix("version = "));
    format!("plugin-api = {}", version.unwrap_or("\"1\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cargo_or_rosey_would_refuse_is_refused_first() {
        for name in ["", "Quotes", "9ball", "-x", "a_b", "a b", "../x", &"x".repeat(65)] {
            assert!(check(name).is_err_and(|error| error.contains("1 to 64 of a-z, 0-9 and -")), "{name}");
        }
        assert!(check("match").is_err_and(|error| error.contains("meaning in Rust")));
        assert!(TAKEN.is_sorted());
        for name in ["quotes", "8ball-2".trim_start_matches('8'), "x"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn the_crate_has_its_name_everywhere_and_nothing_is_overwritten() {
        let parent = tempfile::tempdir().expect("a directory");
        let next = create(parent.path(), "tea-time").expect("a good name");
        assert!(next.contains("rosey dev "), "{next}");
        for file in ["Cargo.toml", "src/lib.rs", "README.md", ".gitignore"] {
            let text = fs::read_to_string(parent.path().join("tea-time").join(file)).expect("written");
            assert!(!text.contains("my-plugin") && !text.contains("my_plugin"), "{file}: {text}");
        }
        let manifest = fs::read_to_string(parent.path().join("tea-time/Cargo.toml")).expect("written");
        assert!(manifest.contains("name = \"tea-time\"") && !manifest.contains("\"../../plugin-api\""), "{manifest}");
        let error = create(parent.path(), "tea-time").expect_err("it is there");
        assert!(error.ends_with("exists already; choose another name"), "{error}");
    }
}
