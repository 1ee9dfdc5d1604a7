//! THIRD_PARTY.md has the notices of every crate that is linked into what Rosey ships, and the package has the list of them in
//! the form of CycloneDX.

use crate::{read, root};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
    process::Command,
};

/// Whether a package is shipped: the two programs, and each plugin in `plugins`.
fn is_shipped(package: &Value) -> bool {
    let name = text(package, "name");
    let is_plugin = !name.is_empty() && root().join("plugins").join(name).is_dir();
    package["source"].is_null() && (["rosey", "rosey-shim"].contains(&name) || is_plugin)
}

const HEAD: &str = "# Licences of what Rosey is built from\n\n\
    Rosey itself is under the MIT licence: see LICENSE. Its programs and plugins contain the crates below, each under the licence that its row\n\
    names first where it offers several. A test makes this page: `THIRD_PARTY=write cargo test -p rosey-tests --test tidy third_party` writes it\n\
    after a change of `Cargo.lock`.\n\n| crate | licence | notice |\n| --- | --- | --- |\n";

/// What `cargo metadata` says of this workspace.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The crates of others that are linked into what is shipped, by name and version.
fn linked(metadata: &Value) -> BTreeMap<(String, String), &Value> {
    let list = |value: &'static str| move |all: &Value| all[value].as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<&str, &Value> =
        metadata["packages"].as_array().expect("a list").iter().map(|package| (text(package, "id"), package)).collect();
    let nodes = list("nodes")(&metadata["resolve"]);
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|node| (text(node, "id"), node)).collect();
    let is_linked = |dependency: &Value| list("dep_kinds")(dependency).iter().any(|kind| kind["kind"].is_null());
    let mut waiting: Vec<String> =
        packages.values().filter(|package| is_shipped(package)).map(|p| text(p, "id").to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if seen.insert(id.clone()) {
            let dependencies = list("deps")(nodes[id.as_str()]);
            waiting.extend(dependencies.iter().filter(|d| is_linked(d)).map(|d| text(d, "pkg").to_owned()));
        }
    }
    let of_others = seen.iter().map(|id| packages[id.as_str()]).filter(|package| !package["source"].is_null());
    of_others
        .map(|package| ((text(package, "name").to_owned(), text(package, "version").to_owned()), package))
        .collect()
}

/// The files with licences that lie beside the manifest of a crate, by name.
fn files(package: &Value) -> Vec<(String, String)> {
    let folder = Path::new(text(package, "manifest_path")).parent().expect("a file");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("cargo has it").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_licence = ["LICEN", "COPY", "NOTICE"].iter().any(|start| name.to_uppercase().starts_with(start));
        if let (true, Ok(text)) = (is_licence, fs::read_to_string(entry.path())) {
            files.push((name, text));
        }
    }
    files.sort();
    files
}

/// The lines of a crate that state a copyright under MIT; its authors, if it has none.
fn notice(package: &Value) -> String {
    let files = files(package);
    let of_mit = files.iter().filter(|(name, _)| name.to_uppercase().contains("MIT"));
    let any = files.iter().filter(|(name, _)| !name.to_uppercase().contains("APACHE"));
    for (_, text) in of_mit.chain(any) {
        let lines = text.lines().map(str::trim).filter(|line| {
            (line.starts_with("Copyright ") || line.starts_with("(c) "))
                && line.chars().any(|c| c.is_ascii_digit() || c == '(')
        });
        let lines: Vec<_> = lines.collect();
        if !lines.is_empty() {
            return lines.join("; ").replace('|', "/");
        }
    }
    let authors: Vec<_> = package["authors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let name = text(package, "name");
    if authors.is_empty() {
        format!("Copyright the authors of {name}")
    } else {
        format!("Copyright {}", authors.join(", "))
    }
}

fn page() -> String {
    let metadata = metadata();
    let mut page = HEAD.to_owned();
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((name, version), package) in linked(&metadata) {
        let licence = text(package, "license");
        let is_mit = licence.contains("MIT") && !licence.contains(" AND ");
        let (shown, notice) = if is_mit {
            (format!("MIT (of: {licence})"), notice(package))
        } else {
            (licence.to_owned(), "below".to_owned())
        };
        let shown = if licence == "MIT" { "MIT".to_owned() } else { shown };
        let _ = writeln!(page, "| {name} {version} | {shown} | {notice} |");
        if is_mit {
            continue;
        }
        let files = files(package);
        // Of a choice with Apache's, the shorter one.
        let has_choice = licence.contains(" OR ") && files.len() > 1;
        let chosen = files.into_iter().filter(|(name, _)| !(has_choice && name.to_uppercase().contains("APACHE")));
        for (_, text) in chosen {
            let text: Vec<_> = text.lines().map(str::trim_end).collect();
            others.entry(text.join("\n").trim().to_owned()).or_default().push(format!("{name} {version}"));
        }
    }
    let mit = read("LICENSE");
    let _ =
        write!(page, "\n## MIT\n\n```text\n{}\n```\n", mit[mit.find("Permission").expect("it is MIT")..].trim_end());
    for (text, crates) in others {
        let _ = write!(page, "\n## {}\n\n````text\n{text}\n````\n", crates.join(", "));
    }
    page
}

/// The same crates for programs, in the form of CycloneDX 1.5, with the checksums of `Cargo.lock`.
fn bill_of_materials() -> String {
    let metadata = metadata();
    let lock = read("Cargo.lock");
    let checksum = |name: &str, version: &str| {
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let rest = lock.split_once(&entry)?.1.split("\n\n").next()?;
        rest.split_once("checksum = \"")?.1.split('"').next().map(str::to_owned)
    };
    let component = |(name, version): &(String, String), package: &Value| {
        let licence = text(package, "license").replace('/', " OR ");
        let sum = checksum(name, version).expect("every crate of others has one");
        json!({
            "type": "library",
            "bom-ref": format!("pkg:cargo/{name}@{version}"),
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence }],
            "hashes": [{ "alg": "SHA-256", "content": sum }],
        })
    };
    let rosey = metadata["packages"].as_array().into_iter().flatten().find(|package| text(package, "name") == "rosey");
    let version = rosey.map(|rosey| text(rosey, "version")).unwrap_or_default();
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "application", "bom-ref": "rosey", "name": "rosey", "version": version } },
        "components": linked(&metadata).iter().map(|(name, package)| component(name, package)).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&bill).expect("plain data") + "\n"
}

#[test]
fn third_party_notices_are_those_of_the_crates_that_are_linked() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    for (path, content) in [("THIRD_PARTY.md", page()), ("host/package/sbom.cdx.json", bill_of_materials())] {
        if std::env::var_os("THIRD_PARTY").is_some() {
            fs::write(root().join(path), content).expect("our folder");
            continue;
        }
        assert!(
            fs::read_to_string(root().join(path)).is_ok_and(|found| found == content),
            "write {path}: THIRD_PARTY=write cargo test -p rosey-tests --test tidy third_party"
        );
    }
}
