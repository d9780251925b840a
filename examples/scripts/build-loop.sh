#!/bin/sh
# Builds until the build passes: `build-loop.sh [TARGET...]` runs make, shows the errors, waits for a change and starts
# over.
set -eu

began=$(mktemp)
trap 'rm -f "$began"' EXIT
trap 'exit 130' INT

while :; do
    # Files that are newer than this one have changed since the build began.
    touch "$began"
    if jobcli run --wait --name build --merge -- make "$@"; then
        echo 'green'
        exit
    fi
    # The build was stopped: that is no reason to try again.
    [ "$(jobcli status build)" = failed ] || exit 1
    echo 'red:'
    jobcli output --clean --grep 'error|\*\*\*' -C 2 build
    # The whole output is kept as well: jobcli output build
    until find . -name '*.[ch]' -newer "$began" | grep -q .; do sleep 0.5; done
done
