#!/bin/sh
# Builds the Swift package and runs its tests: with this computer's Swift where there is one (a Mac), else with Debian
# 13's, unpacked into a private folder (546 MB to download, 2.4 GB of disk, once). Core ML is a stub on Linux.
#   SLIMFORMER_SWIFT   the private folder; default ${XDG_CACHE_HOME:-~/.cache}/slimformer/swift
set -eu
package=$(cd "$(dirname "$0")" && pwd)
cache=${SLIMFORMER_SWIFT:-${XDG_CACHE_HOME:-$HOME/.cache}/slimformer/swift}
root=$cache/root

if [ "$(uname)" = Darwin ] || command -v swift >/dev/null; then
    exec swift test --package-path "$package" --scratch-path "$cache/build"
fi

fetch() {
    for program in apt-get dpkg-deb unshare chroot; do
        command -v $program >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null || {
            echo "$program is needed to unpack Debian's Swift; or install swift from swift.org yourself" >&2
            exit 1
        }
    done
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    test -f $keys || { echo "$keys is missing: install the package debian-archive-keyring" >&2; exit 1; }
    apt=$cache/apt
    rm -rf "$apt" "$cache/unpacking"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    echo "deb [signed-by=$keys] ${SLIMFORMER_DEBIAN:-http://deb.debian.org/debian} trixie main" >"$apt/sources.list"
    private() {
        apt-get -q -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
            -o Dir::Cache="$apt" -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false -o Debug::NoLocking=true "$@"
    }
    private update
    private --download-only --yes install swiftlang libc6-dev libstdc++-14-dev
    mkdir -p "$cache/unpacking/usr"
    for folder in bin lib lib64 sbin; do
        mkdir "$cache/unpacking/usr/$folder"
        ln -s usr/$folder "$cache/unpacking/$folder"
    done
    for archive in "$apt"/archives/*.deb; do dpkg-deb --extract "$archive" "$cache/unpacking"; done
    mkdir -p "$cache/unpacking/proc" "$cache/unpacking/dev" "$cache/unpacking/tmp" "$cache/unpacking/package" \
        "$cache/unpacking/build"
    rm -rf "$root" "$apt"
    mv "$cache/unpacking" "$root"
}

unshare --user --map-root-user --mount true || {
    echo "this system allows no namespaces without rights; install swift from swift.org yourself" >&2
    exit 1
}
test -d "$root" || fetch
mkdir -p "$cache/build"
# A namespace of its own, where the private folder is the whole file system: needs no rights on most systems.
env -i SLIMFORMER_GOLDEN="${SLIMFORMER_GOLDEN-}" HOME=/tmp LANG=C.UTF-8 \
    PATH=/usr/libexec/swift/bin:/usr/bin:/bin:/usr/sbin:/sbin \
    unshare --user --map-root-user --mount --pid --fork --mount-proc="$root/proc" sh -c '
        mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/tmp" &&
        mount --bind "$2" "$1/package" && mount --bind "$3" "$1/build" &&
        exec chroot "$1" /usr/libexec/swift/bin/swift test --package-path /package --scratch-path /build
    ' sh "$root" "$package" "$cache/build"
