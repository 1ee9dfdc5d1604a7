#!/usr/bin/env bash
# Holds a running bot to docs/openapi.json: `bash tests/schemathesis.sh`. Needs schemathesis (pip install schemathesis).
set -euo pipefail
cd "$(dirname "$0")/.."

command -v schemathesis >/dev/null || { echo "schemathesis is not installed (pip install schemathesis)"; exit 1; }
cargo build --quiet -p rosey -p rosey-shim -p dice-roller -p misbehave
folder=$(mktemp -d)
bot=
end() {
    [ -z "$bot" ] || kill "$bot" 2>/dev/null || true
    wait
    rm -r "$folder"
}
trap end EXIT

token="correct horse battery staple"
# A bot whose dashboard has these settings; the address that it has got is in $address.
start() {
    [ -z "$bot" ] || { kill "$bot"; wait "$bot" || true; }
    printf 'plugin_dir = "%s"\nstate_dir = "state"\n[dashboard]\nenabled = true\nport = 0\n%s\n[plugins.dice-roller]\n[plugins.misbehave]\n' \
        "$PWD/${CARGO_TARGET_DIR:-target}/debug" "$1" >"$folder/rosey.toml"
    "${CARGO_TARGET_DIR:-target}/debug/rosey" run --config "$folder/rosey.toml" </dev/null 2>"$folder/log" &
    bot=$!
    address=
    for _ in $(seq 100); do
        address=$(sed -n 's|.*dashboard: http://\(.*\)/$|\1|p' "$folder/log")
        [ -z "$address" ] || break
        sleep 0.1
    done
    [ -n "$address" ] || { cat "$folder/log"; exit 1; }
    address=${address/0.0.0.0/127.0.0.1}
    curl -fsS --retry 30 --retry-all-errors --retry-delay 1 "http://$address/readyz" >/dev/null
}

# As often as takes some ten seconds; with a seed, so that it finds the same tomorrow.
hold() {
    # It leaves folders where it runs.
    (cd "$folder" && schemathesis run "http://$address/openapi.json" --url "http://$address" --seed "${SEED:-1}" \
        -n "${EXAMPLES:-30}" --continue-on-failure "$@")
}

echo "== open to everyone"
start ""
hold
echo "== with the token"
start "host = \"0.0.0.0\"
token = \"$token\""
hold -H "Authorization: Bearer $token"
echo "== without the token that it takes"
hold --exclude-checks positive_data_acceptance
echo "The bot keeps what docs/openapi.json promises."
