"""Drives jobmcp with the `mcp` package, by field name: what programs rely on, and what this client itself checks.

    drive_mcp.py legacy|modern SERVER

SERVER is the program, started on standard input and output, or the URL of a running one, with its token in JOBMCP_TOKEN.
"""

import asyncio
import os
import sys
import warnings

from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

# However slow the machine is, a call is answered within this time.
PATIENCE = 120


def connect(era, server):
    if server.startswith("http"):
        token = os.environ["JOBMCP_TOKEN"]
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
        server = streamable_http_client(server, http_client=http)
    else:
        server = StdioServerParameters(command=server, env={"JOBCORE_STORE": os.environ["JOBCORE_STORE"]})
    # This client compares structured content with the output schema, and raises if they differ.
    mode = {"legacy": "legacy", "modern": "auto"}[era]
    return Client(server, mode=mode, read_timeout_seconds=PATIENCE)


def text_of(result):
    [content] = result.content
    return content.text


class Driver:
    def __init__(self, client):
        self.client = client

    async def ok(self, tool, **arguments):
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, f"{tool} {arguments}: {text_of(result)}"
        return result

    async def refused(self, tool, **arguments):
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, f"{tool} {arguments}: {text_of(result)}"
        return text_of(result)

    async def start(self, command, **arguments):
        """Starts a job, and returns its id."""
        result = await self.ok("execute", command=command, wait_s=0, **arguments)
        return result.meta["jobcore/job"]["job_id"]


async def tools(driver):
    """tools are titled, described and annotated"""
    listed = (await driver.client.list_tools()).tools
    names = {tool.name for tool in listed}
    assert names >= {"execute", "wait", "output", "interact", "kill", "status", "list"}, names
    for tool in listed:
        assert tool.title and tool.description and tool.annotations.read_only_hint is not None, tool
        assert tool.input_schema["type"] == "object", tool
    assert {tool.name for tool in listed if tool.output_schema} >= {"status", "list"}
    assert "execute" in driver.client.instructions
    if driver.client.protocol_version < "2026-07-28":
        with warnings.catch_warnings():
            # About a method that the newest revision no longer has.
            warnings.simplefilter("ignore")
            await driver.client.send_ping()


async def execute(driver):
    """execute answers with the end of a short command, in text and in fields"""
    result = await driver.ok("execute", command="echo ä日🦀; echo no >&2; exit 3", wait_s=50)
    job = result.meta["jobcore/job"]
    assert (job["status"], job["exit_code"]) == ("failed", 3), job
    assert "exit code 3" in text_of(result) and "ä日🦀" in text_of(result), text_of(result)
    result = await driver.ok("execute", argv=["printf", "%s|", "a b", "$HOME"], wait_s=50, format="json")
    fields = result.structured_content
    assert (fields["status"], fields["stdout"], fields["stderr"]) == ("completed", "a b|$HOME|", ""), fields
    assert fields["omitted"] == 0 and fields["job_id"] == result.meta["jobcore/job"]["job_id"], fields


async def status(driver):
    """status reports the state and end of a job in fields that follow their schema"""
    job = await driver.start("echo first; exec sleep 1000", name="sleeper", labels={"kind": "ä"})
    running = (await driver.ok("status", job_id="sleeper")).structured_content
    assert running["status"] == "running" and "exit_code" not in running and running["name"] == "sleeper", running
    await driver.ok("kill", job_id=job, grace_s=1)
    killed = await driver.ok("status", job_id=job)
    assert killed.structured_content["status"] == "killed", killed
    assert killed.meta["jobcore/job"] == {**killed.meta["jobcore/job"], "job_id": job, "status": "killed"}
    ended = await driver.ok("execute", command="kill -KILL $$", wait_s=50)
    fields = (await driver.ok("status", job_id=ended.meta["jobcore/job"]["job_id"])).structured_content
    assert (fields["status"], fields["signal"]) == ("failed", "SIGKILL") and "exit_code" not in fields, fields


async def tail(driver):
    """output, and tail although it is not listed, return the streams separately, and the part after a cursor"""
    result = await driver.ok("execute", command="seq 1 100; echo bad >&2", wait_s=50)
    job = result.meta["jobcore/job"]["job_id"]
    fields = (await driver.ok("tail", job_id=job, lines=3, stream="stdout", format="json")).structured_content
    assert fields["stdout"] == "98\n99\n100\n" and fields["status"] == "completed", fields
    fields = (await driver.ok("output", job_id=job, format="json")).structured_content
    assert fields["stdout"].startswith("1\n2\n") and fields["stderr"] == "bad\n", fields
    rest = (await driver.ok("output", job_id=job, cursor=fields["cursor"], format="json")).structured_content
    assert rest["stdout"] == rest["stderr"] == "" and rest["cursor"] == fields["cursor"], rest


async def interact(driver):
    """interact types into a job and returns only the answer"""
    job = await driver.start("while read -r line; do echo \"got $line\"; done", stdin="open")
    fields = (await driver.ok("interact", job_id=job, input="ä日", wait_s=50, format="json")).structured_content
    assert (fields["stdout"], fields["status"]) == ("got ä日\n", "running"), fields
    fields = (await driver.ok("interact", job_id=job, input="b\n", wait_s=50, format="json")).structured_content
    assert fields["stdout"] == "got b\n", f"a newline that is there is not added again: {fields}"
    await driver.ok("interact", job_id=job, eof=True, wait_s=0)
    result = await driver.ok("wait", job_ids=[job], wait_s=50)
    assert result.meta["jobcore/job"]["exit_code"] == 0, result.meta
    assert "not running" in await driver.refused("interact", job_id=job, input="x")


async def kill(driver):
    """kill reports the result for each job as data"""
    job = await driver.start("exec sleep 1000")
    [killed, unknown] = sorted(
        (await driver.ok("kill", job_ids=[job, "nosuch"], grace_s=1)).structured_content["results"],
        key=lambda result: result["status"],
    )
    assert (killed["status"], unknown["status"]) == ("killed", "not_found"), (killed, unknown)
    [again] = (await driver.ok("kill", job_id=job)).structured_content["results"]
    assert again["status"] == "already_terminated", again


async def listing(driver):
    """list finds jobs and reports what has ended since"""
    event = (await driver.ok("list", limit=1)).structured_content["event"]
    await driver.ok("execute", command="true", name="listed", labels={"a": "b"}, wait_s=50)
    fields = (await driver.ok("list", ended_since=event, label="a=b")).structured_content
    [job] = fields["jobs"]
    assert (job["name"], job["status"], job["exit_code"]) == ("listed", "completed", 0), fields


async def bounds(driver):
    """bytes that are not text, and large amounts of them, arrive as bounded text"""
    line = r"printf 'a\0b\377\033[31mred\033[0m\001\342\200\250\n'; seq 1 300000"
    result = await driver.ok("execute", command=line, wait_s=50)
    text = text_of(result)
    assert len(text) <= 8000 and "300000" in text and " above]" in text and "\x1b" not in text, text[:300]
    job = result.meta["jobcore/job"]["job_id"]
    fields = (await driver.ok("output", job_id=job, max_bytes=36000, format="json")).structured_content
    assert len(fields["stdout"]) <= 36000 and fields["omitted"] > 1_000_000, len(fields["stdout"])
    assert "\ufffd" in fields["stdout"]


async def errors(driver):
    """a mistake is an error of the tool, and of the protocol only if there is no such tool"""
    job = await driver.start("exec sleep 1000", name="there")
    for tool, arguments, words in [
        ("status", {"job_id": "nosuch"}, "`there`"),
        ("output", {"job_id": "nosuch"}, "no job matches"),
        ("tail", {"job_id": job, "lines": 0}, "between 1 and 1000"),
        ("interact", {"job_id": job, "input": "x"}, "open"),
        ("execute", {"command": ""}, "empty"),
        ("execute", {"command": 7}, "command: 7 is not a string"),
        ("execute", {"command": "true", "colour": 1}, "unknown field"),
        ("wait", {}, "job_ids"),
    ]:
        text = await driver.refused(tool, **arguments)
        assert words in text and len(text) <= 2000, f"{tool} {arguments}: {text}"
    try:
        await driver.client.call_tool("nosuch", {})
        raise AssertionError("a tool that does not exist was called")
    except MCPError as error:
        assert error.error.code == -32602 and "execute" in error.error.message, error
    await driver.ok("kill", job_id=job, grace_s=1)


async def progress(driver):
    """a waiting call reports progress every few seconds, and others are answered in the meantime"""
    job = await driver.start("exec sleep 1000")
    told = asyncio.Event()

    async def tell(_progress, _total, _message):
        told.set()

    arguments = {"job_ids": [job], "wait_s": 50}
    wait = asyncio.create_task(driver.client.call_tool("wait", arguments, progress_callback=tell))
    await asyncio.wait_for(told.wait(), PATIENCE)
    await driver.ok("list")
    assert not wait.done(), wait
    await driver.ok("kill", job_id=job, grace_s=1)
    result = await asyncio.wait_for(wait, PATIENCE)
    assert result.meta["jobcore/job"]["status"] == "killed", result


async def cancel(driver):
    """a call that is cancelled cancels nothing else"""
    job = await driver.start("exec sleep 1000")
    wait = asyncio.create_task(driver.ok("wait", job_ids=[job], wait_s=50))
    await driver.ok("list")
    wait.cancel()
    await asyncio.wait([wait])
    assert wait.cancelled(), wait
    assert (await driver.ok("status", job_id=job)).structured_content["status"] == "running"
    await driver.ok("kill", job_id=job, grace_s=1)


async def at_once(driver):
    """many calls at once are all answered, each with its own job"""
    calls = [driver.ok("execute", command=f"echo {number}", wait_s=50, format="json") for number in range(30)]
    written = [result.structured_content["stdout"] for result in await asyncio.gather(*calls)]
    assert written == [f"{number}\n" for number in range(30)], written


async def main():
    era, server = sys.argv[1:]
    async with connect(era, server) as client:
        assert (client.protocol_version >= "2026-07-28") == (era == "modern"), client.protocol_version
        driver = Driver(client)
        for check in [
            tools, execute, status, tail, interact, kill, listing, bounds, errors, progress, cancel, at_once,
        ]:
            await check(driver)
            print(f"  {check.__doc__}")


asyncio.run(main())
