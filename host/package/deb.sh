#!/usr/bin/env bash
# Makes the Debian package target/package/rosey_VERSION_ARCH.deb.
#   bash host/package/deb.sh [--profile PROFILE] [--version VERSION]
# The profile is dist, or dev for a try. It needs cargo, dpkg-dev and strip.
set -euo pipefail
cd "$(dirname "$0")/../.."

profile=dist
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
while [ $# -gt 0 ]; do
    case $1 in
    --profile) profile=$2 ;;
    --version) version=$2 ;;
    *) echo "deb.sh: unknown: $1; see its first lines" >&2; exit 2 ;;
    esac
    shift 2
done

plugins=()
for folder in plugins/*/; do plugins+=("$(basename "$folder")"); done
packages=(-p rosey -p rosey-shim)
for plugin in "${plugins[@]}"; do packages+=(-p "$plugin"); done
cargo build --quiet --locked --profile "$profile" "${packages[@]}"
target=${CARGO_TARGET_DIR:-target}
built=$target/$([ "$profile" = dev ] && echo debug || echo "$profile")

out=$target/package
root=$out/files
rm -rf "$root"
doc=$root/usr/share/doc/rosey
file() { install -D -m 0644 "$1" "$root/$2"; }

install -D -m 0755 "$built/rosey" "$root/usr/bin/rosey"
install -D -m 0755 "$built/rosey-shim" "$root/usr/lib/rosey/rosey-shim"
for plugin in "${plugins[@]}"; do
    library=lib${plugin//-/_}.so
    file "$built/$library" "usr/lib/rosey/plugins/$library"
done
strip --remove-section=.comment "$root/usr/bin/rosey" "$root/usr/lib/rosey/rosey-shim"
# The shim finds the plugin by a dynamic symbol, which stays.
strip --remove-section=.comment --strip-unneeded "$root"/usr/lib/rosey/plugins/*.so

file host/package/rosey.service lib/systemd/system/rosey.service
file host/package/rosey.sysusers usr/lib/sysusers.d/rosey.conf
file host/package/rosey.toml etc/rosey/rosey.toml
for page in docs/*.md docs/openapi.json SECURITY.md CHANGELOG.md THIRD_PARTY.md host/package/sbom.cdx.json; do file "$page" "usr/share/doc/rosey/$(basename "$page")"; done
for page in docs/guides/*.md; do file "$page" "usr/share/doc/rosey/guides/$(basename "$page")"; done
for example in grafana prometheus; do
    for page in examples/$example/*; do file "$page" "usr/share/doc/rosey/examples/$example/$(basename "$page")"; done
done
"$built/rosey" man "$root/usr/share/man/man1" >/dev/null
gzip -9n "$root"/usr/share/man/man1/*
install -d "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
"$built/rosey" completions bash >"$root/usr/share/bash-completion/completions/rosey"
"$built/rosey" completions zsh >"$root/usr/share/zsh/vendor-completions/_rosey"
"$built/rosey" completions fish >"$root/usr/share/fish/vendor_completions.d/rosey.fish"

maintainer='Rosey developers <rosey@packages.debian.org>'
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: rosey\n\n'
    printf 'Files: *\nCopyright: %s\nLicense: MIT\n' "$(sed -n 's/^Copyright (c) //p' LICENSE)"
    sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /'
    printf '\nComment: The crates that are linked into the programs, with their licences, are in THIRD_PARTY.md.\n'
} >"$doc/copyright"
printf 'rosey (%s) unstable; urgency=medium\n\n  * CHANGELOG.md has the changes.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")" |
    gzip -9n >"$doc/changelog.gz"

mkdir -p "$root/DEBIAN" "$out/shlibs/debian"
# What the programs are linked to, in the versions that they need.
printf 'Source: rosey\n\nPackage: rosey\nArchitecture: any\n' >"$out/shlibs/debian/control"
libraries=$(cd "$out/shlibs" && dpkg-shlibdeps -O ../files/usr/bin/rosey ../files/usr/lib/rosey/rosey-shim \
    ../files/usr/lib/rosey/plugins/*.so 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
cat >"$root/DEBIAN/control" <<CONTROL
Package: rosey
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: $maintainer
Installed-Size: $(du -k -s --exclude=DEBIAN "$root" | cut -f1)
Depends: $libraries, adduser
Recommends: ca-certificates
Section: net
Priority: optional
Description: chat bot whose plugins are replaced while users talk
 Rosey connects to IRC and runs each plugin, a native library, in a sandboxed
 process of its own. It replaces a plugin without losing a message, goes back
 to the build before when a new one fails, and shows what happens on a
 dashboard, as Prometheus metrics and in an audit.
CONTROL
echo /etc/rosey/rosey.toml >"$root/DEBIAN/conffiles"
install -m 0755 host/package/postinst host/package/prerm host/package/postrm "$root/DEBIAN/"
find "$root" -type d -exec chmod 0755 {} +
(cd "$root" && find . -type f -not -path './DEBIAN/*' -not -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
package=$out/rosey_${version}_$(dpkg --print-architecture).deb
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
