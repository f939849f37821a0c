import { createConnection, type Socket } from "node:net"
import { query, saslInitialResponse, saslResponse, startup } from "../support/frontend-encoder.ts"
import type { RunningGateway } from "../support/gateway.ts"
import { ScramClient } from "../support/scram-client.ts"
import { textRows, WireClient } from "../support/wire-client.ts"
import { Dice, mutated, pieces } from "./mutate.ts"

export type FuzzResult = {
  readonly conversations: number
  readonly messages: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly durationMs: number
  /** How often the gateway was asked in between whether it is well. */
  readonly healthChecks: number
}

/** A conversation that the gateway has neither ended nor answered to the end by then hangs. */
const conversationMsMax = 10_000
const healthMsMax = 1_000
const healthEvery = 500
/** Conversations that a session is used for before it is given up, when it survives them. */
const perSession = 8
/** An unfinished message is answered by nobody: the next conversation starts then. */
const answerMsMax = 3

type Totals = { -readonly [Key in keyof FuzzResult]: FuzzResult[Key] }

/** One lane: a session at a time, mutated conversations through it, until its share is done. */
async function lane(
  gateway: RunningGateway,
  dice: Dice,
  share: { readonly count: number; readonly database: string },
  totals: Totals,
): Promise<void> {
  let left = share.count
  while (left > 0) {
    const isBeforeLogin = dice.below(10) === 0
    const count = isBeforeLogin ? 1 : Math.min(left, perSession)
    if (isBeforeLogin) await loginConversation(gateway, dice, share.database, totals)
    const held = isBeforeLogin
      ? 1
      : await sessionConversations(gateway, dice, { ...share, count }, totals)
    left -= held
  }
}

/** The login itself, mutated: the same conversation that a driver has, with changes in any of its three messages. */
async function loginConversation(
  gateway: RunningGateway,
  dice: Dice,
  database: string,
  totals: Totals,
): Promise<void> {
  const scram = new ScramClient(gateway.password)
  const sound = [
    startup({ user: gateway.user, database }, { minor: dice.below(4) }),
    saslInitialResponse("SCRAM-SHA-256", scram.first()),
    saslResponse(Buffer.from("c=biws,r=abc,p=AAAA")),
  ]
  const victim = dice.below(sound.length)
  const message = Buffer.from(sound[victim] ?? Buffer.alloc(0))
  for (let changes = 1 + dice.below(4); changes > 0; changes -= 1)
    message[dice.below(message.length)] = dice.below(256)
  sound[victim] = dice.below(3) === 0 ? message.subarray(0, dice.below(message.length)) : message
  const socket = createConnection({ port: gateway.port, host: "127.0.0.1", noDelay: true })
  totals.conversations += 1
  totals.messages += sound.length
  await sent(socket, pieces(sound, dice), totals)
}

/** Resolves with the number of conversations that the session took before one of them ended it. */
async function sessionConversations(
  gateway: RunningGateway,
  dice: Dice,
  share: { readonly count: number; readonly database: string },
  totals: Totals,
): Promise<number> {
  const { port, user, password } = gateway
  const client = await WireClient.connect({ port, user, password, database: share.database })
  const { socket } = client
  socket.removeAllListeners("data")
  let hasEnded = false
  socket.once("end", () => {
    hasEnded = true
  })
  for (let index = 1; ; index += 1) {
    const messages = mutated(dice)
    totals.conversations += 1
    totals.messages += messages.length
    const parts = pieces(messages, dice)
    if (index === share.count) {
      await sent(socket, parts, totals)
      return index
    }
    for (const part of parts) written(socket, part, totals)
    await answered(socket, totals)
    if (!hasEnded) continue
    await sent(socket, [], totals)
    return index
  }
}

/** Something came back, or the end, or nothing for a while. */
async function answered(socket: Socket, totals: Totals): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const onData = (chunk: Buffer): void => {
    totals.bytesReceived += chunk.length
    resolve()
  }
  const timer = setTimeout(resolve, answerMsMax)
  socket.on("data", onData).once("end", resolve).once("close", resolve)
  await promise
  clearTimeout(timer)
  socket.off("data", onData).off("end", resolve).off("close", resolve)
}

function written(socket: Socket, part: Buffer, totals: Totals): void {
  totals.bytesSent += part.length
  if (!socket.destroyed && socket.writable) socket.write(part)
}

/** Sends, closes the sending side or resets, and waits for the end of the connection. */
async function sent(socket: Socket, parts: readonly Buffer[], totals: Totals): Promise<void> {
  socket.on("error", () => {})
  socket.on("data", (chunk: Buffer) => {
    totals.bytesReceived += chunk.length
  })
  if (socket.destroyed) return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.on("close", () => resolve())
  const timer = setTimeout(
    () => reject(new Error(`a conversation was not over within ${conversationMsMax} ms`)),
    conversationMsMax,
  )
  for (const part of parts) {
    written(socket, part, totals)
    if (parts.length > 1 && parts.length < 4) await new Promise((done) => setImmediate(done))
  }
  if (!socket.destroyed) socket.end()
  try {
    await promise
  } finally {
    clearTimeout(timer)
  }
}

async function checkHealth(gateway: RunningGateway, database: string): Promise<void> {
  const startMs = performance.now()
  const { port, user, password } = gateway
  const client = await WireClient.connect({ port, user, password, database })
  const [[value] = []] = textRows(await client.query(query("SELECT 40 + 2")))
  await client.end()
  const durationMs = performance.now() - startMs
  if (value !== "42" || durationMs > healthMsMax)
    throw new Error(`a fresh client got ${value} after ${Math.round(durationMs)} ms`)
}

/** Mutated conversations through a gateway process, over some connections at once. Rejects at the first sign of harm. */
export async function fuzzGateway(
  gateway: RunningGateway,
  options: { readonly count: number; readonly seed: number; readonly database: string },
): Promise<FuzzResult> {
  const { database, seed } = options
  const lanes = 4
  const totals: Totals = {
    conversations: 0,
    messages: 0,
    bytesSent: 0,
    bytesReceived: 0,
    durationMs: 0,
    healthChecks: 0,
  }
  const startMs = performance.now()
  for (let round = 0; totals.conversations < options.count; round += 1) {
    const share = Math.min(healthEvery, options.count - totals.conversations)
    const laneCount = Math.ceil(share / lanes)
    await Promise.all(
      Array.from({ length: lanes }, (_, index) =>
        lane(
          gateway,
          new Dice(seed + 7_919 * round + 104_729 * index),
          { count: laneCount, database },
          totals,
        ),
      ),
    )
    await checkHealth(gateway, database)
    totals.healthChecks += 1
  }
  totals.durationMs = performance.now() - startMs
  return totals
}
