#!/usr/bin/env bash
# Tries the Debian package in a clean Debian: installs it, runs the bot, upgrades, removes and purges it, and runs lintian.
#   sudo bash host/package/try.sh [--profile PROFILE]
# It needs debootstrap and lintian, the network once, and 400 MB in target/package; it takes a minute after the build.
set -euo pipefail
cd "$(dirname "$0")/../.."

profile=dist
[ "${1:-}" != --profile ] || profile=$2
out=${CARGO_TARGET_DIR:-target}/package
say() { printf '== %s\n' "$*"; }
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }

first=$(bash host/package/deb.sh --profile "$profile" | tail -n 1)
version=$(dpkg-deb -f "$first" Version)
second=$(bash host/package/deb.sh --profile "$profile" --version "$version+next" | tail -n 1)

say "lintian $first"
# The libraries are plugins, and the programs are linked by cargo. An unreleased version has no bug to close.
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs,hardening-no-pie "$first"

clean=$out/debian
if [ ! -e "$clean.tar" ]; then
    say "debootstrap"
    rm -rf "$clean"
    debootstrap --variant=minbase bookworm "$clean" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$out/debootstrap.log" ||
        fail "debootstrap failed: see $out/debootstrap.log"
    rm -rf "$clean"/var/cache/apt/archives/*.deb
    tar -C "$clean" -cf "$clean.tar" .
fi
rm -rf "$clean"
mkdir -p "$clean"
tar -C "$clean" -xf "$clean.tar"
bot=
trap '[ -z "$bot" ] || kill "$bot" 2>/dev/null || true; umount "$clean/proc" 2>/dev/null || true' EXIT
mount -t proc proc "$clean/proc"
inside() { chroot "$clean" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
as_rosey() { inside setpriv --reuid=rosey --regid=rosey --clear-groups --no-new-privs "$@"; }
admin() { as_rosey rosey admin "$@" --config /etc/rosey/rosey.toml; }
start() {
    # The very command of the unit, as its user.
    # shellcheck disable=SC2046
    as_rosey $(sed -n 's/^ExecStart=//p' "$clean/lib/systemd/system/rosey.service") </dev/null 2>>"$out/bot.log" &
    bot=$!
    for _ in $(seq 100); do
        case $(admin list 2>/dev/null || true) in *"dice-roller 1"*running*) return ;; esac
        kill -0 "$bot" 2>/dev/null || break
        sleep 0.1
    done
    cat "$out/bot.log"
    fail "the bot does not serve"
}
stop() {
    # The host is the one that holds the lock.
    kill -TERM "$(cut -d ' ' -f 2 "$clean/var/lib/rosey/lock")"
    wait "$bot" || fail "the bot did not stop in order"
    bot=
}

say "install $version"
: >"$out/bot.log"
cp "$first" "$second" "$clean/tmp/"
inside apt-get -qq update >/dev/null
inside apt-get -qq -y --no-install-recommends install "/tmp/$(basename "$first")" >"$out/apt.log" 2>&1 || { cat "$out/apt.log"; fail "apt"; }
inside rosey --version
[ "$(inside stat -c '%U %a' /var/lib/rosey /etc/rosey /etc/rosey/rosey.toml | tr '\n' ' ')" = "rosey 700 root 750 root 640 " ] ||
    fail "owners or modes are not as they should be"
# As an operator would, with a server that is not there.
printf '\n[connect.irc]\nserver = "127.0.0.1"\nport = 1\ntls = false\nnick = "rosey"\nchannels = ["#rosey"]\n' >>"$clean/etc/rosey/rosey.toml"
as_rosey rosey check --config /etc/rosey/rosey.toml >/dev/null
for page in rosey.1 rosey-admin.1; do inside test -s "/usr/share/man/man1/$page.gz" || echo "no man page $page (a minimal Debian drops them)"; done

say "start, change, back up"
start
admin restart dice-roller --yes --wait
as_rosey rosey backup /tmp/backup.tar --config /etc/rosey/rosey.toml
stop

say "upgrade"
echo '# of the operator' >>"$clean/etc/rosey/rosey.toml"
inside apt-get -qq -y install "/tmp/$(basename "$second")" >"$out/apt.log" 2>&1 || { cat "$out/apt.log"; fail "apt"; }
[ "$(inside dpkg-query -W -f '${Version}' rosey)" = "$version+next" ] || fail "it was not upgraded"
tail -n 1 "$clean/etc/rosey/rosey.toml" | grep -q 'of the operator' || fail "the configuration was overwritten"
start
as_rosey rosey audit list --config /etc/rosey/rosey.toml | grep -q restart || fail "the audit did not outlive the upgrade"
stop

say "restore"
mv "$clean/var/lib/rosey" "$clean/var/lib/rosey.before"
inside install -d -m 0700 -o rosey -g rosey /var/lib/rosey
as_rosey rosey restore /tmp/backup.tar --config /etc/rosey/rosey.toml
as_rosey rosey audit verify --config /etc/rosey/rosey.toml
rm -rf "$clean/var/lib/rosey.before"

say "remove"
inside apt-get -qq -y remove rosey >"$out/apt.log" 2>&1 || { cat "$out/apt.log"; fail "apt"; }
[ ! -e "$clean/usr/bin/rosey" ] && [ -e "$clean/etc/rosey/rosey.toml" ] && [ -e "$clean/var/lib/rosey/rosey.db" ] ||
    fail "a removal takes the programs, and nothing else"

say "purge"
inside apt-get -qq -y purge rosey >"$out/apt.log" 2>&1 || { cat "$out/apt.log"; fail "apt"; }
left=$(find "$clean" -xdev -not -path "$clean/proc/*" -iname '*rosey*' -not -path "$clean/tmp/*" -not -path "$clean/var/log/apt/*" \
    -not -path "$clean/var/lib/apt/*" -not -path "$clean/var/cache/*")
[ -z "$left" ] || fail "a purge leaves: $left"
umount "$clean/proc"
rm -rf "$clean"
say "All is well."
