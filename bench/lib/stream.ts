import { once } from "node:events"
import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { Client } from "pg"
import { type Target, uriOf } from "./target.ts"

export type StreamFigures = {
  readonly ms: number
  readonly bytes: number
  readonly rows: number
  /** Largest resident set of the target's process while rows flowed, and the one before; undefined where it is not sampled. */
  readonly rssBytesMax: number | undefined
  readonly rssBytesBefore: number | undefined
}

const sampleEveryMs = 20
const streamMsMax = 120_000

/** VmRSS of /proc/<pid>/status, which counts in units of 1024 bytes. */
function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kibibytes ?? 0) * 1024
}

/** Length of ReadyForQuery, which ends every answer. */
const readyBytes = 6
const tailBytes = 64

/**
 * Runs one statement and counts the bytes of its answer without looking into the rows, so that the reader costs next to
 * nothing. `pg` logs in, then the socket is read by hand. The command tag at the end proves that the result is whole.
 */
export async function stream(target: Target, sql: string): Promise<StreamFigures> {
  const client = new Client({ connectionString: uriOf(target), connectionTimeoutMillis: 10_000 })
  client.on("error", () => {})
  await client.connect()
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream
  socket.removeAllListeners("data")
  const before = target.pid === undefined ? undefined : residentBytes(target.pid)
  let rssBytesMax = before
  const sampler = setInterval(() => {
    if (target.pid !== undefined)
      rssBytesMax = Math.max(rssBytesMax ?? 0, residentBytes(target.pid))
  }, sampleEveryMs)
  try {
    const started = performance.now()
    const { bytes, tail } = await answer(socket, sql)
    const ms = performance.now() - started
    const rows = Number(/SELECT (\d+)\0Z/.exec(tail)?.[1] ?? Number.NaN)
    if (!Number.isInteger(rows)) throw new Error(`${target.name} did not answer with rows: ${tail}`)
    return { ms, bytes, rows, rssBytesMax, rssBytesBefore: before }
  } finally {
    clearInterval(sampler)
    socket.destroy()
  }
}

async function answer(
  socket: Socket,
  sql: string,
): Promise<{ readonly bytes: number; readonly tail: string }> {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.from("Q\0\0\0\0")
  head.writeInt32BE(4 + text.length, 1)
  let bytes = 0
  let tail: Buffer = Buffer.alloc(0)
  const whole = new AbortController()
  socket.on("data", (chunk) => {
    bytes += chunk.length
    tail = chunk.length >= tailBytes ? chunk.subarray(-tailBytes) : Buffer.concat([tail, chunk])
    const end = tail.length - readyBytes
    // "Z", length 5, status; a row's bytes cannot be taken for it in the middle of text columns.
    if (end >= 0 && tail[end] === 0x5a && tail.readInt32BE(end + 1) === 5) whole.abort()
  })
  const deadline = AbortSignal.timeout(streamMsMax)
  socket.write(Buffer.concat([head, text]))
  await Promise.race([
    once(whole.signal, "abort"),
    once(socket, "close"),
    once(deadline, "abort").then(() => {
      throw new Error(`the answer did not end within ${streamMsMax} ms`)
    }),
  ])
  return { bytes, tail: tail.subarray(-tailBytes).toString("latin1") }
}
