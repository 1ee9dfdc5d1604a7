//! Other programs on the same machine. Each runs if it is installed. `benches/peers` has them.

use benches::{
    limit,
    table::{Row, quantile},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Debian's Go packages, which are sources to build against.
const GO_PATH: &str = "/usr/share/gocode";

/// Runs all peers that are installed.
pub fn peers(rows: &mut Vec<Row>) {
    limit::pin(false);
    let cold = quantile(&mut limit::cold_start(50, Duration::ZERO), 0.5);
    let trip = quantile(&mut limit::ping_pong(64, 5000), 0.5);
    let folder = tempfile::tempdir().expect("a directory");
    if let Some(go_plugin) = build_go_plugin(folder.path()) {
        plugin_host(rows, "go-plugin, net/rpc", &mut Command::new(go_plugin), cold, trip);
    }
    let mut python = Command::new("python3");
    plugin_host(rows, "Python, multiprocessing", python.arg(peer("python_pipe.py")), cold, trip);
    for (name, kind) in [("nginx", "nginx"), ("PM2, 2 workers", "pm2")] {
        if let Some(figures) = run(name, Command::new("python3").arg(peer("reload_http.py")).arg(kind)) {
            let time = |key| Duration::from_secs_f64(figures[key] / 1e6);
            let what = |what: &str| format!("peer {name}: {what}");
            let lost = format!("{} requests lost", figures["lost"]);
            rows.push(Row { limit: lost, ..Row::time(what("reload"), time("reload_us"), cold, "") });
            rows.push(Row::time(what("slowest request while it reloads"), time("slowest_us"), cold, ""));
        }
    }
}

fn plugin_host(rows: &mut Vec<Row>, name: &str, command: &mut Command, cold: Duration, trip: Duration) {
    let Some(figures) = run(name, command) else { return };
    let time = |key| Duration::from_secs_f64(figures[key] / 1e6);
    rows.push(Row::time(format!("peer {name}: start to first reply"), time("cold_us"), cold, ""));
    rows.push(Row::time(format!("peer {name}: round trip p50, 64 B"), time("round_trip_us"), trip, ""));
    let most = limit::pipelined(1, 64, 1024, 1_000_000);
    rows.push(Row::rate(format!("peer {name}: 256 under way, 64 B"), figures["per_second"], most, ""));
}

fn build_go_plugin(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("go-plugin");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &peer("go-plugin/main.go")])
        .envs([("GO111MODULE", "off"), ("GOPATH", GO_PATH)])
        .env("GOCACHE", folder.join("cache"))
        .stderr(Stdio::null())
        .status();
    let is_built = built.is_ok_and(|status| status.success());
    if !is_built {
        eprintln!("peer go-plugin: left out; it needs golang-go and golang-github-hashicorp-go-plugin-dev");
    }
    is_built.then_some(program)
}

/// The figures of a peer: a name and a number a line.
fn run(name: &str, command: &mut Command) -> Option<HashMap<String, f64>> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success());
    if output.is_none() {
        eprintln!("peer {name}: left out; it is not installed, or does not run here");
    }
    let text = String::from_utf8(output?.stdout).ok()?;
    Some(text.lines().filter_map(|line| line.split_once(' ')).map(|(key, value)| (key.into(), parse(value))).collect())
}

fn parse(number: &str) -> f64 {
    number.parse().expect("our own programs print numbers")
}

fn peer(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file)
}
