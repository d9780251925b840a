"""Agents that drive other servers, and Claude Code's own tools."""

import re
import shlex
import time

from session import Cannot, Result, Session
from tasks import found


class ClaudeSession(Session):
    """Claude Code in place of a server."""

    def started(self):
        from claude import Claude
        return Claude(self.command, self.cwd, self.env)

    def turn(self, *calls):
        self.turns += 1
        begun = time.time()
        results = [Result({"result": {"content": [{"text": text}], "isError": is_error}})
                   for text, is_error in self.server.call(calls)]
        for (tool, arguments), result in zip(calls, results):
            self.note(tool, arguments, result, begun)
        return results

    def notified(self):
        """Waits until the client reports that a job has ended: not a call, but a turn."""
        self.turns += 1
        begun = time.time()
        result = Result({"result": {"content": [{"text": self.server.notified()}]}})
        self.note("(notification)", {}, result, begun)
        return result.text


class Peer:
    def __init__(self, session):
        self.s = session


class Mbj(Peer):
    """execute_command, get_job_status, get_job_output, tail_job_output, interact_with_job, kill_job, list_jobs."""

    def start(self, command):
        return self.s.call("execute_command", command=command).json()["job_id"]

    def shell(self, line):
        # This server has no shell of its own.
        return self.start("bash -c " + shlex.quote(line))

    def until_over(self, job):
        while self.s.call("get_job_status", job_id=job).json()["status"] == "running":
            self.s.think()

    def brief(self, line):
        """A command that takes a moment."""
        job = self.shell(line)
        time.sleep(0.5)
        return self.s.call("get_job_output", job_id=job).json()["stdout"]

    def builds(self, task):
        self.s.trick("output to files, since there is no search")
        started = self.s.turn(*[("execute_command", {"command": f"bash -c './build {name} > {name}.log 2>&1'"})
                                for name in task.names])
        jobs = {result.json()["job_id"]: name for name, result in zip(task.names, started)}
        while True:
            self.s.think()
            listed = {job["job_id"]: job["status"] for job in self.s.call("list_jobs").json()["jobs"]}
            if "running" not in listed.values():
                break
        failed = next(name for job, name in jobs.items() if listed[job] == "failed")
        return failed, self.brief(f"grep error: {failed}.log").strip()

    def flaky(self, task):
        job = self.shell(task.line)
        self.s.think()
        self.until_over(job)
        return task.read(self.s.call("get_job_output", job_id=job).text)

    def devserver(self, task):
        job = self.start(f"./devserver {task.port}")
        while True:
            self.s.think()
            if "listening" in self.s.call("tail_job_output", job_id=job, lines=3).text:
                break
        task.visit()
        log = self.s.call("tail_job_output", job_id=job, lines=3).text
        self.s.call("kill_job", job_id=job)
        return log

    def repl(self, task):
        job = self.start("./python -i -q")
        inputs, text = task.inputs(), None
        for _ in range(5):
            line = inputs.send(text)
            text = self.s.call("interact_with_job", job_id=job, input=line).text
            if not re.search("n=|answer=", text):
                # It returns after a tenth of a second, whatever output there is.
                time.sleep(1)
                text = self.s.call("tail_job_output", job_id=job, lines=1).text
        self.s.call("kill_job", job_id=job)
        return found(text)

    def log(self, task):
        self.s.trick("output to a file, since 100,000 lines are kept and there is no search")
        job = self.shell("./genlog > log; grep -C3 ' ERROR ' log")
        self.s.think()
        self.until_over(job)
        return self.s.call("get_job_output", job_id=job).json()["stdout"]

    def runaway(self, task):
        job = self.start(f"./{task.name}")
        time.sleep(1)
        self.s.call("kill_job", job_id=job)
        left = self.brief(f"pgrep -fa '[.]/{task.name}'")
        if left:
            self.s.trick("pkill of what is left")
            left = self.brief(f"pkill -9 -f '[.]/{task.name}'; sleep 0.2; pgrep -fa '[.]/{task.name}'")
        return not left

    def survive(self, task):
        self.s.trick("output and exit code to a file, since the next server knows nothing of the job")
        self.shell("./slow > slow.log 2>&1; echo exit=$? >> slow.log")
        time.sleep(2)
        self.s.restart()
        while True:
            self.s.think()
            text = self.brief("tail -n 3 slow.log")
            if "exit=" in text:
                return int(re.search(r"exit=(\d+)", text)[1]), text

    def progress(self, task):
        job = self.start("./progress")
        self.s.think()
        self.until_over(job)
        return task.read(self.s.call("tail_job_output", job_id=job, lines=1).text)

    def chatty(self, task):
        job = self.start("./chatty")
        self.s.think()
        self.until_over(job)
        return task.read(self.s.call("tail_job_output", job_id=job, lines=1).text)

    def causes(self, task):
        typo, spam = self.s.turn(("execute_command", {"command": "./buidl --all"}), ("execute_command", {"command": "./spam"}))
        typo = typo.text
        spam = spam.json()["job_id"]
        time.sleep(1)
        return typo, self.s.call("tail_job_output", job_id=spam, lines=3).text

    def pieces(self, task):
        self.s.trick("throttled by the agent; the exit code said by a shell")
        waiting, jobs, running = list(range(1, 13)), {}, 0
        while waiting or running:
            batch = [waiting.pop(0) for _ in range(min(3 - running, len(waiting)))]
            if batch:
                started = self.s.turn(*[("execute_command", {"command": f"bash -c './piece {n}; e=$?; echo exit=$e; exit $e'"})
                                        for n in batch])
                jobs.update({result.json()["job_id"]: n for n, result in zip(batch, started)})
            self.s.think()
            listed = {job["job_id"]: job["status"] for job in self.s.call("list_jobs").json()["jobs"]}
            running = sum(1 for job in jobs if listed[job] == "running")
        failed = [job for job in jobs if listed[job] == "failed"]
        said = self.s.turn(*[("tail_job_output", {"job_id": job, "lines": 1}) for job in failed])
        return {jobs[job]: int(re.search(r"exit=(\d+)", result.text)[1]) for job, result in zip(failed, said)}


class Backburner(Peer):
    """start_task, task_status, task_result, cancel_task, list_tasks."""

    def start(self, line):
        return self.s.call("start_task", command=line).json()["task_id"]

    def result(self, task, lines):
        return self.s.call("task_result", task_id=task, tail_lines=lines).json()

    def over(self, task, lines):
        """Looks until the job has ended; a look also returns the last lines, so that no other call is needed."""
        while True:
            self.s.think()
            result = self.result(task, lines)
            if result["status"] != "working":
                return result

    def brief(self, line, lines=20):
        task = self.start(line)
        time.sleep(0.5)
        return self.result(task, lines)["output"]

    def late(self, line):
        """The same for one that takes about a second."""
        task = self.start(line)
        time.sleep(1.2)
        return self.result(task, 2)["output"]

    def tasks(self, limit):
        value = self.s.call("list_tasks", limit=limit).json()
        return value if isinstance(value, list) else value["result"]

    def builds(self, task):
        started = self.s.turn(*[("start_task", {"command": f"./build {name}"}) for name in task.names])
        tasks = {result.json()["task_id"]: name for name, result in zip(task.names, started)}
        while True:
            self.s.think()
            listed = {entry["task_id"]: entry["status"] for entry in self.tasks(3)}
            if "working" not in listed.values():
                break
        failed = next(task_id for task_id in tasks if listed[task_id] == "failed")
        self.s.trick("grep in the server's own log file")
        return tasks[failed], self.brief(f"grep error: $BACKBURNER_HOME/logs/{failed}.log").strip()

    def flaky(self, task):
        return task.read(self.over(self.start(task.line), 5)["output"])

    def devserver(self, task):
        job = self.start(f"./devserver {task.port}")
        while True:
            self.s.think()
            if "listening" in self.result(job, 3)["output"]:
                break
        task.visit()
        log = self.result(job, 3)["output"]
        self.s.call("cancel_task", task_id=job)
        return log

    def repl(self, task):
        return fifo(self, task, self.start, lambda line: self.late(line), lambda job: self.s.call("cancel_task", task_id=job))

    def log(self, task):
        self.s.trick("output to a file: every look at its own log would read 300 MB")
        return self.over(self.start("./genlog > log; grep -C3 ' ERROR ' log"), 10)["output"]

    def runaway(self, task):
        job = self.start(f"./{task.name}")
        time.sleep(1)
        self.s.call("cancel_task", task_id=job)
        time.sleep(1)
        left = self.brief(f"pgrep -fa '[.]/{task.name}'")
        if left:
            self.s.trick("pkill of what is left")
            left = self.brief(f"pkill -9 -f '[.]/{task.name}'; sleep 0.2; pgrep -fa '[.]/{task.name}'")
        return not left

    def survive(self, task):
        self.s.trick("exit code said by a shell: after a restart the server calls the job interrupted for ever")
        job = self.start("./slow; echo exit=$?")
        time.sleep(2)
        self.s.restart()
        while True:
            self.s.think()
            text = self.result(job, 3)["output"]
            if "exit=" in text:
                return int(re.search(r"exit=(\d+)", text)[1]), text

    def progress(self, task):
        return task.read(self.over(self.start("./progress"), 1)["output"])

    def chatty(self, task):
        return task.read(self.over(self.start("./chatty"), 1)["output"])

    def causes(self, task):
        started = self.s.turn(("start_task", {"command": "./buidl --all"}), ("start_task", {"command": "./spam"}))
        time.sleep(1)
        results = self.s.turn(*[("task_result", {"task_id": result.json()["task_id"], "tail_lines": 3}) for result in started])
        return tuple(result.json()["output"] for result in results)

    def pieces(self, task):
        self.s.trick("throttled by the agent")
        waiting, tasks, running = list(range(1, 13)), {}, 0
        while waiting or running:
            batch = [waiting.pop(0) for _ in range(min(3 - running, len(waiting)))]
            if batch:
                started = self.s.turn(*[("start_task", {"command": f"./piece {n}"}) for n in batch])
                tasks.update({result.json()["task_id"]: n for n, result in zip(batch, started)})
            self.s.think()
            # Only the last three can be running.
            listed = self.tasks(3 if waiting else 12)
            running = sum(1 for entry in listed if entry["status"] == "working")
        return {tasks[entry["task_id"]]: entry["exit_code"] for entry in listed if entry["status"] == "failed"}


class DesktopCommander(Peer):
    """start_process (which waits), read_process_output, interact_with_process, force_terminate, list_sessions, ..."""

    def run(self, line, timeout_ms=60000):
        return self.s.call("start_process", command=line, timeout_ms=timeout_ms).text

    def builds(self, task):
        # Output just before the end is lost now and then: hence the sleep.
        self.s.trick("output to files, since a result has up to 2 MB; the exit code said by a shell; a sleep at the end")
        ended = self.s.turn(*[("start_process", {"command": f"./build {name} > {name}.log 2>&1; echo exit=$?; sleep 0.2",
                                                 "timeout_ms": 60000}) for name in task.names])
        failed = next(name for name, result in zip(task.names, ended) if "exit=0" not in result.text)
        return failed, re.search(r"^.*error:.*$", self.run(f"grep error: {failed}.log; sleep 0.2", 5000), re.M)[0]

    def flaky(self, task):
        return task.read(self.run(task.line))

    def devserver(self, task):
        text = self.run(f"./devserver {task.port}", 4000)
        pid = int(re.search(r"PID (\d+)", text)[1])
        while "listening" not in text:
            # The rest of an unfinished line that was read before is never "new": only the tail is sure to have it.
            self.s.think()
            text = self.s.call("read_process_output", pid=pid, offset=-3, length=3).text
        task.visit()
        log = self.s.call("read_process_output", pid=pid, offset=-3, length=3).text
        self.s.call("force_terminate", pid=pid)
        time.sleep(1.2)
        return log

    def repl(self, task):
        text = self.run("./python -i -q", 5000)
        pid = int(re.search(r"PID (\d+)", text)[1])
        inputs, text = task.inputs(), None
        for _ in range(5):
            text = self.s.call("interact_with_process", pid=pid, input=inputs.send(text)).text
        self.s.call("force_terminate", pid=pid)
        return found(text)

    def log(self, task):
        self.s.trick("output to a file, since 50 MB are kept and there is no search")
        return self.run("./genlog > log; grep -C3 ' ERROR ' log")

    def runaway(self, task):
        text = self.run(f"./{task.name}", 1000)
        pid = int(re.search(r"PID (\d+)", text)[1])
        self.s.call("force_terminate", pid=pid)
        time.sleep(1.5)
        check = f"pgrep -fa '[.]/{task.name}'; echo left=$?"
        text = self.run(check, 5000)
        if "left=1" not in text:
            self.s.trick("pkill of what is left")
            text = self.run(f"pkill -9 -f '[.]/{task.name}'; sleep 0.2; " + check, 5000)
        return "left=1" in text

    def survive(self, task):
        self.s.trick("output and exit code to a file, since the next server knows nothing of the job")
        self.run("./slow > slow.log 2>&1; echo exit=$? >> slow.log", 1000)
        time.sleep(1)
        self.s.restart()
        # One command that waits for the end, because calls may wait.
        text = self.run("until grep -q exit= slow.log; do sleep 0.2; done; tail -n 3 slow.log")
        return int(re.search(r"exit=(\d+)", text)[1]), text

    def progress(self, task):
        self.s.trick("output to a file, since a result would have all 5,000 redraws")
        return task.read(self.run("./progress > bar.log 2>&1; tail -n 1 bar.log"))

    def chatty(self, task):
        text = self.run("./chatty", 100)
        pid = int(re.search(r"PID (\d+)", text)[1])
        while True:
            self.s.think()
            text = self.s.call("read_process_output", pid=pid, offset=-2, length=2).text
            if "completed with exit code" in text:
                return task.read(text)

    def causes(self, task):
        self.s.trick("output to a file, since a result has up to 2 MB")
        typo, spam = self.s.turn(("start_process", {"command": "./buidl --all", "timeout_ms": 5000}),
                                 ("start_process", {"command": "./spam 2> err; echo exit=$?; tail -n 3 err",
                                                    "timeout_ms": 20000}))
        return typo.text, spam.text

    def pieces(self, task):
        self.s.trick("throttled by the agent, three calls that wait in a turn; the exit code said by a shell")
        codes = {}
        for first in (1, 4, 7, 10):
            batch = range(first, first + 3)
            ended = self.s.turn(*[("start_process", {"command": f"./piece {n}; echo exit=$?; sleep 0.2", "timeout_ms": 60000})
                                  for n in batch])
            for n, result in zip(batch, ended):
                text = result.text
                if "exit=" not in text:
                    # It was lost anyway; the next call has the exit code.
                    pid = int(re.search(r"PID (\d+)", text)[1])
                    text = self.s.call("read_process_output", pid=pid).text
                codes[n] = int(re.search(r"(?:exit=|exit code )(\d+)", text)[1])
        return {n: code for n, code in codes.items() if code}


class BashCommand(Peer):
    """run (which waits), run_background, list_background, kill_background, tail_background, wait_background."""

    def run(self, line, seconds=60):
        return self.s.call("run", command=line, timeoutSeconds=seconds).text

    def builds(self, task):
        self.s.trick("output to files, since a result has all of it")
        ended = self.s.turn(*[("run", {"command": f"./build {name} > {name}.log 2>&1"}) for name in task.names])
        failed = next(name for name, result in zip(task.names, ended) if not re.search(r"exit\w*:? 0", result.text, re.I))
        return failed, re.search(r"^.*error:.*$", self.run(f"grep error: {failed}.log"), re.M)[0]

    def flaky(self, task):
        return task.read(self.run(task.line))

    def devserver(self, task):
        text = self.s.call("run_background", command=f"./devserver {task.port}").text
        pid = int(re.search(r"PID:?\s*(\d+)", text, re.I)[1])
        while "listening" not in text:
            self.s.think()
            text = self.s.call("tail_background", pid=pid, lines=3).text
        task.visit()
        log = self.s.call("tail_background", pid=pid, lines=3).text
        self.s.call("kill_background", pid=pid)
        return log

    def repl(self, task):
        def start(line):
            return int(re.search(r"PID:?\s*(\d+)", self.s.call("run_background", command=line).text, re.I)[1])
        return fifo(self, task, start, self.run, lambda job: self.s.call("kill_background", pid=job))

    def log(self, task):
        self.s.trick("output to a file, since a result has all of it")
        return self.run("./genlog > log; grep -C3 ' ERROR ' log")

    def runaway(self, task):
        text = self.s.call("run_background", command=f"./{task.name}").text
        pid = int(re.search(r"PID:?\s*(\d+)", text, re.I)[1])
        time.sleep(1)
        self.s.call("kill_background", pid=pid)
        check = f"pgrep -fa '[.]/{task.name}'; echo left=$?"
        text = self.run(check)
        if "left=1" not in text:
            self.s.trick("pkill of what is left")
            text = self.run(f"pkill -9 -f '[.]/{task.name}'; sleep 0.2; " + check)
        return "left=1" in text

    def survive(self, task):
        self.s.trick("output and exit code to a file, since the next server knows nothing of the job")
        self.s.call("run_background", command="./slow > slow.log 2>&1; echo exit=$? >> slow.log")
        time.sleep(2)
        self.s.restart()
        text = self.run("until grep -q exit= slow.log; do sleep 0.2; done; tail -n 3 slow.log")
        return int(re.search(r"exit=(\d+)", text)[1]), text

    def progress(self, task):
        self.s.trick("output to a file, since a result would have all 5,000 redraws")
        return task.read(self.run("./progress > bar.log 2>&1; tail -n 1 bar.log"))

    def chatty(self, task):
        text = self.s.call("run_background", command="./chatty").text
        pid = int(re.search(r"PID:?\s*(\d+)", text, re.I)[1])
        while True:
            self.s.think()
            text = self.s.call("tail_background", pid=pid, lines=1).text
            if "STATUS: running" not in text:
                return task.read(text)

    def causes(self, task):
        self.s.trick("output to a file, since a result has all of it")
        typo, spam = self.s.turn(("run", {"command": "./buidl --all"}), ("run", {"command": "./spam 2> err || tail -n 3 err"}))
        return typo.text, spam.text

    def pieces(self, task):
        self.s.trick("throttled by the agent, three calls that wait in a turn")
        codes = {}
        for first in (1, 4, 7, 10):
            batch = range(first, first + 3)
            ended = self.s.turn(*[("run", {"command": f"./piece {n}"}) for n in batch])
            codes.update({n: int(re.search(r"exit\w*:?\s*(\d+)", result.text, re.I)[1]) for n, result in zip(batch, ended)})
        return {n: code for n, code in codes.items() if code}


# The same peers without redirections and other help from a shell: commands run as given, as with jobmcp.

class MbjPlain(Mbj):
    def builds(self, task):
        started = self.s.turn(*[("execute_command", {"command": f"./build {name}"}) for name in task.names])
        jobs = {result.json()["job_id"]: name for name, result in zip(task.names, started)}
        while True:
            self.s.think()
            listed = {job["job_id"]: job["status"] for job in self.s.call("list_jobs").json()["jobs"]}
            if "running" not in listed.values():
                break
        failed = next(job for job in jobs if listed[job] == "failed")
        output = self.s.call("get_job_output", job_id=failed).json()["stdout"]
        return jobs[failed], re.search(r"^.*error:.*$", output, re.M)[0]

    def log(self, task):
        job = self.start("./genlog")
        self.s.think()
        self.until_over(job)
        output = self.s.call("get_job_output", job_id=job).json()["stdout"]
        return output if " ERROR " in output else None

    def survive(self, task):
        self.start("./slow")
        time.sleep(2)
        self.s.restart()
        if not self.s.call("list_jobs").json()["jobs"]:
            raise Cannot("the next server knows nothing of the job")

    def pieces(self, task):
        raise Cannot("no tool tells an exit code, and none limits how many run at a time")


class BackburnerPlain(Backburner):
    def repl(self, task):
        raise Cannot("no tool types into a job: its standard input is /dev/null")

    def builds(self, task):
        started = self.s.turn(*[("start_task", {"command": f"./build {name}"}) for name in task.names])
        tasks = {result.json()["task_id"]: name for name, result in zip(task.names, started)}
        while True:
            self.s.think()
            listed = {entry["task_id"]: entry["status"] for entry in self.tasks(3)}
            if "working" not in listed.values():
                break
        failed = next(task_id for task_id in tasks if listed[task_id] == "failed")
        return tasks[failed], re.search(r"^.*error:.*$", self.result(failed, 20001)["output"], re.M)[0]

    def log(self, task):
        raise Cannot("no search: it would have to return all of the 300 MB")

    def survive(self, task):
        job = self.start("./slow")
        time.sleep(2)
        self.s.restart()
        result = self.result(job, 3)
        time.sleep(8)
        result = self.result(job, 3)
        if "exit_code" not in result:
            raise Cannot(f"it says {result['status']} for ever, and no exit code")


class DesktopCommanderPlain(DesktopCommander):
    def started(self, line, timeout_ms):
        text = self.run(line, timeout_ms)
        return int(re.search(r"PID (\d+)", text)[1]), text

    def builds(self, task):
        ended = self.s.turn(*[("start_process", {"command": f"./build {name}", "timeout_ms": 60000}) for name in task.names])
        failed = next(name for name, result in zip(task.names, ended) if "error:" in result.text)
        return failed, next(re.search(r"^.*error:.*$", result.text, re.M)[0] for result in ended if "error:" in result.text)

    def log(self, task):
        raise Cannot("50 MB are kept, and there is no search")

    def survive(self, task):
        pid, _ = self.started("./slow", 1000)
        time.sleep(1)
        self.s.restart()
        if "No session found" in self.s.call("read_process_output", pid=pid).text:
            raise Cannot("the next server knows nothing of the job")

    def progress(self, task):
        pid, _ = self.started("./progress", 100)
        while True:
            self.s.think()
            text = self.s.call("read_process_output", pid=pid, offset=-1, length=1).text
            if "completed with exit code" in text:
                return task.read(text)

    def causes(self, task):
        pid, _ = self.started("./spam", 1)
        typo = self.run("./buidl --all", 5000)
        time.sleep(1)
        return typo, self.s.call("read_process_output", pid=pid, offset=-3, length=3).text

    def pieces(self, task):
        codes = {}
        for first in (1, 4, 7, 10):
            batch = range(first, first + 3)
            ended = self.s.turn(*[("start_process", {"command": f"./piece {n}", "timeout_ms": 60000}) for n in batch])
            pids = [int(re.search(r"PID (\d+)", result.text)[1]) for result in ended]
            said = self.s.turn(*[("read_process_output", {"pid": pid, "offset": -1, "length": 1}) for pid in pids])
            codes.update({n: int(re.search(r"exit code (\d+)", result.text)[1]) for n, result in zip(batch, said)})
        return {n: code for n, code in codes.items() if code}


class BashCommandPlain(BashCommand):
    def repl(self, task):
        raise Cannot("no tool types into a job")

    def builds(self, task):
        ended = self.s.turn(*[("run", {"command": f"./build {name}"}) for name in task.names])
        failed = next(name for name, result in zip(task.names, ended) if "EXIT_CODE: 0" not in result.text)
        return failed, next(re.search(r"^.*error:.*$", result.text, re.M)[0] for result in ended if "error:" in result.text)

    def log(self, task):
        raise Cannot("no search: it would have to return all of the 300 MB")

    def survive(self, task):
        text = self.s.call("run_background", command="./slow").text
        pid = int(re.search(r"PID:?\s*(\d+)", text, re.I)[1])
        time.sleep(2)
        self.s.restart()
        if self.s.call("wait_background", pid=pid, timeoutSeconds=20).is_error or True:
            raise Cannot("the next server knows nothing of the job")

    def progress(self, task):
        return task.read(self.run("./progress"))

    def causes(self, task):
        typo, spam = self.s.turn(("run", {"command": "./buidl --all"}), ("run", {"command": "./spam"}))
        return typo.text, spam.text


class ClaudeCode(Peer):
    """Bash, with or without run_in_background; Read, TaskStop; and notifications when jobs end."""

    def run(self, line, timeout=60000):
        return self.s.call("Bash", command=line, timeout=timeout).text

    def start(self, line):
        text = self.s.call("Bash", command=line, run_in_background=True).text
        return re.search(r"with ID: (\w+)", text)[1], re.search(r"written to: (\S+)\.", text)[1]

    def builds(self, task):
        self.s.turn(*[("Bash", {"command": f"./build {name}", "run_in_background": True}) for name in task.names])
        for _ in task.names:
            said = self.s.notified()
            if "failed with exit code" in said:
                failed, path = re.search(r'"./build (\w+)"', said)[1], re.search(r"<output-file>(.*)</output-file>", said)[1]
        return failed, re.search(r"^.*error:.*$", self.run(f"grep error: {path}"), re.M)[0]

    def flaky(self, task):
        return task.read(self.run(task.line))

    def devserver(self, task):
        job, path = self.start(f"./devserver {task.port}")
        self.run(f"until (: > /dev/tcp/127.0.0.1/{task.port}) 2> /dev/null; do sleep 0.2; done")
        task.visit()
        log = self.run(f"tail -n 3 {path}")
        self.s.call("TaskStop", task_id=job)
        return log

    def repl(self, task):
        return fifo(self, task, lambda line: self.start(line), self.run, lambda job: self.s.call("TaskStop", task_id=job[0]))

    def log(self, task):
        self.s.trick("output to a file")
        return self.run("./genlog > log; grep -C3 ' ERROR ' log")

    def runaway(self, task):
        job, _ = self.start(f"./{task.name}")
        time.sleep(1)
        self.s.call("TaskStop", task_id=job)
        check = f"pgrep -fa '[.]/{task.name}'; echo left=$?"
        text = self.run(check)
        if "left=1" not in text:
            self.s.trick("pkill of what is left")
            text = self.run(f"pkill -9 -f '[.]/{task.name}'; sleep 0.2; " + check)
        return "left=1" in text

    def survive(self, task):
        self.s.trick("output and exit code to a file, since the next session knows nothing of the job")
        self.start("./slow > slow.log 2>&1; echo exit=$? >> slow.log")
        time.sleep(2)
        self.s.restart()
        text = self.run("for i in $(seq 75); do grep -q exit= slow.log && break; sleep 0.2; done; tail -n 3 slow.log")
        found = re.search(r"exit=(\d+)", text)
        if not found:
            raise Cannot("the job dies with the session")
        return int(found[1]), text

    def progress(self, task):
        self.s.trick("output to a file")
        return task.read(self.run("./progress > bar.log 2>&1; tail -n 1 bar.log"))

    def chatty(self, task):
        # Not in the background: without a person, it ends a few seconds after the last word of the model.
        self.s.trick("output to a file")
        return task.read(self.run("./chatty > log; tail -n 1 log"))

    def causes(self, task):
        self.s.trick("output to a file")
        typo, spam = self.s.turn(("Bash", {"command": "./buidl --all"}), ("Bash", {"command": "./spam 2> err || tail -n 3 err"}))
        return typo.text, spam.text

    def pieces(self, task):
        # The calls of one message run one after the other: slower, but in one turn and without 24 notifications.
        self.s.trick("one at a time")
        ended = self.s.turn(*[("Bash", {"command": f"./piece {n}"}) for n in range(1, 13)])
        codes = {n: re.match(r"Exit code (\d+)", result.text) for n, result in zip(range(1, 13), ended)}
        return {n: int(code[1]) for n, code in codes.items() if code}


def fifo(agent, task, start, run, stop):
    """A REPL for agents that cannot type into jobs: its input is a named pipe, its output a file."""
    agent.s.trick("input by a named pipe")
    job = start("mkfifo in; sleep 1000 > in & ./python -i -q < in > out 2>&1")
    time.sleep(0.5)
    inputs, text = task.inputs(), None
    for _ in range(5):
        text = run(f"echo '{inputs.send(text)}' > in; sleep 0.7; tail -n 2 out")
    stop(job)
    return found(text)
