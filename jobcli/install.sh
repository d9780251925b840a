#!/bin/sh
# Installs jobcli and jobmcp for the user who runs this: no root, nothing outside of the directory.
#
#     install.sh [--to DIR] [--from URL]
#
#   --to DIR    where the programs go [default: ~/.local/bin]
#   --from URL  where the archives are [default: the release of this script's version]
set -eu

version=0.1.0
from=https://github.com/jobcore/jobcore/releases/download/v$version
to=

fail() {
    echo "error: $1" >&2
    exit 1
}

# A function, so that nothing runs of a script that was cut off on its way here.
main() {
    while [ "$#" -gt 0 ]; do
        case $1 in
        --to | --from)
            [ "$#" -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --to ]; then to=$2; else from=$2; fi
            shift 2
            ;;
        -h | --help)
            echo 'Usage: install.sh [--to DIR] [--from URL]'
            exit
            ;;
        *) fail "unknown argument $1: use --to DIR or --from URL" ;;
        esac
    done
    [ -n "$to" ] || to=${HOME:?}/.local/bin

    [ "$(uname -s)" = Linux ] || fail "there are no programs for $(uname -s); on Windows, install in WSL"
    case $(uname -m) in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) fail "there are no programs for $(uname -m): build them with \`cargo install jobcli jobmcp\`" ;;
    esac
    archive=jobcore-$version-$arch-unknown-linux-gnu

    if command -v curl >/dev/null; then
        fetch() { curl --fail --silent --show-error --location --output "$2" "$1"; }
    elif command -v wget >/dev/null; then
        fetch() { wget -q -O "$2" "$1"; }
    else
        fail 'curl or wget is needed'
    fi

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch "$from/$archive.tar.gz" "$work/$archive.tar.gz" || fail "cannot fetch $from/$archive.tar.gz"
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS" || fail "cannot fetch $from/SHA256SUMS"

    expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $archive\.tar\.gz\$/\1/p" "$work/SHA256SUMS")
    actual=$(sha256sum "$work/$archive.tar.gz" | cut -d ' ' -f 1)
    [ -n "$expected" ] || fail "SHA256SUMS does not name $archive.tar.gz"
    [ "$expected" = "$actual" ] || fail "the checksum of $archive.tar.gz is $actual instead of $expected"

    tar -xzf "$work/$archive.tar.gz" -C "$work"
    mkdir -p "$to"
    for program in jobcli jobmcp; do
        # Under another name first, since the old one may be running.
        cp "$work/$archive/bin/$program" "$to/.$program.new"
        chmod 755 "$to/.$program.new"
        mv -f "$to/.$program.new" "$to/$program"
    done
    echo "jobcli and jobmcp $version are in $to"
    case :${PATH:-}: in
    *:"$to":*) ;;
    *) echo "add it to the PATH: export PATH=\"$to:\$PATH\"" ;;
    esac
    echo 'for a coding agent: jobmcp register'
}

main "$@"
