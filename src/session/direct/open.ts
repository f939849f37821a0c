import type { DirectConnection } from "../../core/direct.ts"
import { GatewayError } from "../../core/errors.ts"
import type { Parameters } from "../../core/parameters.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { Statement } from "../../core/statement.ts"
import { boundForDirect } from "../../pipeline/bind-session.ts"
import { admit } from "../../pipeline/direct.ts"
import {
  bindMessage,
  executeMessage,
  flushMessage,
  parseMessage,
  queryMessage,
  syncMessage,
} from "../../wire/frontend-encoder.ts"
import type { NamedObjects } from "../named-objects.ts"
import type { SessionState } from "../session-state.ts"
import { sessionValues } from "../session-values.ts"
import { backend, errorField } from "./direct-messages.ts"
import { ownText } from "./own-text.ts"
import { signalOf, signalText } from "./signals.ts"

/**
 * Opens a connection of the session's own and brings it to where the session stands: settings, prepared statements, the
 * open transaction with its savepoints, portals that were bound and not run yet. Rejects with the warehouse's first error, and
 * then nothing is left open.
 */
export async function openDirect(
  state: SessionState,
  objects: NamedObjects,
): Promise<DirectConnection> {
  const { settings, origin, abort } = state
  const connection = await origin.rooms.router.openDirect({
    startupSettings: settings.toldAtStartup,
    signal: abort.signal,
  })
  try {
    await bringUp(connection, state, objects)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

async function bringUp(
  connection: DirectConnection,
  state: SessionState,
  objects: NamedObjects,
): Promise<void> {
  const { settings, transaction } = state
  const atStart = settings.told(transaction.start)
  let told: ReadonlyMap<string, string> = settings.toldAtStartup
  await settle(connection, setMessages(changes(told, atStart.session), false))
  told = atStart.session
  for (const { name, statement, parameterTypes } of objects.allPrepared()) {
    const parse = parseMessage(textOf(statement, state), parameterTypes, name)
    // What does not parse any more says so when it is used.
    await converse(connection, Buffer.concat([parse, syncMessage]), backend.readyForQuery)
  }
  if (transaction.isExplicit) {
    await settle(connection, [queryMessage(beginText(state))])
    for (const { name, mark } of transaction.savepoints) {
      const layers = settings.told(mark)
      await settle(connection, layerMessages(told, layers))
      told = layers.session
      await settle(connection, [queryMessage(`SAVEPOINT "${name.replaceAll('"', '""')}"`)])
    }
    await settle(connection, layerMessages(told, settings.told()))
  }
  for (const { name, prepared, parameters, formats } of objects.unexecutedPortals()) {
    const bind = bindMessage(parameters, formats, { portal: name, statement: prepared.name })
    const bytes = Buffer.concat([bind, flushMessage])
    const error = await converse(connection, bytes, backend.bindComplete)
    if (error !== undefined) throw error
  }
}

/**
 * The text under which the warehouse may keep a statement that was prepared before: judged as all others are, because from now
 * on only its name is sent. What is refused is a text that fails, and so the name is unknown when it is used.
 */
function textOf(statement: Statement | undefined, state: SessionState): string {
  if (statement === undefined) return ""
  const { identity, rooms } = state.origin
  const signal = signalOf(statement)
  if (signal !== undefined) return signalText(signal)
  const snapshot = rooms.catalog.current()
  if (snapshot === undefined) return refusedText
  try {
    const bound = boundForDirect(statement, () => sessionValues(state, true))
    const context = {
      identity,
      searchPath: state.settings.view.searchPath,
      ownNames: new Set<string>(),
    }
    admit(bound, context, snapshot, rooms)
    return ownText(bound, state) ?? bound.text
  } catch {
    return refusedText
  }
}

const refusedText = "refused"

function beginText({ transaction }: SessionState): string {
  const { isolation, mode } = transaction
  const parts = ["BEGIN"]
  if (isolation !== undefined) parts.push(`ISOLATION LEVEL ${isolation.toUpperCase()}`)
  if (mode?.readOnly !== undefined) parts.push(mode.readOnly ? "READ ONLY" : "READ WRITE")
  if (mode?.deferrable !== undefined) parts.push(mode.deferrable ? "DEFERRABLE" : "NOT DEFERRABLE")
  return parts.join(" ")
}

type Changes = readonly (readonly [name: string, value: string])[]

function changes(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): Changes {
  return [...to].filter(([name, value]) => from.get(name) !== value)
}

function layerMessages(
  told: ReadonlyMap<string, string>,
  layers: {
    readonly session: ReadonlyMap<string, string>
    readonly local: ReadonlyMap<string, string>
  },
): readonly Buffer[] {
  return [
    ...setMessages(changes(told, layers.session), false),
    ...setMessages([...layers.local], true),
  ]
}

const textType = 25

/** Values are bound, never spliced. */
function setMessages(values: Changes, isLocal: boolean): readonly Buffer[] {
  if (values.length === 0) return []
  const calls = values.map(
    (_, index) => `pg_catalog.set_config($${2 * index + 1}, $${2 * index + 2}, ${isLocal})`,
  )
  const bound = values.flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)])
  const parameters: Parameters = { types: bound.map(() => textType), formats: [], values: bound }
  return [
    parseMessage(`SELECT ${calls.join(", ")}`, parameters.types),
    bindMessage(parameters, []),
    executeMessage,
    syncMessage,
  ]
}

/** Sends messages that end in one ReadyForQuery each time and waits for all of them; rejects with the first error. */
async function settle(connection: DirectConnection, messages: readonly Buffer[]): Promise<void> {
  if (messages.length === 0) return
  const ends = messages.filter((message) => message[0] === 0x53 || message[0] === 0x51).length
  let bytes: Buffer = Buffer.concat(messages)
  let failure: GatewayError | undefined
  for (let end = 0; end < ends; end += 1) {
    const error = await converse(connection, bytes, backend.readyForQuery)
    failure ??= error
    bytes = Buffer.alloc(0)
  }
  if (failure !== undefined) throw failure
}

/** Sends and reads until a message of type `until`; gives back the warehouse's error, if there was one. */
export async function converse(
  connection: DirectConnection,
  bytes: Buffer,
  until: number,
  visit: (frame: Buffer) => void = () => {},
): Promise<GatewayError | undefined> {
  if (bytes.length > 0) await connection.send(bytes)
  let error: GatewayError | undefined
  for (;;) {
    const frame = await connection.next()
    if (frame === undefined) throw error ?? connectionEnded()
    if (frame[0] === backend.errorResponse) error = errorOf(frame)
    else visit(frame)
    // An error skips what was to come, so that only a Sync's answer is certain to follow.
    if (frame[0] === until || (error !== undefined && until === backend.bindComplete)) return error
  }
}

function errorOf(frame: Buffer): GatewayError {
  return new GatewayError({
    sqlState: errorField(frame, "C") ?? SqlState.InternalError,
    reason: "warehouse_error",
    message: errorField(frame, "M") ?? "the warehouse reported an error without a text",
  })
}

export function connectionEnded(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: "the connection to the warehouse was lost",
  })
}
