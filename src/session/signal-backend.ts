import { GatewayError, unreachable } from "../core/errors.ts"
import type { FormatCode, Parameters } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { StoredResult } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ActivityCondition, BackendSignal, SignalOperand } from "../core/statement.ts"
import { type Backend, isSamePrincipal } from "./backend.ts"
import { type LocalColumn, localResult } from "./local-result.ts"
import { remarkMessage } from "./remark-message.ts"
import { cancelledByClient, terminatedByAdministrator } from "./session-errors.ts"
import type { SessionState } from "./session-state.ts"

/** pg_cancel_backend and pg_terminate_backend over virtual process ids (PostgreSQL manual, 9.28.2; signalfuncs.c). */

export function signalColumns({ label }: BackendSignal): readonly LocalColumn[] {
  return [{ name: label, type: "bool" }]
}

const typeOids = { pid: 23, timeout: 20, name: 19, text: 25 } as const

/** Types of the statement's parameters by number from 1, as PostgreSQL infers them. */
export function signalParameterTypes({ timeout, target }: BackendSignal): readonly number[] {
  const types: number[] = []
  const note = (value: SignalOperand | undefined, oid: number): void => {
    if (value?.kind === "parameter") types[value.number - 1] ??= oid
  }
  if (target.kind === "pid") note(target.pid, typeOids.pid)
  else
    for (const { column, values } of target.conditions)
      for (const value of values) note(value, columnOid(column))
  note(timeout, typeOids.timeout)
  return Array.from(types, (oid) => oid ?? typeOids.text)
}

function columnOid(column: ActivityCondition["column"]): number {
  if (column === "pid") return typeOids.pid
  return column === "usename" || column === "datname" ? typeOids.name : typeOids.text
}

type Asked = {
  readonly command: BackendSignal
  readonly state: SessionState
  readonly parameters: Parameters
}

/** One value for each session that was meant. */
export type SignalAnswer = {
  readonly rows: readonly ("t" | "f" | null)[]
  readonly remarks: readonly Remark[]
}

/** The answer as a result. Throws what `sendSignal` throws. */
export function signalBackend(asked: Asked, formats: readonly FormatCode[]): StoredResult {
  const { rows, remarks } = sendSignal(asked)
  const result = localResult(
    signalColumns(asked.command),
    rows.map((row) => [row]),
    { tag: `SELECT ${rows.length}`, formats },
  )
  return withNotices(result, remarks, asked.state.settings.get("client_min_messages"))
}

/**
 * Signals, and answers as PostgreSQL does: `t`, or `f` with a warning for a process id that nobody has. Throws 42501 for a
 * session of another principal's, and what the signal does when it hits the session that sends it.
 */
export function sendSignal(asked: Asked): SignalAnswer {
  const remarks: Remark[] = []
  const { command } = asked
  const { target } = command
  const timeout = valueOf(command.timeout, asked)
  const isTimeoutNull = command.timeout !== undefined && timeout === null
  if (timeout !== null && integer(timeout, "bigint") < 0) throw negativeTimeout()
  const rows: ("t" | "f" | null)[] = []
  if (target.kind === "pid") {
    const pid = valueOf(target.pid, asked)
    const isNull = pid === null || isTimeoutNull
    rows.push(isNull ? null : signalPid(command, integer(pid, "integer"), asked.state, remarks))
  } else {
    for (const backend of chosen(target.conditions, asked)) {
      if (!isTimeoutNull) send(command.signal, backend, asked.state)
      rows.push(isTimeoutNull ? null : "t")
    }
  }
  return { rows, remarks }
}

/** PostgreSQL's warning comes from inside the row, and so stands before it. */
function withNotices(
  result: StoredResult,
  remarks: readonly Remark[],
  minLevel: string,
): StoredResult {
  const [batch] = result.batches
  const notices = remarks.flatMap((remark) => remarkMessage(remark, minLevel) ?? [])
  if (batch === undefined || notices.length === 0) return result
  const bytes = Buffer.concat([...notices, batch.bytes])
  return { ...result, batches: [{ bytes, rowCount: batch.rowCount }], byteCount: bytes.length }
}

function signalPid(
  { signal }: BackendSignal,
  pid: number,
  state: SessionState,
  remarks: Remark[],
): "t" | "f" {
  const backend = state.origin.registry.find(pid)
  if (backend === undefined) {
    remarks.push({
      severity: "WARNING",
      sqlState: SqlState.Warning,
      message: `PID ${pid} is not a PostgreSQL backend process`,
      hint: undefined,
    })
    return "f"
  }
  if (!isSamePrincipal(backend.origin.identity, state.origin.identity)) throw denied(signal)
  send(signal, backend, state)
  return "t"
}

/** Sessions that the reader may see and that meet all conditions; its own comes last, because it may end with it. */
function chosen(conditions: readonly ActivityCondition[], asked: Asked): readonly Backend[] {
  const { origin } = asked.state
  const tests = conditions.map((condition) => testOf(condition, asked))
  const met: Backend[] = []
  let own: Backend | undefined
  for (const backend of origin.registry.backends()) {
    if (!isSamePrincipal(backend.origin.identity, origin.identity)) continue
    if (!tests.every((test) => test(backend))) continue
    if (backend.origin.processId === origin.processId) own = backend
    else met.push(backend)
  }
  return own === undefined ? met : [...met, own]
}

function testOf(condition: ActivityCondition, asked: Asked): (backend: Backend) => boolean {
  const { column, isNegated } = condition
  const values = condition.values.map((value) => {
    const text = valueOf(value, asked)
    return text === null || column !== "pid" ? text : String(integer(text, "integer"))
  })
  const known = new Set(values)
  // SQL's NULL: `x = NULL` and `x <> NULL` are never true.
  if (isNegated) return (backend) => !known.has(null) && !known.has(columnValue(backend, column))
  return (backend) => known.has(columnValue(backend, column))
}

function columnValue({ origin, activity }: Backend, column: ActivityCondition["column"]): string {
  switch (column) {
    case "pid":
      return String(origin.processId)
    case "usename":
      return origin.identity.user
    case "datname":
      return origin.database
    case "application_name":
      return activity.applicationName
    case "state":
      return activity.state
    default:
      return unreachable(column)
  }
}

function send(signal: BackendSignal["signal"], backend: Backend, state: SessionState): void {
  const isOwn = backend.origin.processId === state.origin.processId
  if (isOwn) throw signal === "cancel" ? cancelledByClient() : terminatedByAdministrator()
  if (signal === "cancel") backend.cancelByClient()
  else backend.terminateByAdministrator()
}

function valueOf(value: SignalOperand | undefined, asked: Asked): string | null {
  const { origin } = asked.state
  switch (value?.kind) {
    case undefined:
      return null
    case "constant":
      return value.text ?? null
    case "parameter":
      return parameterText(value.number, asked)
    case "own_pid":
      return String(origin.processId)
    case "current_user":
      return origin.identity.user
    case "current_database":
      return origin.database
    default:
      return unreachable(value)
  }
}

function parameterText(
  number: number,
  { command, parameters: { formats, values } }: Asked,
): string | null {
  if (number > values.length)
    throw new GatewayError({
      sqlState: SqlState.UndefinedParameter,
      reason: "invalid_parameter",
      message: `there is no parameter $${number}`,
      safeToRetry: true,
    })
  const bytes = values[number - 1] ?? null
  if (bytes === null) return null
  const format = (formats.length <= 1 ? formats[0] : formats[number - 1]) ?? 0
  if (format === 0) return bytes.toString("utf8")
  const type = signalParameterTypes(command)[number - 1]
  if (type !== typeOids.pid && type !== typeOids.timeout) return bytes.toString("utf8")
  // A driver may declare a narrower type than the function's: psycopg sends small numbers as int2.
  if (bytes.length === 2) return String(bytes.readInt16BE())
  if (bytes.length === 4) return String(bytes.readInt32BE())
  if (bytes.length === 8) return String(bytes.readBigInt64BE())
  throw new GatewayError({
    sqlState: SqlState.InvalidBinaryRepresentation,
    reason: "invalid_parameter",
    message: `incorrect binary data format in bind parameter ${number}`,
    safeToRetry: true,
  })
}

const integerMax = { integer: 2n ** 31n - 1n, bigint: 2n ** 63n - 1n } as const

/** A value as int4in and int8in read it. */
function integer(text: string, type: keyof typeof integerMax): number {
  const trimmed = text.trim()
  if (!/^[+-]?\d+$/.test(trimmed))
    throw new GatewayError({
      sqlState: SqlState.InvalidTextRepresentation,
      reason: "invalid_parameter",
      message: `invalid input syntax for type ${type}: "${text}"`,
      safeToRetry: true,
    })
  const value = BigInt(trimmed)
  if (value > integerMax[type] || value < -integerMax[type] - 1n)
    throw new GatewayError({
      sqlState: SqlState.NumericValueOutOfRange,
      reason: "invalid_parameter",
      message: `value "${text}" is out of range for type ${type}`,
      safeToRetry: true,
    })
  return Number(value)
}

function negativeTimeout(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.NumericValueOutOfRange,
    reason: "invalid_parameter",
    message: '"timeout" must not be negative',
    safeToRetry: true,
  })
}

function denied(signal: BackendSignal["signal"]): GatewayError {
  const [verb, passive] =
    signal === "cancel"
      ? ["cancel query", "query is being canceled"]
      : ["terminate process", "process is being terminated"]
  const own = signal === "cancel" ? "cancel this query" : "terminate this process"
  return new GatewayError({
    sqlState: SqlState.InsufficientPrivilege,
    reason: "not_your_session",
    message: `permission denied to ${verb}`,
    detail: `Only roles with privileges of the role whose ${passive} or with privileges of the "pg_signal_backend" role may ${own}.`,
    safeToRetry: true,
  })
}
