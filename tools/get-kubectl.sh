#!/bin/bash
# Provides kubectl in target/tools/bin, for `kubectl kustomize` (which needs no cluster).
#
# One on PATH is used as it is. Otherwise Debian's package kubernetes-client is downloaded and unpacked below
# target/tools/kubectl: nothing is installed.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=$root/target/tools
bin=$tools/bin
unpacked=$tools/kubectl

say() { printf 'tools: %s\n' "$*"; }

works() { "$bin/kubectl" version --client >/dev/null 2>&1; }

if works; then
    exit 0
fi
mkdir -p "$bin"

if kubectl=$(command -v kubectl); then
    say "kubectl: using $kubectl"
    ln -sf "$kubectl" "$bin/kubectl"
    works
    exit
fi

if ! command -v apt-get >/dev/null; then
    say "kubectl: neither kubectl nor apt-get found; install kubectl (1.20 or later) and run this again" >&2
    exit 1
fi

downloads=$(mktemp -d "$tools/download.XXXXXX")
trap 'rm -rf "$downloads"' EXIT
# apt's download sandbox user must be able to write here.
chmod 755 "$downloads"

download() {
    (cd "$downloads" && apt-get download -qq -o APT::Sandbox::User=root kubernetes-client)
}

say "kubectl: not on PATH; downloading kubernetes-client (unpacked below target/tools/kubectl, nothing is installed)"
if ! download; then
    say "kubectl: the package lists look old; running apt-get update"
    if [ "$(id -u)" -eq 0 ]; then
        apt-get update -qq
    elif command -v sudo >/dev/null; then
        sudo apt-get update -qq
    else
        say "kubectl: run 'apt-get update' as root, then this again" >&2
        exit 1
    fi
    download
fi
rm -rf "$unpacked"
mkdir -p "$unpacked"
dpkg -x "$downloads"/kubernetes-client_*.deb "$unpacked"
ln -sf ../kubectl/usr/bin/kubectl "$bin/kubectl"

if ! works; then
    say "kubectl: the unpacked kubectl does not start" >&2
    exit 1
fi
say "kubectl: ready in target/tools/bin"
