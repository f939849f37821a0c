import { GatewayError, toGatewayError } from "../../core/errors.ts"
import { noParameters, type Parameters } from "../../core/parameters.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { BackendSignal, Statement } from "../../core/statement.ts"
import type { TransactionStatus } from "../../wire/backend-messages.ts"
import type {
  BindMessage,
  CloseMessage,
  ParseMessage,
  QueryMessage,
} from "../../wire/frontend-messages.ts"
import type { Output } from "../output.ts"
import { remarkMessage } from "../remark-message.ts"
import type { SessionState } from "../session-state.ts"
import { type SignalAnswer, sendSignal, signalParameterTypes } from "../signal-backend.ts"

/**
 * pg_cancel_backend and pg_terminate_backend in a session that writes. Process ids are virtual, so that the warehouse never sees
 * the call: the signal is sent here when the statement is run, and a SELECT of its answer goes in its place.
 */

export function signalOf(statement: Statement | undefined): BackendSignal | undefined {
  const statementClass = statement?.class
  if (statementClass?.kind !== "session") return undefined
  return statementClass.command.kind === "signal_backend" ? statementClass.command : undefined
}

/** Types of the statement's parameters (pg_type.dat), to keep them what they were. */
const typeNames: ReadonlyMap<number, string> = new Map([
  [19, "name"],
  [20, "int8"],
  [23, "int4"],
  [25, "text"],
])

/** The text that is prepared: it answers `t`, with the same parameters. */
export function signalText(command: BackendSignal): string {
  const parameters = signalParameterTypes(command).map(
    (oid, index) => `$${index + 1}::pg_catalog.${typeNames.get(oid) ?? "text"}`,
  )
  const from = parameters.length === 0 ? "" : ` FROM (SELECT ${parameters.join(", ")}) AS arguments`
  return `SELECT true AS ${quoted(command.label)}${from}`
}

/** The text of an answer that is known. */
function answerText({ label }: BackendSignal, { rows }: SignalAnswer): string {
  if (rows.length === 0) return `SELECT true AS ${quoted(label)} WHERE false`
  const values = rows.map((row) => (row === null ? "(NULL::bool)" : `(${row === "t"})`))
  return `SELECT * FROM (VALUES ${values.join(", ")}) AS answers (${quoted(label)})`
}

/** Sends the signal. Throws PostgreSQL's refusals; a session that terminates itself is ended, and FATAL is what it throws. */
function signalled(
  command: BackendSignal,
  state: SessionState,
  parameters: Parameters = noParameters,
): SignalAnswer {
  try {
    return sendSignal({ command, state, parameters })
  } catch (thrown) {
    const { registry, processId } = state.origin
    const isFatal = thrown instanceof GatewayError && thrown.severity === "FATAL"
    if (isFatal) registry.find(processId)?.terminateByAdministrator()
    throw thrown
  }
}

/** The warnings of an answer as messages. */
function warningsOf({ remarks }: SignalAnswer, minLevel: string): readonly Buffer[] {
  return remarks.flatMap((remark) => remarkMessage(remark, minLevel) ?? [])
}

/** A prepared statement's text was sent before its answer was known. */
function checkPlain({ rows }: SignalAnswer): void {
  if (rows.length === 1 && rows[0] === "t") return
  throw new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message:
      "no session was signalled, and a prepared statement of a session that writes cannot say so",
    hint: "Send it as a simple query, or from a session that has not written.",
  })
}

type Bound = { readonly signal: BackendSignal; readonly parameters: Parameters }

/** Which statements and portals are signals, and what is done when they are run. Bounded by the session's own limit of names. */
export class DirectSignals {
  readonly #state: SessionState
  readonly #output: Output
  readonly #prepared = new Map<string, BackendSignal>()
  readonly #portals = new Map<string, Bound>()

  /** What was prepared and bound before the session wrote counts, too. */
  constructor(state: SessionState, output: Output) {
    this.#state = state
    this.#output = output
    for (const { name, statement } of state.objects.allPrepared()) {
      const signal = signalOf(statement)
      if (signal !== undefined) this.#prepared.set(name, signal)
    }
    for (const { name, prepared, parameters } of state.objects.unexecutedPortals()) {
      const signal = signalOf(prepared.statement)
      if (signal !== undefined) this.#portals.set(name, { signal, parameters })
    }
  }

  /** A statement of this name that is no signal. */
  forget(name: string): void {
    this.#prepared.delete(name)
  }

  bind(message: BindMessage): void {
    const signal = this.#prepared.get(message.statement)
    if (signal === undefined) {
      this.#portals.delete(message.portal)
      return
    }
    const { parameterFormats: formats, values } = message
    this.#portals.set(message.portal, { signal, parameters: { types: [], formats, values } })
  }

  close({ target, name }: CloseMessage): void {
    if (target === "statement") this.#prepared.delete(name)
    else this.#portals.delete(name)
  }

  /** The text to send. A simple query is run at once; what is prepared is run by Execute. */
  text(
    message: QueryMessage | ParseMessage,
    signal: BackendSignal,
    status: TransactionStatus,
  ): string {
    if (message.kind === "Parse") {
      this.#prepared.set(message.name, signal)
      return signalText(signal)
    }
    // In a failed transaction the warehouse refuses any SELECT.
    if (status === "E") return signalText(signal)
    return answerText(signal, this.#send(signal, noParameters))
  }

  /** Sends the signal that an Execute asks for; the error to put in its place when it cannot be answered. */
  execute(portal: string, status: TransactionStatus): GatewayError | undefined {
    const bound = this.#portals.get(portal)
    if (bound === undefined || status === "E") return undefined
    try {
      checkPlain(this.#send(bound.signal, bound.parameters))
      return undefined
    } catch (thrown) {
      return toGatewayError(thrown)
    }
  }

  #send(signal: BackendSignal, parameters: Parameters): SignalAnswer {
    const answer = signalled(signal, this.#state, parameters)
    const minLevel = this.#state.settings.get("client_min_messages")
    for (const warning of warningsOf(answer, minLevel)) this.#output.write(warning)
    return answer
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
