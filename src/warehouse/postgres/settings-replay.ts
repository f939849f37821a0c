import { GatewayError } from "../../core/errors.ts"
import type { Parameters } from "../../core/parameters.ts"
import type { SettingsView } from "../../core/settings.ts"
import { SqlState } from "../../core/sql-state.ts"

/**
 * Which settings a connection has, and what has to be sent so that it has others. They go by set_config() with bound
 * parameters, so that no value is ever spliced into SQL and lists such as search_path keep their own quoting; NULL means
 * the value that the connection was opened with. They share the statement's own Sync: when one fails the statement does
 * not run, and when the statement fails the server takes the settings back with it.
 */

/** Settings as they should be: canonical name to value. */
export type TargetSettings = ReadonlyMap<string, string>

/** Never sent, whoever asks: they would change who reads, what may be written, or how bytes are read. */
const untouchable = new Set([
  "role",
  "session_authorization",
  "default_transaction_read_only",
  "transaction_read_only",
  "transaction_isolation",
  "transaction_deferrable",
  "client_encoding",
  "statement_timeout",
])

/** The name, when a session may have a value for it. Throws 55P02 otherwise. */
export function settingName(name: string): string {
  if (!untouchable.has(name) || name === "statement_timeout") return name
  throw new GatewayError({
    sqlState: SqlState.CantChangeRuntimeParam,
    reason: "setting_not_changeable",
    message: `parameter "${name}" cannot be changed now`,
  })
}

export type Replay = {
  readonly text: string
  readonly parameters: Parameters
  readonly after: TargetSettings
}

const textType = 25

export class SettingsState {
  /** What this connection has, beyond what it was opened with. */
  #applied: TargetSettings = new Map()
  /** What it had at BEGIN: ROLLBACK brings it back. */
  #atBegin: TargetSettings | undefined
  /** What it had at each savepoint that is open. */
  readonly #savepoints: { readonly name: string; readonly applied: TargetSettings }[] = []
  /** The last view asked for and found in force: asking for it again costs two comparisons. */
  #view: SettingsView | undefined
  #timeoutMs = 0

  /** What to send before a statement, or undefined when the connection has these settings already. */
  replay(view: SettingsView, statementTimeoutMs: number): Replay | undefined {
    if (view === this.#view && statementTimeoutMs === this.#timeoutMs) return undefined
    const target = new Map<string, string>()
    for (const [name, value] of view.values) if (!untouchable.has(name)) target.set(name, value)
    if (statementTimeoutMs > 0) target.set("statement_timeout", String(statementTimeoutMs))
    const replay = difference(this.#applied, target)
    if (replay === undefined) {
      this.#view = view
      this.#timeoutMs = statementTimeoutMs
    }
    return replay
  }

  /** The server has taken them. */
  applied(after: TargetSettings): void {
    this.#applied = after
    this.#view = undefined
  }

  began(): void {
    this.#atBegin = this.#applied
  }

  rolledBack(): void {
    if (this.#atBegin !== undefined) this.applied(this.#atBegin)
    this.#atBegin = undefined
    this.#savepoints.length = 0
  }

  markSavepoint(name: string): void {
    this.#savepoints.push({ name, applied: this.#applied })
  }

  releasedSavepoint(name: string): void {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index >= 0) this.#savepoints.length = index
  }

  rolledBackTo(name: string): void {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    const savepoint = this.#savepoints[index]
    if (savepoint === undefined) return
    this.applied(savepoint.applied)
    this.#savepoints.length = index + 1
  }
}

function difference(from: TargetSettings, to: TargetSettings): Replay | undefined {
  const changes: [name: string, value: string | null][] = []
  for (const [name, value] of to) if (from.get(name) !== value) changes.push([name, value])
  for (const name of from.keys()) if (!to.has(name)) changes.push([name, null])
  if (changes.length === 0) return undefined
  const calls = changes.map(
    (_, index) => `pg_catalog.set_config($${2 * index + 1}, $${2 * index + 2}, false)`,
  )
  const values = changes.flatMap(([name, value]) => [
    Buffer.from(name),
    value === null ? null : Buffer.from(value),
  ])
  const types = values.map(() => textType)
  return {
    text: `SELECT ${calls.join(", ")}`,
    parameters: { types, formats: [], values },
    after: to,
  }
}

const traces = /set_config|advisory_lock|setseed/i

/**
 * True when a statement's text calls what outlives it in the server's session: settings, session-level locks. A function of
 * a user's that calls these inside is not seen; which functions may be called is policy's to say.
 */
export function leavesTraces(text: string): boolean {
  return traces.test(text)
}
