#!/usr/bin/env python3
"""Measures what a job server costs an agent: calls, turns and tokens for tasks with a known result.

    economy.py AGENT COMMAND [--tasks 1,2 | --tasks daily] [--runs N] [--out FILE] [--env K=V] [--words] [--guard]

AGENT names the tools that the server has, and with them the script that drives it:

    jobmcp       jobmcp, with its tools used as intended
    jobmcp-file  the same, but unwanted output goes to a file first
    mbj          mcp-background-job            (PyPI, Python 3.12)
    backburner   backburner-mcp                (PyPI)
    dc           @wonderwhy-er/desktop-commander (npm)
    bcm          bash-command-mcp              (npm)
    claude-code  Claude Code's own tools (npm @anthropic-ai/claude-code; COMMAND is its binary); its model is a server on
                 loopback that answers as the script says
    *-plain      a peer whose commands also run as given: without redirections and other help from a shell

COMMAND starts the server on standard input and output, as one argument that is split into words:

    economy.py jobmcp target/release/jobmcp
    economy.py dc 'node node_modules/@wonderwhy-er/desktop-commander/dist/index.js'

Only the Python standard library is needed. Tokens are counted with
tiktoken's o200k_base if it can be loaded without a download (TIKTOKEN_CACHE_DIR), else as a quarter of the bytes; the report
says which. Each run of a task has a server of its own, in a directory and a HOME of its own, and every process that is left
after it is killed by its id. Linux only: processes are found by a variable in their environment.

How it is counted
  call      one tools/call
  turn      calls that a model can make in one message, because none needs the result of another
  arguments the tool's name and its arguments, as compact JSON
  result    the text of a result (`content`); `fields` is what a client that prefers `structuredContent` shows
  once      tools/list and the instructions: what a session pays before its first call

Rules for the agents
  - Each is an expert: it knows its server's tools, limits and files, and takes the cheapest way there is. Its
    answers are based on results alone.
  - `jobmcp` runs every command as given; its output stays with the server.
  - Peers may do more: run it with a redirection to a file, let a shell say the exit code, and search files with more jobs,
    if that is cheaper or there is no other way. Such runs are marked `+`.
  - An agent without a waiting call looks every POLL seconds (5), as often as a model's turns allow. Tasks are short here (4 to
    20 s); for one of 10 minutes, such agents pay for a hundred more looks, and agents with a waiting call for eleven calls.
  - Task 11 is not one of the ten and runs only on request: it measures the cost of each look at a long job. So do
    tasks 12 to 16, `daily`, which stand for the daily work of developers, and for which only jobmcp has a script.
  - A task that the server cannot do at all is `cannot`; one whose answer is wrong is `FAIL`. Both are listed with the reason.
  - With --guard, all tasks are done once, and the run fails if one is not passed or costs more than LIMITS permits. Tokens
    are a quarter of the bytes there, so that they are the same on every machine.
"""


import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import sys
import tempfile
import time
import uuid

import count
from count import compact, tokens
from ours import Jobmcp, JobmcpFile
from peers import (Backburner, BackburnerPlain, BashCommand, BashCommandPlain, ClaudeCode, ClaudeSession, DesktopCommander,
                   DesktopCommanderPlain, Mbj, MbjPlain)
from session import Cannot, Session
from tasks import DAILY, TASKS, TEN, Work, environment, processes

# Claude Code takes no larger result; others cut it at 10,000.
LARGEST = 25_000

AGENTS = {"jobmcp": Jobmcp, "jobmcp-file": JobmcpFile, "mbj": Mbj, "mbj-plain": MbjPlain, "backburner": Backburner,
          "backburner-plain": BackburnerPlain, "dc": DesktopCommander, "dc-plain": DesktopCommanderPlain, "bcm": BashCommand,
          "bcm-plain": BashCommandPlain, "claude-code": ClaudeCode}

# What jobmcp may cost, in quarters of bytes: the ten tasks and the daily ones (arguments and results), a look at a
# running job, the largest result, and the tools and instructions as a model sees them. Each limit is slightly above
# what was measured.
LIMITS = {"ten calls": 19, "ten": 1205, "daily calls": 8, "daily": 555, "look": 30, "largest": 215, "once": 1650}


def perform(agent, command, index, seed, extra):
    """Does one task once, and returns its cost."""
    task_class = TASKS[index]
    base = tempfile.mkdtemp(prefix="economy-")
    home, cwd = os.path.join(base, "home"), os.path.join(base, "w")
    os.makedirs(home)
    os.makedirs(cwd)
    work = Work(cwd, seed)
    mark = uuid.uuid4().hex
    env = {key: value for key, value in os.environ.items() if not key.startswith(("JOBCORE_", "MCP_BG_", "BACKBURNER_"))}
    env.update(HOME=home, ECONOMY_MARK=mark, SHELL="/bin/bash", JOBCORE_STORE=os.path.join(base, "store"),
               BACKBURNER_HOME=os.path.join(base, "backburner"), OTEL_ENABLED="false", BASH_COMMAND_MCP_LOG_DIR=base + "/bcm",
               MCP_BG_MAX_JOBS="20")
    env["PATH"] = os.path.dirname(os.path.abspath(command[0])) + os.pathsep + env.get("PATH", "")
    os.makedirs(os.path.join(home, ".claude-server-commander"))
    with open(os.path.join(home, ".claude-server-commander", "config.json"), "w") as file:
        # This must not send telemetry.
        json.dump({"telemetryEnabled": False, "defaultShell": "/bin/bash", "allowedDirectories": [], "blockedCommands": []}, file)
    env.update(extra)
    row = {"task": index + 1, "title": task_class.title, "seed": seed}
    session = None
    try:
        task = task_class(work)
        session = (ClaudeSession if agent == "claude-code" else Session)(command, cwd, env)
        listed = session.server.tools()
        seen = [{field: tool.get(field) for field in ("name", "description", "inputSchema")} for tool in listed]
        row["once"] = {"tools": len(listed), "tools_bytes": len(compact(listed).encode()),
                       "tools_tokens": tokens(compact(listed)), "seen_tokens": sum(tokens(compact(tool)) for tool in seen),
                       "instructions_tokens": tokens(session.server.instructions),
                       "instructions_bytes": len(session.server.instructions.encode())}
        begun = time.time()
        try:
            answer = getattr(AGENTS[agent](session), task_class.__name__.lower())(task)
            row["seconds"] = round(time.time() - begun, 1)
            good, detail = task.check(answer)
            row.update(outcome="pass" if good else "FAIL", detail=None if good else str(detail))
            most = max((call["result_tokens"] for call in session.log), default=0)
            if most > LARGEST:
                row.update(outcome="FAIL", detail=f"a result of {most} tokens, which clients refuse")
        except Cannot as reason:
            row.update(outcome="cannot", detail=str(reason))
        except Exception as error:
            row.update(outcome="FAIL", detail=f"{type(error).__name__}: {error}")
        row.update(calls=sum(call["tool"] != "(notification)" for call in session.log), turns=session.turns, tricks=session.tricks, log=session.log,
                   argument_tokens=sum(call["argument_tokens"] for call in session.log),
                   result_tokens=sum(call["result_tokens"] for call in session.log),
                   shown_tokens=sum(call["shown_tokens"] for call in session.log),
                   largest=max((call["result_tokens"] for call in session.log), default=0))
    finally:
        if session:
            session.server.close()
        for _ in range(3):
            left = [pid for pid in processes() if pid != os.getpid() and f"ECONOMY_MARK={mark}".encode() in environment(pid)]
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.1 if left else 0)
        shutil.rmtree(base, ignore_errors=True)
    return row


def table(rows):
    """Prints the medians of each task."""
    print(f"{'':2} {'task':48} {'calls':>5} {'turns':>5} {'arg':>6} {'result':>7} {'fields':>7} {'largest':>7} {'s':>6}  outcome")
    total = dict.fromkeys(("calls", "turns", "argument_tokens", "result_tokens", "shown_tokens"), 0)
    for number in sorted({row["task"] for row in rows}):
        runs = [row for row in rows if row["task"] == number]
        median = {key: statistics.median(run.get(key, 0) for run in runs) for key in (*total, "largest", "seconds")}
        for key in total:
            total[key] += median[key]
        outcomes = "/".join(sorted({run["outcome"] for run in runs})) + ("+" if runs[0]["tricks"] else "")
        details = "; ".join(sorted({run["detail"] for run in runs if run["detail"]}))[:150]
        print(f"{number:2} {runs[0]['title']:48} {median['calls']:5g} {median['turns']:5g} {median['argument_tokens']:6g} "
              f"{median['result_tokens']:7g} {median['shown_tokens']:7g} {median['largest']:7g} {median['seconds']:6.1f}  "
              f"{outcomes} {details}")
    once = rows[0]["once"]
    print(f"{'':2} {'total':48} {total['calls']:5g} {total['turns']:5g} {total['argument_tokens']:6g} "
          f"{total['result_tokens']:7g} {total['shown_tokens']:7g}")
    print(f"once a session: {once['tools']} tools, {once['tools_bytes']} bytes, {once['tools_tokens']} tokens, of which models see "
          f"{once['seen_tokens']}; instructions "
          f"{once['instructions_bytes']} bytes, {once['instructions_tokens']} tokens (tokens: {count.COUNTED_AS})")


def guard(rows):
    """Returns the costs that exceed their limits."""
    def cost(wanted, *keys):
        return sum(row[key] for row in rows if row["task"] in wanted for key in keys)

    ten, daily = range(1, TEN + 1), DAILY
    looks = [call["result_tokens"] for row in rows if row["task"] == TEN + 1 for call in row["log"]
             if "is running" in call["text"] and call["tool"] == "wait"]
    once = rows[0]["once"]
    measured = {"ten calls": cost(ten, "calls"), "ten": cost(ten, "argument_tokens", "result_tokens"),
                "daily calls": cost(daily, "calls"), "daily": cost(daily, "argument_tokens", "result_tokens"),
                "look": max(looks), "largest": max(row["largest"] for row in rows),
                "once": once["seen_tokens"] + once["instructions_tokens"]}
    failed = [f"task {row['task']}: {row['outcome']} {row['detail']}" for row in rows if row["outcome"] != "pass"]
    print(f"guarded: {measured}")
    return failed + [f"{name}: {measured[name]}, and {most} is the most" for name, most in LIMITS.items() if measured[name] > most]


def main():
    parser = argparse.ArgumentParser(description="What an agent pays a job server for ten tasks.")
    parser.add_argument("agent", choices=AGENTS)
    parser.add_argument("command", help="starts the server, in one argument")
    parser.add_argument("--tasks", help="numbers with commas, or `daily`; 1 to 10 unless told otherwise")
    parser.add_argument("--guard", action="store_true", help="fail if a task costs more than it may")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--env", action="append", default=[], metavar="K=V", help="a variable for the server")
    parser.add_argument("--out", help="write all calls and results to this file, as JSON")
    parser.add_argument("--words", action="store_true", help="print every call and result of the first run")
    arguments = parser.parse_args()
    command = shlex.split(arguments.command)
    command[0] = shutil.which(command[0]) or command[0]
    command = [os.path.abspath(word) if os.path.exists(word) else word for word in command]
    wanted = range(1, TEN + 1)
    if arguments.guard:
        wanted = range(1, len(TASKS) + 1)
        count.in_quarters_of_bytes()
    elif arguments.tasks:
        wanted = DAILY if arguments.tasks == "daily" else [int(number) for number in arguments.tasks.split(",")]
    extra = dict(pair.split("=", 1) for pair in arguments.env)
    rows = []
    for number in wanted:
        for run in range(arguments.runs):
            row = perform(arguments.agent, command, number - 1, arguments.seed + 100 * number + run, extra)
            rows.append(row)
            print(f"task {number} run {run + 1}: {row['outcome']}, {row['calls']} calls, {row['result_tokens']} tokens"
                  f"{' ' + row['detail'] if row['detail'] else ''}", file=sys.stderr, flush=True)
            if arguments.words and run == 0:
                for call in row["log"]:
                    print(f"--- {call['tool']} {compact(call['arguments'])}\n{call['text']}\n"
                          f"=== {call['result_tokens']} tokens, {call['seconds']} s")
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump({"agent": arguments.agent, "counted_as": count.COUNTED_AS, "rows": rows}, file, indent=1)
    table(rows)
    if arguments.guard and (wrong := guard(rows)):
        sys.exit("\n".join(["these costs exceed their limits:", *wrong]))


if __name__ == "__main__":
    main()
