import { connect as connectTcp, isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import { cancelRequest, sslRequest } from "./frontend-messages.ts"

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
      // Without reading, the end of the stream is never seen.
      return socket
        .on("error", fail)
        .on("end", () => finish(isSent ? "delivered" : "not_sent"))
        .on("close", fail)
    }
    const send = (socket: Socket): void => {
      isSent = true
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
