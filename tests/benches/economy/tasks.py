"""The tasks, each with the files it needs and the correct result."""

import os
import random
import re
import socket
import sys
import time
import urllib.request
import uuid

BUILD = '''
import sys, time
name, failing, at, line = sys.argv[1], FAILING, AT, LINE
for i in range(1, 20001):
    print("[%5d/20000] compiling %s/module_%05d%s.c" % (i, name, i, "_errors" if i % 4000 == 7 else ""))
    if name == failing and i == at:
        print(line)
    if i % 50 == 0:
        sys.stdout.flush()
        time.sleep(0.01)
print("make: build of %s %s" % (name, "stopped, 1 error" if name == failing else "done"))
sys.exit(2 if name == failing else 0)
'''

FLAKY = '''
import os, sys, time
count = int(open("count").read()) + 1 if os.path.exists("count") else 1
open("count", "w").write(str(count))
for i in range(15):
    print("test_case_%02d ... ok" % i)
time.sleep(0.3)
if count == AT:
    print("test_transfer ... FAILED")
    print(MESSAGE)
    sys.exit(1)
print("16 passed")
'''

DEVSERVER = '''
import http.server, os, subprocess, sys, time
if "DEVSERVER_MARK" not in os.environ:
    os.execve(sys.executable, [sys.executable] + sys.argv, dict(os.environ, DEVSERVER_MARK=MARK))
print("dev server: building ...", flush=True)
subprocess.Popen(["sleep", "1000"])
time.sleep(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("dev server: listening on http://127.0.0.1:" + sys.argv[1], flush=True)
server.serve_forever()
'''

STEPS = '''
import random, time
_state = random.Random(SEED); _last = None
def _next():
    global _last
    time.sleep(0.3)
    _last = _state.randrange(10000, 99999)
    return "n=%d" % _last
def start(): return _next()
def step(n):
    if n != _last: raise ValueError("not the last n")
    return _next()
def finish(n):
    if n != _last: raise ValueError("not the last n")
    return "answer=" + ANSWER
'''

GENLOG = '''
import sys
at, message = AT, MESSAGE
out = sys.stdout.buffer
for chunk in range(300):
    lines = []
    for i in range(chunk * 10000, chunk * 10000 + 10000):
        if i == at:
            lines.append("2026-11-28T10:00:00.000Z ERROR worker-%02d %s" % (i % 32, message))
        else:
            lines.append("2026-11-28T10:00:00.000Z INFO  worker-%02d request %08d served in %3d ms from cache, status 200, all is well" % (i % 32, i, i % 997))
    out.write(("\\n".join(lines) + "\\n").encode())
'''

RUNAWAY = '''
import os, signal, sys, time
if "RUNAWAY_MARK" not in os.environ:
    os.execve(sys.executable, [sys.executable] + sys.argv, dict(os.environ, RUNAWAY_MARK=MARK))
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(s, signal.SIG_IGN)
for i in range(6):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if i % 2:
                os.execvp("sleep", ["sleep", "1000"])
            while True:
                time.sleep(0.5)
        os._exit(0)
print("6 workers", flush=True)
while True:
    print("working", flush=True)
    time.sleep(0.5)
'''

SLOW = '''
import sys, time
for i in range(16):
    print("saved item %d" % i, flush=True)
    time.sleep(0.5)
print("digest " + TOKEN, flush=True)
sys.exit(CODE)
'''

PROGRESS = '''
import sys, time
for i in range(5001):
    done = i * 40 // 5000
    sys.stdout.write("\\r\\x1b[2K\\x1b[32m%5.1f%%\\x1b[0m [\\x1b[36m%s%s\\x1b[0m] %4d/5000 kB eta %2d s" %
                     (i / 50, "#" * done, "-" * (40 - done), i, (5000 - i) // 250))
    sys.stdout.flush()
    time.sleep(0.004)
sys.stdout.write("\\n\\x1b[1muploaded, digest " + TOKEN + "\\x1b[0m\\n")
'''

SPAM = '''
import sys
for i in range(20000):
    sys.stderr.write("warning: deprecated option number %05d is ignored; see the manual, chapter %3d, for what replaces it\\n" % (i, i % 400))
sys.stderr.write(CAUSE + "\\n")
sys.exit(3)
'''

PIECE = '''
import os, sys, time
n = int(sys.argv[1])
begun = time.time()
print("piece %d: reading" % n, flush=True)
time.sleep(1.5)
open("times-%d" % n, "w").write("%f %f" % (begun, time.time()))
code = CODES.get(n, 0)
print("piece %d: %s" % (n, "broken input" if code else "done"))
sys.exit(code)
'''


# It ends between two looks, so that the last one finds the same amount on every machine.
CHATTY = '''
import time
end = time.time() + 32.5
i = 0
while time.time() < end:
    for _ in range(10):
        i += 1
        print("[%5d] compiling app/module_%05d.c" % (i, i))
    print(end="", flush=True)
    time.sleep(0.05)
print("digest " + TOKEN)
'''


class Work:
    """A directory with the files that a task needs, and the correct result."""

    def __init__(self, directory, seed):
        self.directory, self.random = directory, random.Random(seed)
        self.token = "%08x" % self.random.getrandbits(32)
        self.mark = uuid.uuid4().hex

    def program(self, name, body, **values):
        for key, value in values.items():
            body = re.sub(r"\b%s\b" % key, lambda _: repr(value), body, count=1)
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(f"#!{sys.executable}\n{body}")
        os.chmod(path, 0o755)

    def left(self, name):
        """Returns the processes that have a variable with this run's mark."""
        return [pid for pid in processes() if f"{name}={self.mark}".encode() in environment(pid)]


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def environment(pid):
    try:
        if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
            return []
        return open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
    except OSError:
        return []


class Builds:
    title = "three parallel builds, one fails"
    names = ["app", "lib", "web"]

    def __init__(self, work):
        self.failing = work.random.choice(self.names)
        self.line = f"src/net/socket.c:{work.random.randrange(100, 999)}:17: error: unknown name 'frob_{work.token}'"
        work.program("build", BUILD, FAILING=self.failing, AT=work.random.randrange(8000, 12000), LINE=self.line)

    def check(self, answer):
        return answer == (self.failing, self.line), answer


class Flaky:
    title = "flaky test until it fails, at most 30 times"

    def __init__(self, work):
        self.at = work.random.randrange(11, 22)
        self.message = f"AssertionError: balance is {work.random.randrange(10, 99)}, not {work.token}"
        work.program("flaky", FLAKY, AT=self.at, MESSAGE=self.message)

    # The task is a loop, which the agent has to write itself with any server.
    line = ("for i in $(seq 30); do ./flaky > out 2>&1 || { echo \"failed in iteration $i\"; grep Error out; exit 1; }; done; "
            "echo never")

    def check(self, answer):
        return answer == (self.at, self.message), answer

    def read(self, text):
        iteration = re.search(r"failed in iteration (\d+)", text)
        message = re.search(r"AssertionError: [^\n\"\\]*", text)
        return iteration and (int(iteration[1]), message and message[0].strip())


class DevServer:
    title = "dev server: ready, log of a request, stopped"

    def __init__(self, work):
        self.work = work
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.path = f"/hello-{work.token}"
        self.was_ready = False
        work.program("devserver", DEVSERVER, MARK=work.mark)

    def visit(self):
        """Opens the page, once, as soon as the agent says that it is ready."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.path}", timeout=2).read()
            self.was_ready = True
        except OSError:
            self.was_ready = False
        time.sleep(0.2)

    def check(self, answer):
        time.sleep(0.3)
        left = self.work.left("DEVSERVER_MARK")
        read = bool(answer) and f"GET {self.path} " in answer
        return self.was_ready and read and not left, f"ready {self.was_ready}, read {read}, left {len(left)} processes"


class Repl:
    title = "Python REPL, five dependent inputs"

    def __init__(self, work):
        self.answer = f"{work.token}"
        os.symlink(sys.executable, os.path.join(work.directory, "python"))
        work.program("steps.py", STEPS, SEED=work.random.getrandbits(30), ANSWER=self.answer)

    @staticmethod
    def inputs():
        """Yields each input; receives the answer."""
        text = yield "import steps; steps.start()"
        for _ in range(3):
            text = yield f"steps.step({re.findall(r'n=([0-9]+)', text)[-1]})"
        yield f"steps.finish({re.findall(r'n=([0-9]+)', text)[-1]})"

    def check(self, answer):
        return answer == self.answer, answer


def found(text):
    match = re.findall(r"answer=([0-9a-f]{8})", text)
    return match[-1] if match else None


class Log:
    title = "300 MB of output, one ERROR line with context"

    def __init__(self, work):
        self.at = work.random.randrange(1_200_000, 1_800_000)
        self.message = f"cannot allocate lease {work.token}"
        work.program("genlog", GENLOG, AT=self.at, MESSAGE=self.message)

    def check(self, answer):
        around = [self.at + i for i in (-3, -2, -1, 1, 2, 3)]
        good = bool(answer) and self.message in answer and all(f"request {i:08} " in answer for i in around)
        return good, None if good else (answer or "")[:200]


class Runaway:
    title = "stop a tree that ignores TERM, nothing left"

    def __init__(self, work):
        # A name that no process of another user has: agents look for it, and stop whatever has it.
        self.work, self.name = work, f"runaway-{work.token}"
        work.program(self.name, RUNAWAY, MARK=work.mark)

    def check(self, answer):
        time.sleep(0.3)
        left = self.work.left("RUNAWAY_MARK")
        return answer is True and not left, f"agent believes {answer}, left {len(left)} processes"


class Survive:
    title = "job survives kill -9 of the server"

    def __init__(self, work):
        self.code, self.token = work.random.randrange(4, 90), work.token
        work.program("slow", SLOW, CODE=self.code, TOKEN=work.token)

    def check(self, answer):
        good = bool(answer) and answer[0] == self.code and f"digest {self.token}" in answer[1] and "item 15" in answer[1]
        return good, None if good else answer


class Progress:
    title = "20 s progress bar, 5,000 redraws, last line"

    def __init__(self, work):
        self.token = work.token
        work.program("progress", PROGRESS, TOKEN=work.token)

    def check(self, answer):
        return answer == self.token, answer

    @staticmethod
    def read(text):
        match = re.findall(r"uploaded, digest ([0-9a-f]{8})", text)
        return match[-1] if match else None


class Causes:
    title = "typo (127), and 2 MB on stderr then exit 3"

    def __init__(self, work):
        self.cause = f"fatal: cannot open /etc/app-{work.token}.conf: no such file"
        work.program("spam", SPAM, CAUSE=self.cause)

    def check(self, answer):
        typo, cause = answer
        return bool(re.search(r"not found|no such file", typo, re.I)) and self.cause in cause, (typo[:80], cause[-80:])


class Pieces:
    title = "twelve jobs, three at a time, three fail"

    def __init__(self, work):
        self.directory = work.directory
        self.codes = {n: work.random.randrange(4, 90) for n in work.random.sample(range(1, 13), 3)}
        work.program("piece", PIECE, CODES=self.codes)

    def check(self, answer):
        times = []
        for n in range(1, 13):
            try:
                times.append(tuple(map(float, open(os.path.join(self.directory, f"times-{n}")).read().split())))
            except OSError:
                return False, f"piece {n} did not run"
        most = max(sum(1 for begun, ended in times if begun <= at < ended) for at, _ in times)
        return answer == self.codes and most <= 3, f"{answer}, {most} at a time"


class Chatty:
    title = "30 s of output, looked at every 5 s"

    def __init__(self, work):
        self.token = work.token
        work.program("chatty", CHATTY, TOKEN=work.token)

    def check(self, answer):
        return answer == self.token, answer

    @staticmethod
    def read(text):
        match = re.findall(r"digest ([0-9a-f]{8})", text)
        return match[-1] if match else None


SUITES = '''
import sys, time
failing, messages = FAILING, MESSAGES
count = 0
for package in ("api", "auth", "billing", "mail", "search", "web"):
    print("============================= test session starts ==============================")
    print("platform linux -- Python 3.13.0, pytest-8.4.2, pluggy-1.6.0")
    print("rootdir: /home/me/shop/%s" % package)
    print("collected 240 items\\n")
    bad = [name for name in failing if name[0] == package]
    for module in range(24):
        marks = "".join("F" if (package, module, test) in [name[:3] for name in bad] else "." for test in range(10))
        print("%s/tests/test_%02d.py %s [%3d%%]" % (package, module, marks.ljust(48), (module + 1) * 100 // 24), flush=True)
        time.sleep(0.01)
    if bad:
        print("\\n=================================== FAILURES ===================================")
        for index, (_, module, test) in enumerate(bad):
            print("_______________________________ test_case_%02d _________________________________\\n" % test)
            print("    def test_case_%02d():" % test)
            for line in range(30):
                print("        value = step(%d, value)" % line)
            print(">       assert value == expected")
            print("E       AssertionError: " + messages[failing.index(bad[index])])
            print("\\n%s/tests/test_%02d.py:%d: AssertionError" % (package, module, 100 + test))
        print("=========================== short test summary info ============================")
        for (_, module, test) in bad:
            print("FAILED %s/tests/test_%02d.py::test_case_%02d - AssertionError: %s" %
                  (package, module, test, messages[failing.index((package, module, test))]))
        print("========================= %d failed, %d passed in 1.27s =========================" % (len(bad), 240 - len(bad)))
    else:
        print("\\n============================= 240 passed in 1.03s ==============================")
sys.exit(1 if failing else 0)
'''

TYPECHECK = '''
import sys
for line in LINES:
    print(line)
print("\\nFound %d errors in %d files." % (len(LINES), FILES))
sys.exit(2)
'''

IMAGE = '''
import sys, time
steps = ["FROM docker.io/library/node:22", "WORKDIR /app", "COPY package.json .", "RUN npm ci", "COPY . .", "RUN npm run build"]
for number, step in enumerate(steps, 1):
    head = "#%d [%d/%d] %s" % (number + 4, number, len(steps), step)
    print(head)
    for tick in range(250):
        sys.stdout.write("\\r\\x1b[2K#%d %.1fs %5.1f MB / 182.4 MB [%s]" %
                         (number + 4, tick / 50, tick * 0.7296, ("=" * (tick // 10)).ljust(25)))
        sys.stdout.flush()
        time.sleep(0.002)
    sys.stdout.write("\\r\\x1b[2K#%d DONE %.1fs\\n" % (number + 4, 5.0))
print("#11 exporting to image")
print("#11 writing image sha256:" + IMAGE_ID + " done")
print("#11 naming to docker.io/library/shop:latest done")
'''

MIGRATE = '''
import sys, time
print("Connecting to the database ...")
time.sleep(0.3)
for name in NAMES:
    print("  pending: " + name)
answer = input("Apply %d migrations to %s? [y/N] " % (len(NAMES), DATABASE))
if answer != "y":
    print("Nothing was changed.")
    sys.exit(1)
for name in NAMES:
    time.sleep(0.1)
    print("  applied: " + name)
print("Schema version " + VERSION)
'''

WATCHER = '''
import os, time
def build():
    for module in range(300):
        print("[%3d/300] bundling module_%03d.js" % (module, module))
    text = open("page.js").read()
    if "oops" in text:
        print("page.js:%d:5: error: unexpected token " % LINE + repr(text.split()[-1]), flush=True)
    else:
        print("built in 0.42s", flush=True)
build()
print("watching for changes", flush=True)
last = os.stat("page.js").st_mtime_ns
while True:
    time.sleep(0.05)
    if os.stat("page.js").st_mtime_ns != last:
        last = os.stat("page.js").st_mtime_ns
        print("page.js changed", flush=True)
        build()
'''


class Suites:
    """Which tests failed, where, and why?"""
    title = "tests of a monorepo, two of 1,440 fail"

    def __init__(self, work):
        packages = work.random.sample(["api", "auth", "billing", "mail", "search", "web"], 2)
        failing = [(package, work.random.randrange(24), work.random.randrange(10)) for package in packages]
        failing.sort()
        messages = [f"balance is {work.random.randrange(10, 99)}, not {work.random.randrange(100, 999)}" for _ in failing]
        self.expected = {(f"{package}/tests/test_{module:02}.py", f"test_case_{test:02}", message)
                         for (package, module, test), message in zip(failing, messages)}
        work.program("test-all", SUITES, FAILING=failing, MESSAGES=messages)

    def check(self, answer):
        text = answer or ""
        return all(all(part in text for part in failure) for failure in self.expected), text[:300]


class Types:
    """How many errors are there in how many files, and what is wrong in src/pay.ts?"""
    title = "a type checker finds 40 errors in 6 files"

    def __init__(self, work):
        files = ["src/app.ts", "src/cart.ts", "src/mail.ts", "src/search.ts", "src/user.ts"]
        lines = [f"{files[index % 5]}({10 + index},{5 + index % 7}): error TS2{300 + index}: Type 'number' is not assignable to "
                 f"type 'Field{index}'." for index in range(39)]
        self.line = work.random.randrange(100, 900)
        lines.insert(work.random.randrange(39), f"src/pay.ts({self.line},9): error TS2339: Property '{work.token}' does not exist on type 'Bill'.")
        self.token = work.token
        work.program("typecheck", TYPECHECK.replace("LINES", "lines").replace("FILES", "6").replace("import sys", "import sys\nlines = LINES"),
                     LINES=lines)

    def check(self, answer):
        text = answer or ""
        return "40" in text and "6 files" in text and self.token in text and str(self.line) in text, text[:300]


class Image:
    """What is the id of the image?"""
    title = "an image is built, with progress of each layer"

    def __init__(self, work):
        self.id = "%032x" % work.random.getrandbits(128)
        work.program("image", IMAGE, IMAGE_ID=self.id)

    def check(self, answer):
        return self.id in (answer or ""), (answer or "")[-200:]


class Migrate:
    """What does it ask? Say yes. Which version is it then?"""
    title = "a migration asks before it changes anything"

    def __init__(self, work):
        self.database, self.version = f"shop_{work.token}", str(work.random.randrange(1000, 9999))
        names = [f"{index:04}_{name}" for index, name in enumerate(["add_orders", "drop_carts", "index_users"], 40)]
        work.program("migrate", MIGRATE, NAMES=names, DATABASE=self.database, VERSION=self.version)
        # Names are used twice, and a program prints each once.
        path = os.path.join(work.directory, "migrate")
        text = open(path).read().replace("NAMES", repr(names))
        open(path, "w").write(text)

    def check(self, answer):
        question, end = answer
        return f"to {self.database}? [y/N]" in question and self.version in end, (question[-100:], end[-100:])


class Watcher:
    """The page is changed once the watcher watches: what does it say of that?"""
    title = "a watcher rebuilds, and what was changed is wrong"

    def __init__(self, work):
        self.path, self.token, self.line = os.path.join(work.directory, "page.js"), work.token, work.random.randrange(10, 99)
        with open(self.path, "w") as file:
            file.write("ok\n")
        work.program("watch", WATCHER, LINE=self.line)

    def change(self):
        with open(self.path, "w") as file:
            file.write(f"oops {self.token}\n")

    def check(self, answer):
        return f"page.js:{self.line}:5: error: unexpected token '{self.token}'" in (answer or ""), (answer or "")[-300:]


TASKS = [Builds, Flaky, DevServer, Repl, Log, Runaway, Survive, Progress, Causes, Pieces, Chatty, Suites, Types, Image, Migrate,
         Watcher]
# The others run only on request: the cost of each look at a long job, and daily work.
TEN = 10
DAILY = range(TEN + 2, len(TASKS) + 1)
