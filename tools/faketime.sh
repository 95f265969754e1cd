#!/bin/bash
# Provides libfaketime in target/tools/faketime, for the clock faults of the drill.
#
# The Debian package is downloaded and unpacked, nothing is installed. A machine that cannot do that goes without: the
# drill then leaves those faults out and says so.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
folder=$tools/faketime
library=$folder/libfaketime.so.1
names=(/usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1)

say() { printf 'tools: %s\n' "$*"; }

if [ -e "$library" ]; then
    exit 0
fi
mkdir -p "$folder"
for name in "${names[@]}"; do
    if [ -e "$name" ]; then
        say "faketime: using $name"
        ln -sf "$name" "$library"
        exit 0
    fi
done
if ! command -v apt-get >/dev/null; then
    say "faketime: no libfaketime and no apt-get: the drill leaves the clock faults out"
    exit 0
fi

downloads=$(mktemp -d "$tools/download.XXXXXX")
trap 'rm -rf "$downloads"' EXIT
# apt's download sandbox user must be able to write here.
chmod 755 "$downloads"
say "faketime: downloading libfaketime (unpacked below target/tools/faketime, nothing is installed)"
if ! (cd "$downloads" && apt-get download -qq -o APT::Sandbox::User=root libfaketime); then
    say "faketime: it cannot be downloaded: the drill leaves the clock faults out; 'apt-get update' may help"
    exit 0
fi
for package in "$downloads"/*.deb; do
    dpkg -x "$package" "$folder/unpacked"
done
found=$(cd "$folder" && find unpacked -name libfaketime.so.1 | head -n 1)
ln -sf "$found" "$library"
