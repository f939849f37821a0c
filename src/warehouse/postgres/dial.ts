import type { EventEmitter } from "node:events"
import type { Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import { Client } from "pg"
import { connectFailed } from "./error-map.ts"

export type DialTarget = {
  /** Name of the warehouse, for messages. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  /** undefined = plain. */
  readonly tls: ConnectionOptions | undefined
  /** sslmode=prefer: plain when the server has no TLS. */
  readonly isTlsOptional: boolean
  readonly applicationName: string
  /** Settings that the server's session starts with, and that RESET goes back to. */
  readonly startupSettings: ReadonlyMap<string, string>
}

/** Connections that several sessions share can write nothing from the start, so that no reset of settings makes them able to. */
export const readOnlySettings: ReadonlyMap<string, string> = new Map([
  ["default_transaction_read_only", "on"],
])

/** libpq's spelling of startup options: a backslash keeps the next character from ending the word (PostgreSQL manual, 32.1.2). */
export function startupOptions(settings: ReadonlyMap<string, string>): string {
  return [...settings]
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/([\\\s])/g, "\\$1")}`)
    .join(" ")
}

/** A logged-in connection whose socket nobody reads any more. */
export type Dialled = {
  readonly socket: Socket
  readonly processId: number
  readonly secretKey: Buffer
  /** ParameterStatus values by name, as they stand after the log-in. */
  readonly parameters: Map<string, string>
  /** TLS options in use; undefined = plain. */
  readonly tls: ConnectionOptions | undefined
}

/** The parts of `pg`'s Client that its types do not name. */
type PgClient = Client & {
  readonly connection: EventEmitter & { readonly stream: Socket }
  readonly processID: number
  readonly secretKey: number
}

const keepAliveInitialDelayMs = 30_000
const parametersMax = 1_000
const noTlsText = "The server does not support SSL connections"

/**
 * Connects and logs in with `pg` (TLS, SCRAM, md5), then takes the raw socket over. Rejects with 08006, or the signal's
 * reason.
 */
export async function dial(target: DialTarget, signal: AbortSignal): Promise<Dialled> {
  try {
    return await dialOnce(target, target.tls, signal)
  } catch (error) {
    signal.throwIfAborted()
    const isPlainServer = error instanceof Error && error.message === noTlsText
    if (!isPlainServer || !target.isTlsOptional) throw connectFailed(target.name, error)
  }
  try {
    return await dialOnce(target, undefined, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw connectFailed(target.name, error)
  }
}

function makeClient(target: DialTarget, tls: ConnectionOptions | undefined): PgClient {
  const client = new Client({
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    password: target.password ?? "",
    ssl: tls ?? false,
    application_name: target.applicationName,
    client_encoding: "UTF8",
    options: startupOptions(target.startupSettings),
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveInitialDelayMs,
  }) as unknown as PgClient
  // Errors reach us through connect(), and later through the socket itself.
  client.on("error", () => {})
  return client
}

function dialOnce(
  target: DialTarget,
  tls: ConnectionOptions | undefined,
  signal: AbortSignal,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    const client = makeClient(target, tls)
    const parameters = new Map<string, string>()
    client.connection.on(
      "parameterStatus",
      (message: { parameterName: string; parameterValue: string }) => {
        if (parameters.size < parametersMax)
          parameters.set(message.parameterName, message.parameterValue)
      },
    )
    const onAbort = (): void => {
      client.connection.stream.destroy()
      reject(signal.reason as Error)
    }
    signal.addEventListener("abort", onAbort, { once: true })
    // The callback runs while `pg` handles ReadyForQuery: no later byte can reach its parser.
    client.connect((error: Error | undefined) => {
      signal.removeEventListener("abort", onAbort)
      const { stream } = client.connection
      if (error) {
        stream.destroy()
        reject(error)
        return
      }
      stream.removeAllListeners("data")
      const secretKey = Buffer.allocUnsafe(4)
      secretKey.writeInt32BE(client.secretKey | 0, 0)
      resolve({ socket: stream, processId: client.processID, secretKey, parameters, tls })
    })
  })
}
