"""Drives jobmcp with the `fastmcp` package, and with its client for tasks if the server supports them.

    drive_fastmcp.py legacy|modern SERVER

SERVER is the program, started on standard input and output, or the URL of a running one, with its token in JOBMCP_TOKEN.
"""

import asyncio
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

PATIENCE = 120
TASKS = "io.modelcontextprotocol/tasks"


def connect(era, server):
    mode = {"legacy": "legacy", "modern": "auto"}[era]
    if server.startswith("http"):
        return Client(server, auth=os.environ["JOBMCP_TOKEN"], mode=mode, timeout=PATIENCE)
    environment = {"JOBCORE_STORE": os.environ["JOBCORE_STORE"]}
    return Client(StdioTransport(server, [], env=environment, keep_alive=False), mode=mode, timeout=PATIENCE)


async def execute(client):
    """execute answers with the end of a short command"""
    result = await client.call_tool("execute", {"command": "echo ä日🦀; exit 3", "wait_s": 50})
    assert result.meta["jobcore/job"]["exit_code"] == 3 and "ä日🦀" in result.content[0].text, result


async def status(client):
    """status and list become objects with all their fields, which this client builds from their schemas"""
    arguments = {"command": "exec sleep 1000", "wait_s": 0, "name": "sleeper", "group": "some"}
    job = (await client.call_tool("execute", arguments)).meta["jobcore/job"]
    result = await client.call_tool("status", {"job_id": job["job_id"]})
    assert result.data.status == "running" and result.data.group == "some", result
    listed = await client.call_tool("list", {"status": ["running"]})
    assert [(entry.name, entry.status) for entry in listed.data.jobs] == [("sleeper", "running")], listed
    killed = await client.call_tool("kill", {"job_id": job["job_id"], "grace_s": 1})
    assert killed.structured_content["results"][0]["status"] == "killed", killed


async def errors(client):
    """an error of the tool is raised with its message"""
    try:
        await client.call_tool("status", {"job_id": "nosuch"})
        raise AssertionError("a job that does not exist was found")
    except ToolError as error:
        assert "no job matches" in str(error), error


async def task(era, server):
    """a command that outlives its grace is a task, which ends as the call would have"""
    # Makes every client from here on support tasks.
    import fastmcp_tasks

    go = os.path.join(os.path.dirname(os.environ["JOBCORE_STORE"]), f"go-{os.getpid()}")
    line = "echo begun; while [ ! -e \"$GO\" ]; do sleep 0.05; done; exit 4"
    async with connect(era, server) as client:
        arguments = {"command": line, "env": {"GO": go}, "wait_s": 0.1}
        handle = await fastmcp_tasks.call_tool_task(client, "execute", arguments)
        assert (await handle.status()).status == "working"
        # The task is the job, for every tool.
        looked = await client.call_tool("status", {"job_id": handle.task_id})
        assert looked.structured_content["status"] == "running", looked
        open(go, "w").close()
        ended = await handle.result()
        assert ended.meta["jobcore/job"]["exit_code"] == 4 and "begun" in ended.content[0].text, ended


async def main():
    era, server = sys.argv[1:]
    async with connect(era, server) as client:
        assert (client.protocol_version >= "2026-07-28") == (era == "modern"), client.protocol_version
        for check in [execute, status, errors]:
            await check(client)
            print(f"  {check.__doc__}")
        has_tasks = TASKS in (client.server_capabilities.extensions or {})
    # Tasks exist only in the modern era, and over HTTP this client leaves out a header that they need.
    if era == "legacy" or server.startswith("http"):
        return
    if has_tasks:
        await task(era, server)
        print(f"  {task.__doc__}")
    else:
        print("  TASKS: not built, skipped")


asyncio.run(main())
