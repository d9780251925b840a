// Drives jobmcp with the TypeScript client: `node drive.mjs legacy|modern SERVER`.
// SERVER is the program, started on standard input and output, or the URL of a running one, with its token in
// JOBMCP_TOKEN.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [era, server] = process.argv.slice(2);
const { JOBCORE_STORE, JOBMCP_TOKEN, PATH } = process.env;
// However slow the machine is, a call is answered within this time.
const timeout = 120_000;

const transport = server.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(server), {
      requestInit: { headers: { Authorization: `Bearer ${JOBMCP_TOKEN}` } },
    })
  : new StdioClientTransport({ command: server, env: { JOBCORE_STORE, PATH } });
const mode = era === "modern" ? { pin: "2026-07-28" } : "legacy";
const client = new Client({ name: "drive", version: "0" }, { versionNegotiation: { mode } });

const call = (name, args, options) => client.callTool({ name, arguments: args }, { timeout, ...options });
const job = (result) => result._meta["jobcore/job"];
async function ok(name, args, options) {
  const result = await call(name, args, options);
  assert.notEqual(result.isError, true, `${name}: ${result.content[0].text}`);
  return result;
}

const checks = {
  "every schema compiles, and every tool has a title": async () => {
    const { tools } = await client.listTools();
    assert.ok(tools.length >= 7);
    for (const tool of tools) assert.ok(tool.title && tool.description && tool.annotations, tool.name);
  },
  "execute answers with the end of a short command": async () => {
    const result = await ok("execute", { command: "echo ä日🦀; exit 3", wait_s: 50 });
    assert.equal(job(result).exit_code, 3);
    assert.match(result.content[0].text, /ä日🦀/);
  },
  "status and list keep to their schemas": async () => {
    const { job_id } = job(await ok("execute", { command: "exec sleep 1000", wait_s: 0 }));
    assert.equal((await ok("status", { job_id })).structuredContent.status, "running");
    const listed = (await ok("list", { status: ["running"] })).structuredContent;
    assert.equal(listed.jobs.length, 1);
    const killed = (await ok("kill", { job_id, grace_s: 1 })).structuredContent;
    assert.equal(killed.results[0].status, "killed");
    assert.equal((await ok("status", { job_id })).structuredContent.status, "killed");
  },
  "interact types into a job": async () => {
    const { job_id } = job(await ok("execute", { command: "cat", stdin: "open", wait_s: 0 }));
    const answer = await ok("interact", { job_id, input: "ä日", wait_s: 50, format: "json" });
    assert.equal(answer.structuredContent.stdout, "ä日\n");
    await ok("interact", { job_id, eof: true, wait_s: 0 });
    assert.equal(job(await ok("wait", { job_ids: [job_id], wait_s: 50 })).exit_code, 0);
  },
  "an error of the tool is a result, and one of the protocol is thrown": async () => {
    const result = await call("status", { job_id: "nosuch" });
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, /no job matches/);
    await assert.rejects(call("nosuch", {}), /execute/);
  },
  "progress holds up the timeout of a call, and cancelling it ends no job": async () => {
    const { job_id } = job(await ok("execute", { command: "exec sleep 1000", wait_s: 0 }));
    const gone = new AbortController();
    // A notification of progress comes every 5 seconds.
    const onprogress = () => gone.abort("enough");
    const options = { onprogress, signal: gone.signal };
    await assert.rejects(call("wait", { job_ids: [job_id], wait_s: 50 }, options), /enough/);
    assert.equal((await ok("status", { job_id })).structuredContent.status, "running");
    await ok("kill", { job_id, grace_s: 1 });
  },
};

await client.connect(transport, { timeout });
assert.equal(client.getProtocolEra(), era);
for (const [what, check] of Object.entries(checks)) {
  await check();
  console.log(`  ${what}`);
}
await client.close();
