import { connect as connectTcp, isIP, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"
import { cancelRequest, sslRequest } from "../../wire/frontend-encoder.ts"

export type CancelTarget = {
  readonly host: string
  readonly port: number
  /** As the connection itself uses it; undefined = plain. */
  readonly tls: ConnectionOptions | undefined
  readonly processId: number
  readonly secretKey: Buffer
}

/**
 * - `delivered`: the server has read the request and closed the connection: no signal of ours is under way any more.
 * - `not_sent`: the request never left.
 * - `unknown`: it may still arrive, so that the backend must not serve anybody else.
 */
export type CancelOutcome = "delivered" | "not_sent" | "unknown"

/**
 * Sends a CancelRequest on a connection of its own (PostgreSQL manual, 54.2.8). The server closes that connection after it
 * has signalled the backend, which is the only proof that the signal will not hit a later statement. Never rejects.
 */
export function sendCancel(target: CancelTarget, timeoutMs: number): Promise<CancelOutcome> {
  return new Promise((resolve) => {
    let isSent = false
    const sockets: Socket[] = []
    const finish = (outcome: CancelOutcome): void => {
      clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
      resolve(outcome)
    }
    const fail = (): void => finish(isSent ? "unknown" : "not_sent")
    const timer = setTimeout(fail, timeoutMs)
    const watch = (socket: Socket): Socket => {
      sockets.push(socket)
      return socket.on("error", fail).on("close", () => finish(isSent ? "delivered" : "not_sent"))
    }
    const send = (socket: Socket): void => {
      isSent = true
      // Without reading, the end of the stream is never seen.
      socket.resume()
      socket.write(cancelRequest(target.processId, target.secretKey))
    }
    const isPath = target.host.startsWith("/")
    const plain = watch(
      isPath
        ? connectTcp(`${target.host}/.s.PGSQL.${target.port}`)
        : connectTcp(target.port, target.host),
    )
    const { tls } = target
    if (tls === undefined) {
      plain.once("connect", () => send(plain))
      return
    }
    plain.once("connect", () => plain.write(sslRequest()))
    plain.once("data", (answer: Buffer) => {
      if (answer.toString("latin1") !== "S") return fail()
      const serverName = isIP(target.host) === 0 ? { servername: target.host } : {}
      const secure = connectTls({ ...tls, ...serverName, host: target.host, socket: plain })
      secure.once("secureConnect", () => send(secure))
      watch(secure)
    })
  })
}

/** A cancel that came before its statement did nothing: it is sent again at this interval until the statement ends. */
const cancelRepeatMs = 200

/** Cancels until `over` is aborted. `unknown`: a request may still be under way, and the backend must serve nobody else. */
export async function cancelUntil(
  target: CancelTarget,
  timeoutMs: number,
  over: AbortSignal,
): Promise<"done" | "unknown"> {
  while (!over.aborted) {
    const outcome = await sendCancel(target, timeoutMs)
    if (outcome === "unknown") return "unknown"
    await pause(cancelRepeatMs, over)
  }
  return "done"
}

function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (until.aborted) return resolve()
    const finish = (): void => {
      clearTimeout(timer)
      until.removeEventListener("abort", finish)
      resolve()
    }
    const timer = setTimeout(finish, ms)
    until.addEventListener("abort", finish)
  })
}
