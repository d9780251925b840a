#!/bin/sh
# Drives a Python REPL on a terminal: definitions, an answer, an error, Ctrl-C, the end.
set -eu

# The basic REPL prints line by line; the one of Python 3.13 and later draws on the screen.
repl=$(jobcli run --tty --env PYTHON_BASIC_REPL=1 -- python3 -iq)
trap 'jobcli kill "$repl" >/dev/null' EXIT
trap 'exit 130' INT

# Waits for the next prompt, after what was read so far: an old prompt is not the answer to a new line.
cursor=0
prompt() {
    reached=$(jobcli wait --json --cursor "$cursor" --until 'output:^(>>>|\.\.\.) $' --timeout 1m "$repl")
    cursor=$(expr "$reached" : '.*"cursor":\([0-9]*\)')
}

# Types a line, and sets `answer` to the text between it and the next prompt.
ask() {
    before=$cursor
    jobcli send "$repl" "$1" >/dev/null
    prompt
    answer=$(jobcli output --cursor "$before" "$repl" | sed '1d;$d')
}

prompt
ask 'def triple(x):'
ask '    return 3 * x'
ask ''
ask 'triple(14)'
echo "it says $answer"
ask 'triple(no_such_name)'
jobcli output --cursor "$before" --grep '^[A-Za-z]*Error: ' "$repl"

# A call that takes too long is interrupted, once it has begun; definitions are still there.
jobcli send "$repl" 'import time; print("busy"); time.sleep(1000)' >/dev/null
jobcli wait --cursor "$cursor" --until 'output:^busy$' --timeout 1m "$repl" >/dev/null
jobcli send --key C-c "$repl" >/dev/null
prompt
ask 'triple(5)'
echo "and now $answer"

# The end of its input ends a REPL. The whole session can be read later.
jobcli send --eof "$repl" >/dev/null
jobcli wait --quiet --timeout 1m "$repl" >/dev/null
jobcli output "$repl"
