import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { connect } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { endWithThisProcess } from "../../test/support/child-end.ts"

const stopWaitMsMax = 10_000
const startWaitMsMax = 30_000
const outputCharsMax = 20_000

export type PeerProcess = {
  readonly pid: number
  readonly child: ChildProcess
  /** Newest output, for an error's text. */
  output(): string
  /** Resolves when it has ended and all its output was read. */
  readonly ended: Promise<void>
  /** `signal`, then SIGKILL after ten seconds. Harmless when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

export type SpawnOptions = {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly ids?: { readonly uid?: number; readonly gid?: number }
}

/** A child that goes with this process; nothing of it is inherited but its output, which is kept for errors. */
export function spawnPeer(options: SpawnOptions): PeerProcess {
  const child = spawn(options.command, options.args, {
    ...options.ids,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let text = ""
  const keep = (chunk: string): void => {
    text = (text + chunk).slice(-outputCharsMax)
  }
  child.once("error", (error) => keep(`${error.message}\n`))
  child.stdout.setEncoding("utf8").on("data", keep)
  child.stderr.setEncoding("utf8").on("data", keep)
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve())
    child.once("error", () => resolve())
  })
  endWithThisProcess(child)
  return {
    pid: child.pid ?? 0,
    child,
    output: () => text,
    ended,
    stop: async (signal = "SIGTERM") => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
      child.kill(signal)
      const timer = setTimeout(() => child.kill("SIGKILL"), stopWaitMsMax)
      await ended
      clearTimeout(timer)
    },
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1")
  try {
    await once(socket, "connect")
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Waits until the port takes connections; rejects with the process's output when it ends before that or stays silent. */
export async function untilListening(name: string, peer: PeerProcess, port: number): Promise<void> {
  const deadline = performance.now() + startWaitMsMax
  while (performance.now() < deadline) {
    if (peer.child.exitCode !== null || peer.pid === 0)
      throw new Error(`${name} ended with ${peer.child.exitCode}:\n${peer.output()}`)
    if (await accepts(port)) return
    await sleep(50)
  }
  throw new Error(`${name} did not listen within ${startWaitMsMax} ms:\n${peer.output()}`)
}
