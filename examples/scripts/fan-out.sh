#!/bin/sh
# Runs a shell line for each of many names at once, reports each end as it happens, and sums up:
#   fan-out.sh 'make -C "$1" test' api web worker
set -eu

line=$1
shift
count=$#

# Three at a time; the others wait for their turn. The group belongs to this script, and goes with it.
group=fan-out-$$
trap 'jobcli group set "$group" --limit 0' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
jobcli group set "$group" --limit 3
for name; do
    jobcli run --group "$group" --name "$name" -- sh -c "$line" sh "$name" >/dev/null
done

failed=0
while [ $# -gt 0 ]; do
    # The exit code is that of the first job to end, which is reported below.
    jobcli wait --any "$@" >/dev/null || :
    # Several may have ended by now. The others are waited for again.
    for name; do
        shift
        if jobcli status --active "$name"; then
            set -- "$@" "$name"
            continue
        fi
        status=$(jobcli status "$name")
        echo "$name: $status"
        if [ "$status" != completed ]; then
            failed=$((failed + 1))
            jobcli tail -n 5 "$name"
        fi
    done
done
echo "$failed of $count failed"
[ "$failed" = 0 ]
