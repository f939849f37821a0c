#!/usr/bin/env node
// Launches Sluice. CommonJS on purpose: modules of this kind are read without the thread pool, so that its size can still be
// set here, before anything starts it. DuckDB holds one thread of the pool for each running query; the default of four
// would let files and DNS look-ups wait behind them.
"use strict"
const { existsSync } = require("node:fs")
const { join } = require("node:path")
const { spawn } = require("node:child_process")
const { pathToFileURL } = require("node:url")

const root = join(__dirname, "..")
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const isNewEnough = major > 24 || (major === 24 && minor >= 11)

if (isNewEnough) {
  process.env.UV_THREADPOOL_SIZE ??= "16"
  const source = join(root, "src", "main.ts")
  const main = existsSync(source) ? source : join(root, "dist", "main.js")
  import(pathToFileURL(main).href).catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
} else {
  // npm installs a newer Node beside the dependencies; npm and npx find it by themselves, a direct call does not.
  const own = join(root, "node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node")
  if (!existsSync(own)) {
    console.error(`sluice needs Node 24.11 or newer; this is ${process.version}. Run npm ci first.`)
    process.exit(1)
  }
  const child = spawn(own, [__filename, ...process.argv.slice(2)], { stdio: "inherit" })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
