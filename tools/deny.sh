#!/bin/bash
# Checks the dependencies with cargo-deny, installing it below target/tools when it is missing.
# The advisory database is on the network: when it cannot be fetched, everything else is still
# checked and the gap is named.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
cd "$root"

say() { printf 'lint: %s\n' "$*"; }

deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
    deny=$tools/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        say "cargo-deny is missing; building it below target/tools (once, some minutes)"
        cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" cargo-deny
        rm -rf "$tools/build"
    fi
fi

"$deny" --locked check bans licenses sources

if "$deny" --locked fetch db >/dev/null 2>&1; then
    "$deny" --locked check --disable-fetch advisories
else
    say "WARNING: advisories were NOT checked: the advisory database cannot be fetched from here"
fi
