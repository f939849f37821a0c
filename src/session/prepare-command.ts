import { GatewayError } from "../core/errors.ts"
import { noParameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ExecuteCall, Statement, StatementClass } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { describe } from "../pipeline/describe.ts"
import {
  type ArgumentToEvaluate,
  argumentsQuery,
  checkAssignable,
  constantArgument,
  typesQuery,
} from "../pipeline/execute-arguments.ts"
import { onlyOne } from "../pipeline/explain.ts"
import { rowValues } from "../pipeline/row-values.ts"
import { readRowDescription } from "../wire/rows.ts"
import { ask, questionOf } from "./ask.ts"
import { errorOfAsked } from "./execute-errors.ts"
import { commandResult } from "./local-result.ts"
import { type PreparedStatement, preparedBytes } from "./named-objects.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"

type Prepare = Extract<StatementClass, { kind: "prepare" }>
type ExplainExecute = Extract<StatementClass, { kind: "explain_execute" }>

/**
 * PREPARE: one name space with Parse (PostgreSQL manual, PREPARE). A read is described at once, as PostgreSQL analyses it at once; a
 * write is refused when it is executed.
 */
export async function prepare(
  request: RunRequest,
  command: Prepare,
  state: SessionState,
): Promise<RunOutcome> {
  const { name, query } = command
  const parameterTypes = await declaredTypes(command, state)
  const prepared: PreparedStatement = {
    name,
    statement: query,
    parseMs: request.parseMs,
    origin: { text: request.statement.text, ms: Date.now(), isSql: true },
    parameterTypes,
    describedTypes: undefined,
    bytes: preparedBytes(request.statement.text),
  }
  await typesOf(prepared, state)
  state.objects.addPrepared(prepared)
  return { result: commandResult("PREPARE"), report: undefined, remarks: [] }
}

async function declaredTypes({ types }: Prepare, state: SessionState): Promise<readonly number[]> {
  if (types.length === 0) return []
  const { rooms } = state.origin
  const asked = typesQuery(types)
  const statement = onlyOne(await statementsOf(asked.text, rooms))
  const question = questionOf(requestFor(statement), state)
  const described = await Promise.resolve(describe(question, rooms)).catch((thrown: unknown) => {
    throw errorOfAsked(thrown, asked)
  })
  return described.rowDescription === undefined
    ? []
    : readRowDescription(described.rowDescription).map((column) => column.typeOid)
}

function requestFor(statement: Statement): RunRequest {
  return { statement, parseMs: 0, parameters: noParameters, formats: [], protocol: "simple" }
}

/** Types of all parameters: asked of the warehouse once for each prepared statement that is a read. */
function typesOf(
  prepared: PreparedStatement,
  state: SessionState,
): readonly number[] | Promise<readonly number[]> {
  const { statement, parameterTypes } = prepared
  if (prepared.describedTypes !== undefined) return prepared.describedTypes
  if (statement?.class.kind !== "read") return parameterTypes
  const parameters = { types: parameterTypes, formats: [], values: [] }
  const question = questionOf({ ...requestFor(statement), parameters }, state)
  const keep = (ready: { readonly parameterTypes: readonly number[] }): readonly number[] => {
    prepared.describedTypes = ready.parameterTypes
    return ready.parameterTypes
  }
  const { rooms } = state.origin
  const described = state.mustSpool
    ? state.spool().then(() => describe(question, rooms))
    : describe(question, rooms)
  return described instanceof Promise ? described.then(keep) : keep(described)
}

/** What an EXECUTE runs: the prepared statement with its arguments bound. A promise only where the warehouse must be asked first. */
export function executedRequest(
  call: ExecuteCall,
  request: RunRequest,
  state: SessionState,
): RunRequest | Promise<RunRequest> {
  const prepared = state.objects.prepared(call.name)
  const { statement } = prepared
  if (statement === undefined)
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "construct_unsupported",
      message: `prepared statement "${call.name}" is empty`,
    })
  const types = typesOf(prepared, state)
  const bind = (known: readonly number[]): RunRequest | Promise<RunRequest> => {
    const bound = boundRequest({ ...request, statement }, call, known)
    return bound.missing.length === 0 ? bound.request : evaluated(bound, state)
  }
  return types instanceof Promise ? types.then(bind) : bind(types)
}

type Bound = {
  readonly request: RunRequest
  readonly values: (Buffer | null)[]
  /** Arguments that the warehouse has to compute, and where their values belong. */
  readonly missing: readonly (ArgumentToEvaluate & { readonly index: number })[]
}

function boundRequest(request: RunRequest, call: ExecuteCall, types: readonly number[]): Bound {
  const { class: statementClass } = request.statement
  const isRead = statementClass.kind === "read"
  const isUnknown = !isRead && statementClass.kind !== "session"
  // Of a statement without parameters PostgreSQL does not look at the arguments (ExecuteQuery, prepare.c).
  if (!isUnknown && types.length === 0)
    return { request: { ...request, parameters: noParameters }, values: [], missing: [] }
  if (!isUnknown && call.arguments.length !== types.length)
    throw new GatewayError({
      sqlState: SqlState.SyntaxError,
      reason: "invalid_parameter",
      message: `wrong number of parameters for prepared statement "${call.name}"`,
      detail: `Expected ${types.length} parameters but got ${call.arguments.length}.`,
    })
  if (call.subquery !== undefined)
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "construct_unsupported",
      message: "cannot use subquery in EXECUTE parameter",
      position: call.subquery,
    })
  if (!isRead) return { request, values: [], missing: [] }
  const values: (Buffer | null)[] = []
  const missing: (ArgumentToEvaluate & { readonly index: number })[] = []
  for (const [index, argument] of call.arguments.entries()) {
    const type = types[index] ?? 0
    checkAssignable(argument, type, index + 1)
    const value = constantArgument(argument, type)
    if (value === undefined) missing.push({ argument, type, index })
    values.push(value ?? null)
  }
  const parameters = { types, formats: values.map(() => 0 as const), values }
  return { request: { ...request, parameters }, values, missing }
}

async function evaluated(
  { request, values, missing }: Bound,
  state: SessionState,
): Promise<RunRequest> {
  const asked = argumentsQuery(missing)
  const statement = onlyOne(await statementsOf(asked.text, state.origin.rooms))
  const told = (thrown: unknown): never => {
    throw errorOfAsked(
      thrown,
      asked,
      missing.map(({ index }) => index + 1),
    )
  }
  const outcome = await Promise.resolve(ask(requestFor(statement), state)).catch(told)
  using rows = new ResultCursor(outcome.result)
  const batch = await rows.take(1).catch(told)
  const row = batch === undefined ? [] : rowValues(batch.bytes)
  for (const [at, { index }] of missing.entries()) values[index] = row[at] ?? null
  // Read to its end, so that the connection is clean for the statement itself.
  await rows.take(1)
  return request
}

/** EXPLAIN EXECUTE: the EXPLAIN of the prepared statement's text, with the arguments bound. */
export async function explainedRequest(
  { prefix, call }: ExplainExecute,
  request: RunRequest,
  state: SessionState,
): Promise<RunRequest> {
  const executed = await executedRequest(call, request, state)
  const text = `${prefix}${executed.statement.text}`
  const statement = onlyOne(await statementsOf(text, state.origin.rooms))
  return { ...executed, statement }
}

/**
 * What there is to describe of a prepared statement: an EXECUTE's is that of the statement it names, with its parameter types;
 * `types` is undefined for all others.
 */
export function executedStatement(
  prepared: PreparedStatement,
  state: SessionState,
): {
  readonly statement: Statement | undefined
  readonly types: readonly number[] | undefined
} {
  const statementClass = prepared.statement?.class
  if (statementClass?.kind !== "execute") return { statement: prepared.statement, types: undefined }
  const named = state.objects.prepared(statementClass.call.name)
  return { statement: named.statement, types: named.describedTypes ?? named.parameterTypes }
}
