"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");

/** Replaces this process with the program `name` from the package for this platform. */
module.exports = function launch(name) {
  const platform = `jobmcp-${process.platform}-${process.arch}`;
  let program;
  try {
    program = require.resolve(`${platform}/bin/${name}`);
  } catch {
    console.error(`error: the package ${platform} is not installed`);
    console.error("hint: install jobmcp again without `--omit=optional`; it is available for Linux on x64 and arm64");
    process.exit(1);
  }
  const args = process.argv.slice(2);
  if (process.execve) {
    process.execve(program, [program, ...args], process.env);
  }
  // Node before 22.15 cannot exec: it stays as the parent, and passes signals on.
  const child = spawn(program, args, { stdio: "inherit" });
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => {
    console.error(`error: cannot start ${program}: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
};
