#!/bin/sh
# A day's work in jobs: a web server, a dev server from npm, a Python REPL, a build. `--offline` leaves npm out.
set -eu

work=$(mktemp -d)
cd "$work"
jobs=
clean_up() {
    for job_id in $jobs; do jobcli kill --job_id "$job_id" >/dev/null; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A web server
echo '<h1>Hello from Python</h1>' > index.html
port=$(free_port)
server="python3 -m http.server --bind 127.0.0.1 $port"
job_id=$(echo "{\"command\": \"$server\", \"ready\": \"http://127.0.0.1:$port/\"}" | jobcli execute)
jobs="$jobs $job_id"
jobcli wait --until ready --timeout 1m "$job_id"
curl --fail --silent --show-error "http://127.0.0.1:$port/"
jobcli wait --until 'output:GET /' --timeout 1m "$job_id"

# A dev server from npm
if [ "${1-}" != --offline ]; then
    mkdir app
    cd app
    echo '<h1>Hello from Vite</h1>' > index.html
    port=$(free_port)
    cat > package.json <<END
{
  "private": true,
  "scripts": {"dev": "vite --host 127.0.0.1 --port $port --strictPort"},
  "devDependencies": {"vite": "6.4.6"}
}
END
    job_id=$(echo '{"command": "npm install --engine-strict", "timeout": "10m"}' | jobcli execute)
    jobs="$jobs $job_id"
    jobcli wait "$job_id" || { jobcli output "$job_id" >&2; exit 1; }
    job_id=$(echo '{"command": "npm run dev"}' | jobcli execute)
    jobs="$jobs $job_id"
    jobcli wait --until "port:$port" --timeout 1m "$job_id"
    curl --fail --silent --show-error "http://127.0.0.1:$port/"
    jobcli tail --job_id "$job_id" --lines 10
    cd ..
fi

# A REPL
job_id=$(echo '{"command": "python3 -iq"}' | jobcli execute)
jobs="$jobs $job_id"
jobcli interact --job_id "$job_id" --input "print('Hi')\n"
jobcli interact --job_id "$job_id" --input "6 * 7\n"
jobcli interact --job_id "$job_id" --input "exit()\n"
jobcli wait --timeout 1m "$job_id"

# A build
echo 'const char *greeting(void) { return "Hello from C"; }' > greeting.c
cat > hello.c <<'END'
#include <stdio.h>
const char *greeting(void);
int main(void) { puts(greeting()); return 0; }
END
echo 'hello: hello.o greeting.o' > Makefile
job_id=$(echo '{"command": "make && ./hello"}' | jobcli execute)
jobs="$jobs $job_id"
while [ "$(jobcli status "$job_id")" = running ]; do sleep 0.2; done
jobcli output --job_id "$job_id"
[ "$(jobcli status --job_id "$job_id")" = completed ]

# The end of the day
for job_id in $jobs; do
    jobcli kill --job_id "$job_id"
    # Each process of a job has the job's id in its environment.
    if grep -lsa "JOBCORE_JOB_ID=$job_id" /proc/[0-9]*/environ; then
        echo "something is left of job $job_id" >&2
        exit 1
    fi
done
echo 'nothing is left'
