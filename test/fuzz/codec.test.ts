import { deepEqual, ok } from "node:assert/strict"
import { it } from "node:test"
import { GatewayError, InvariantViolation } from "../../src/core/errors.ts"
import { FrameSplitter } from "../../src/wire/frame-splitter.ts"
import { decodeFrontend } from "../../src/wire/frontend-decoder.ts"
import { Dice, mutated, pieces } from "./mutate.ts"

/** Conversations; a long run sets it higher. */
const count = Number(process.env["FUZZ_CODEC"] ?? 20_000)
const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_121)
const messageBytesMax = 1 << 20

/** What the decoder makes of a frame, in short; a bug of ours is thrown on. */
function decoded(splitter: FrameSplitter): string {
  const { type, bytes, start, end } = splitter
  ok(start <= end && end <= bytes.length)
  try {
    return decodeFrontend(type, bytes, start, end).kind
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown instanceof InvariantViolation) throw thrown
    return `${thrown.severity} ${thrown.sqlState} ${thrown.message}`
  }
}

/** Everything found in the chunks, up to the first error that ends the stream. */
function read(chunks: readonly Buffer[]): string[] {
  const splitter = new FrameSplitter({ messageBytesMax })
  const found: string[] = []
  let sentBytes = 0
  try {
    for (const chunk of chunks) {
      splitter.push(chunk)
      sentBytes += chunk.length
      while (splitter.next()) found.push(decoded(splitter))
      ok(splitter.pendingBytes <= sentBytes)
    }
    found.push(`waits with ${splitter.pendingBytes}`)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown instanceof InvariantViolation) throw thrown
    found.push(`${thrown.severity} ${thrown.sqlState} ${thrown.message}`)
  }
  return found
}

it("mutated conversations are decoded or refused, the same however they are cut into pieces", (test) => {
  const kinds = new Map<string, number>()
  for (let index = 0; index < count; index += 1) {
    const dice = new Dice(seed + index)
    const messages = mutated(dice)
    const whole = read([Buffer.concat([...messages])])
    const parts = read(pieces(messages, dice))
    const bytewise = read(
      Array.from(Buffer.concat([...messages]), (byte) => Buffer.from([byte])).slice(0, 2_000),
    )
    try {
      deepEqual(parts, whole)
      if (Buffer.concat([...messages]).length <= 2_000) deepEqual(bytewise, whole)
    } catch (thrown) {
      throw new Error(`seed ${seed + index}`, { cause: thrown })
    }
    const last = whole.at(-1) ?? ""
    const kind = last.startsWith("FATAL") ? "ended" : "went on"
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  test.diagnostic(`${count} conversations: ${JSON.stringify(Object.fromEntries(kinds))}`)
  // Both ways must be taken, or the mutations have stopped doing anything.
  ok((kinds.get("ended") ?? 0) > count / 20 && (kinds.get("went on") ?? 0) > count / 20)
})
