"""Compares jobmcp with mcp-background-job: both on standard input and output, under the same plain client, in turns.

    compare_mcp.py JOBMCP MCP_BACKGROUND_JOB

jobmcp puts each job on record, and gives each a process that outlives the server. mcp-background-job keeps all in its memory.
JOBCORE_BENCH_DIR says where the store is made. Without it, it is in memory, so that what is measured is no disk.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
CALLS = 40
RUNNING = 10


class Server:
    """A server that has been greeted, and which its client waits for."""

    def __init__(self, program, store):
        environment = {**os.environ, "JOBCORE_STORE": str(store), "MCP_BG_MAX_JOBS": "100"}
        self.store = store
        self.number = 0
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        client = {"name": "compare", "version": "0"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.started = time.perf_counter() - begun
        self.send({"method": "notifications/initialized", "params": {}})
        self.ask("tools/list", {})

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{self.process.args}: the server ended")
            message = json.loads(line)
            if message.get("id") == self.number:
                return message["result"]

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            sys.exit(f"{self.process.args}: {tool} {arguments}: {result}")
        return result

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory(self):
        """The PSS of the server and, where jobs have processes of their own beside their commands, of those, in KiB."""
        pids = [self.process.pid]
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(b"__jobcore-supervisor" in word for word in words) and str(self.store).encode() in words:
                pids.append(int(entry.parent.name))
        return sum(pss(pid) for pid in pids)


def pss(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    sys.exit(f"process {pid} tells no PSS")


class Jobmcp(Server):
    def start(self, command):
        return self.call("execute", command=command, wait_s=0)["_meta"]["jobcore/job"]["job_id"]

    def status(self, job):
        return self.call("status", job_id=job)["structuredContent"]["status"]

    def run(self, command):
        return self.call("execute", command=command, wait_s=50, format="json")["structuredContent"]["stdout"]

    def kill(self, job):
        self.call("kill", job_id=job)


class BackgroundJob(Server):
    def start(self, command):
        return self.call("execute_command", command=command)["structuredContent"]["job_id"]

    def status(self, job):
        return self.call("get_job_status", job_id=job)["structuredContent"]["status"]

    def run(self, command):
        job = self.start(command)
        while self.status(job) == "running":
            pass
        # It may be over before its output is there.
        while not (written := self.call("get_job_output", job_id=job)["structuredContent"]["stdout"]):
            pass
        return written

    def kill(self, job):
        self.call("kill_job", job_id=job)


def timed(what, times):
    begun = time.perf_counter()
    result = what()
    times.append((time.perf_counter() - begun) * 1000)
    return result


def measure(kind, program, figures):
    def figure(name):
        return figures.setdefault(name, [])

    parent = os.environ.get("JOBCORE_BENCH_DIR", "/dev/shm")
    with tempfile.TemporaryDirectory(prefix="compare-mcp-", dir=parent) as directory:
        server = kind(program, pathlib.Path(directory) / "store")
        figure("start to first answer, ms").append(server.started * 1000)
        figure("PSS when idle, MiB").append(server.memory() / 1024)
        for _ in range(CALLS):
            job = timed(lambda: server.start("true"), figure("execute `true`, ms"))
            while server.status(job) in ("queued", "running"):
                pass
        for _ in range(CALLS):
            written = timed(lambda: server.run("echo hi"), figure("`echo hi` to its output, ms"))
            assert written.strip() == "hi", written
        jobs = [server.start("sleep 1000") for _ in range(RUNNING)]
        for _ in range(CALLS):
            status = timed(lambda: server.status(jobs[0]), figure("status of a running job, ms"))
            assert status == "running", status
        figure(f"PSS with {RUNNING} jobs, MiB").append(server.memory() / 1024)
        for job in jobs:
            server.kill(job)
        server.end()


def main():
    programs = {"jobmcp": (Jobmcp, sys.argv[1]), "mcp-background-job": (BackgroundJob, sys.argv[2])}
    figures = {name: {} for name in programs}
    for _ in range(ROUNDS):
        for name, (kind, program) in programs.items():
            measure(kind, program, figures[name])
    ours, theirs = figures.values()
    print(f"{'median':30}{'jobmcp':>12}{'mcp-background-job':>22}{'ratio':>9}")
    for name in ours:
        mine, other = statistics.median(ours[name]), statistics.median(theirs[name])
        print(f"{name:30}{mine:12.2f}{other:22.2f}{other / mine:9.1f}")


main()
