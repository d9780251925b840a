#!/bin/sh
# A dev server when it is needed: `dev-server.sh` starts one in this directory unless it runs, and fetches a page as soon as
# it is ready; `dev-server.sh stop` stops it.
set -eu

if [ "${1-}" = stop ]; then
    jobcli kill web
    exit
fi

# Two jobs that are not over never have the same name, so that whoever comes second finds the server of the first.
if jobcli status --active web 2>/dev/null; then
    echo 'it runs already'
else
    # Port 0 is any that is free. With `-u`, Python does not keep back the line that is waited for.
    jobcli run --name web --merge -- python3 -u -m http.server --bind 127.0.0.1 0
fi

# It is ready when it says so. If it ends before that, the waiting ends at once.
ready=$(jobcli wait --until 'output:http://' --timeout 1m web) || {
    jobcli tail web >&2
    exit 1
}
url=$(expr "$ready" : '.*(\(http:[^)]*\))')

# Where a server says nothing, its port does: it counts only if it is the job's own, and not that of another program.
port=$(expr "$url" : '.*:\([0-9]*\)/')
jobcli wait --until "port:$port" --timeout 1m web

curl --fail --silent --show-error "$url"
