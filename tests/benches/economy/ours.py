"""Agents that drive jobmcp."""

import re
import time

from tasks import found


class Jobmcp:
    """execute, wait, output, interact, kill, status, list."""

    def __init__(self, session):
        self.s = session

    def builds(self, task):
        steps = [{"name": name, "command": f"./build {name}"} for name in task.names]
        text = self.s.call("execute", commands=steps, wait_s=50, grep="error:").text
        failed = re.search(r"^`(\w+)` failed with exit code", text, re.M)[1]
        return failed, re.search(r"src/.*error:.*$", text, re.M)[0]

    def flaky(self, task):
        return task.read(self.s.call("execute", command=task.line, wait_s=50).text)

    def devserver(self, task):
        self.s.call("execute", command=f"./devserver {task.port}", name="web", until=f"port:{task.port}")
        task.visit()
        log = self.s.call("output", job_id="web", lines=2).text
        self.s.call("kill", job_id="web")
        return log

    def repl(self, task):
        inputs = task.inputs()
        text = self.s.call("execute", command="./python -i -q", name="py", stdin="open", input=inputs.send(None),
                           until="output:n=").text
        for i in range(4):
            line = inputs.send(text)
            last = {"eof": True} if i == 3 else {}
            text = self.s.call("interact", job_id="py", input=line, until="output:=", **last).text
        return found(text)

    def log(self, task):
        return self.s.call("execute", command="./genlog", output_limit="1G", wait_s=50, grep=" ERROR ", context=3).text

    def runaway(self, task):
        self.s.call("execute", command=f"./{task.name}", name="run", wait_s=1)
        return "killed, with everything it started" in self.s.call("kill", job_id="run", grace_s=1).text

    def survive(self, task):
        self.s.call("execute", command="./slow", name="slow", wait_s=0)
        time.sleep(2)
        self.s.restart()
        text = self.s.call("wait", job_ids=["slow"], wait_s=50).text
        return int(re.search(r"exit code (\d+)", text)[1]), text

    def progress(self, task):
        return task.read(self.s.call("execute", command="./progress", wait_s=50).text)

    def causes(self, task):
        typo, spam = self.s.turn(("execute", {"command": "./buidl --all"}), ("execute", {"command": "./spam", "wait_s": 20}))
        return typo.text, spam.text

    def chatty(self, task):
        self.s.call("execute", command="./chatty", name="chatty", wait_s=0)
        while True:
            text = self.s.call("wait", job_ids=["chatty"], wait_s=5).text
            if "is running" not in text:
                return task.read(text)

    def pieces(self, task):
        commands = [f"./piece {n}" for n in range(1, 13)]
        text = self.s.call("execute", commands=commands, at_a_time=3, wait_s=50).text
        return {int(n): int(code) for n, code in re.findall(r"^`./piece (\d+)` .*failed with exit code (\d+)", text, re.M)}

    def suites(self, task):
        return self.s.call("execute", command="./test-all", wait_s=50).text

    def types(self, task):
        text = self.s.call("execute", command="./typecheck", wait_s=50, grep="pay.ts|Found").text
        return text

    def image(self, task):
        return self.s.call("execute", command="./image", wait_s=50).text

    def migrate(self, task):
        question = self.s.call("execute", command="./migrate", name="db", stdin="open", until=r"output:y/N").text
        return question, self.s.call("interact", job_id="db", input="y", until="exit").text

    def watcher(self, task):
        self.s.call("execute", command="./watch", name="watch", until="output:^watching")
        task.change()
        text = self.s.call("wait", job_ids=["watch"], until="output:error:").text
        self.s.call("kill", job_id="watch")
        return text


class JobmcpFile(Jobmcp):
    """The same tools; unwanted output goes to files."""

    def builds(self, task):
        self.s.trick("output to files")
        ended = self.s.turn(*[("execute", {"command": f"./build {name} > {name}.log 2>&1", "name": name, "wait_s": 50})
                              for name in task.names])
        failed = next(name for name, result in zip(task.names, ended) if "failed with exit code" in result.text)
        lines = self.s.call("execute", command=f"grep error: {failed}.log").text
        return failed, re.search(r"^.*error:.*$", lines, re.M)[0]

    def log(self, task):
        self.s.trick("output to a file")
        return self.s.call("execute", command="./genlog > log; grep -C3 ' ERROR ' log", wait_s=50).text

    def causes(self, task):
        self.s.trick("output to a file")
        typo, spam = self.s.turn(("execute", {"command": "./buidl --all"}),
                                 ("execute", {"command": "./spam 2> err || tail -n 3 err", "wait_s": 20}))
        return typo.text, spam.text

    def pieces(self, task):
        self.s.trick("xargs in one job")
        line = "seq 12 | xargs -P3 -I{} sh -c './piece {} > {}.log 2>&1 || echo {} failed with exit code $?'"
        text = self.s.call("execute", command=line, wait_s=50).text
        return {int(n): int(code) for n, code in re.findall(r"^(\d+) failed with exit code (\d+)", text, re.M)}
