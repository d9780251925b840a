// Notifies an idle session of opencode when a background job ends that was submitted from its project.
//
// Put this file into ~/.config/opencode/plugin/ or .opencode/plugin/. It needs `jobcli` in the PATH.

import { spawn } from "node:child_process"

// The hook exits with 2 when a job has ended, and describes it on standard error. Only one hook waits at a time.
const nextEnd = (directory) =>
  new Promise((resolve) => {
    const hook = spawn("jobcli", ["hook", "opencode", "stop"], { cwd: directory, stdio: ["pipe", "ignore", "pipe"] })
    let said = ""
    hook.stderr.on("data", (data) => (said += data))
    hook.on("error", () => resolve(undefined))
    hook.on("close", (code) => resolve(code === 2 ? said : undefined))
    hook.stdin.on("error", () => {})
    hook.stdin.end(JSON.stringify({ hook_event_name: "session.idle", cwd: directory }))
  })

export const Jobcore = async ({ client, directory }) => ({
  event: async ({ event }) => {
    if (event.type !== "session.idle") return
    const id = event.properties.sessionID
    // Not awaited: opencode would wait for it.
    nextEnd(directory).then(async (text) => {
      if (text === undefined) return
      const session = await client.session.get({ path: { id } })
      // A subagent answers to its parent, which may have ended.
      const target = session.data?.parentID ?? id
      await client.session.promptAsync({ path: { id: target }, body: { parts: [{ type: "text", text, synthetic: true }] } })
    })
  },
})
