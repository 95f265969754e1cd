#!/bin/bash
# Provides other servers than the machine's own, for `make test-servers`: below target/tools/servers/NAME
# a redis-server and a redis-sentinel each. Debian's packages of other releases are unpacked, with the C
# library they were built for; nothing is installed. Prints the names.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
servers=$root/target/tools/servers
mirror=http://deb.debian.org/debian

say() { printf 'tools: %s\n' "$*" >&2; }

# The file of a package in a release's index: the index says where it is and what its digest is.
fetch() {
    local release=$1 package=$2 folder=$3 index=$servers/index-$1
    if [ ! -s "$index" ]; then
        curl -fsS "$mirror/dists/$release/main/binary-amd64/Packages.xz" | xz -dc >"$index"
    fi
    local file digest
    read -r file digest < <(awk -v name="$package" '
        /^Package: / { wanted = $2 == name }
        wanted && /^Filename: / { file = $2 }
        wanted && /^SHA256: / { print file, $2; exit }' "$index")
    [ -n "$file" ] || { say "$package is not in $release"; return 1; }
    curl -fsS "$mirror/$file" -o "$folder/package.deb"
    echo "$digest  $folder/package.deb" | sha256sum --quiet -c -
    dpkg -x "$folder/package.deb" "$folder"
    rm "$folder/package.deb"
}

# name, release, program, packages: the programs run with the loader and libraries unpacked beside them.
provide() {
    local name=$1 release=$2 program=$3
    shift 3
    local folder=$servers/$name
    if [ ! -e "$folder/ready" ]; then
        say "$name: unpacking $* from $release"
        rm -rf "$folder"
        mkdir -p "$folder"
        local package
        for package in "$@"; do fetch "$release" "$package" "$folder"; done
        local loader libraries
        loader=$(find "$folder" -name 'ld-linux-x86-64.so.2' | head -n 1)
        libraries=$(find "$folder" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
        # One binary plays both parts; as a sentinel it is told so.
        local run="$loader --library-path $libraries --argv0 $program-server $folder/usr/bin/$program-check-rdb"
        printf '#!/bin/sh\nexec %s "$@"\n' "$run" >"$folder/redis-server"
        printf '#!/bin/sh\nfile=$1; shift\nexec %s "$file" --sentinel "$@"\n' "$run" >"$folder/redis-sentinel"
        chmod 755 "$folder/redis-server" "$folder/redis-sentinel"
        "$folder/redis-server" --version >&2
        touch "$folder/ready"
    fi
    echo "servers/$name"
}

mkdir -p "$servers"
libraries=(libc6 libatomic1 libgcc-s1 liblzf1 libjemalloc2 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblzma5 libzstd1 liblz4-1)
provide redis-8.0 trixie redis redis-tools "${libraries[@]}" libssl3t64 libstdc++6 zlib1g
provide valkey-8.1 trixie valkey valkey-tools "${libraries[@]}" libssl3t64 libstdc++6 zlib1g
