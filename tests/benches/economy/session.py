"""A server, the calls to it, and their results."""

import json
import os
import signal
import subprocess
import threading
import time

from count import compact, tokens


class Server:
    def __init__(self, command, cwd, env):
        self.process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(os.path.join(cwd, ".server-stderr"), "ab"))
        self.answers, self.changed, self.number = {}, threading.Condition(), 0
        threading.Thread(target=self.read, daemon=True).start()
        hello = self.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                            "clientInfo": {"name": "economy", "version": "1"}})
        self.instructions = hello["result"].get("instructions") or ""
        self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def write(self, message):
        self.process.stdin.write(compact(message).encode() + b"\n")
        self.process.stdin.flush()

    def read(self):
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "method" in message and "id" in message:
                # A request for roots or the like: there are none.
                self.write({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})
            elif "id" in message:
                with self.changed:
                    self.answers[message["id"]] = message
                    self.changed.notify_all()

    def send(self, method, params):
        self.number += 1
        self.write({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        return self.number

    def receive(self, number, timeout=120):
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, timeout):
                raise TimeoutError(f"no answer to request {number} in {timeout} s")
            return self.answers.pop(number)

    def request(self, method, params, timeout=120):
        return self.receive(self.send(method, params), timeout)

    def tools(self):
        found, cursor = [], None
        while True:
            page = self.request("tools/list", {"cursor": cursor} if cursor else {})["result"]
            found += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(5)
        except Exception:
            self.kill()


class Result:
    def __init__(self, message):
        result = message.get("result") or {}
        error = message.get("error")
        self.is_error = bool(error or result.get("isError"))
        self.text = "\n".join(part.get("text", "") for part in result.get("content", []))
        if error:
            self.text = error.get("message", "")
        self.fields = result.get("structuredContent")
        self.shown = self.text if self.fields is None or self.is_error else compact(self.fields)

    def json(self):
        value = self.fields if self.fields is not None else json.loads(self.text)
        return value.get("result", value) if isinstance(value, dict) and set(value) == {"result"} else value


# How often an agent without a waiting call looks.
POLL = 5.0


class Session:
    """A server, the calls to it, and their results."""

    def __init__(self, command, cwd, env):
        self.command, self.cwd, self.env = command, cwd, env
        self.log, self.turns, self.tricks, self.polls = [], 0, [], 0
        self.server = self.started()

    def started(self):
        return Server(self.command, self.cwd, self.env)

    def call(self, tool, **arguments):
        return self.turn((tool, arguments))[0]

    def turn(self, *calls):
        """Makes calls that do not need each other's results, all at once."""
        self.turns += 1
        begun = time.time()
        sent = [self.server.send("tools/call", {"name": tool, "arguments": arguments}) for tool, arguments in calls]
        results = []
        for (tool, arguments), number in zip(calls, sent):
            result = Result(self.server.receive(number))
            self.note(tool, arguments, result, begun)
            results.append(result)
        return results

    def note(self, tool, arguments, result, begun):
        said = {} if tool == "(notification)" else {"name": tool, "arguments": arguments}
        is_long = len(result.text) > 50_000
        self.log.append({
            "turn": self.turns, "tool": tool, "arguments": arguments, "text": result.text[:50_000], "is_error": result.is_error,
            "fields": None if is_long else result.fields, "argument_tokens": tokens(compact(said)) if said else 0,
            "result_tokens": tokens(result.text), "shown_tokens": tokens(result.shown),
            "result_bytes": len(result.text.encode()), "seconds": round(time.time() - begun, 2),
        })

    def think(self, seconds=POLL):
        """Waits as long as a model does between two looks."""
        self.polls += 1
        time.sleep(seconds)

    def trick(self, what):
        if what not in self.tricks:
            self.tricks.append(what)

    def restart(self):
        self.server.kill()
        self.server = self.started()


class Cannot(Exception):
    pass
