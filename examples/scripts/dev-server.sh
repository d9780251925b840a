#!/bin/sh
# A dev server on demand: `dev-server.sh` starts one in this directory unless it is running, and fetches a page as soon
# as it is ready; `dev-server.sh stop` stops it.
set -eu

if [ "${1-}" = stop ]; then
    jobcli kill web
    exit
fi

# Two unfinished jobs never have the same name, so a second call finds the server of the first.
if jobcli status --active web 2>/dev/null; then
    echo 'it is already running'
else
    # Port 0 stands for any free port. With `-u`, Python does not hold back the line that is waited for.
    jobcli run --name web --merge -- python3 -u -m http.server --bind 127.0.0.1 0
fi

# The server is ready when it prints that. If it ends before that, the wait ends at once.
ready=$(jobcli wait --until 'output:http://' --timeout 1m web) || {
    jobcli tail web >&2
    exit 1
}
url=$(expr "$ready" : '.*(\(http:[^)]*\))')

# If a server prints nothing, wait for its port: it counts only if it is the job's own, and not that of another program.
port=$(expr "$url" : '.*:\([0-9]*\)/')
jobcli wait --until "port:$port" --timeout 1m web

curl --fail --silent --show-error "$url"
