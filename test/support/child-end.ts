import type { ChildProcess } from "node:child_process"

const running = new Set<ChildProcess>()
let isHooked = false

function killAll(): void {
  for (const child of running) child.kill("SIGKILL")
}

/** Takes the child along when this process ends, be it by itself, by Control-C or by SIGTERM. */
export function endWithThisProcess(child: ChildProcess): void {
  running.add(child)
  child.once("exit", () => running.delete(child))
  if (isHooked) return
  isHooked = true
  process.on("exit", killAll)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      killAll()
      process.kill(process.pid, signal)
    })
}
