// oxlint-disable-next-line typescript/triple-slash-reference -- an ambient module cannot be imported
/// <reference path="./libpg-query-wasm.d.ts" />
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import createInstance, { type PgQueryInstance } from "libpg-query/wasm/libpg-query.js"
import { InvariantViolation } from "../core/errors.ts"
import { invalidText, statementTooComplex, syntaxError } from "./parse-errors.ts"

/**
 * Instances of PostgreSQL's parser in WebAssembly.
 *
 * A statement nested too deeply overflows V8's stack inside the parser. That exception skips PostgreSQL's own error
 * handling, and the instance it left behind is broken: after 30 to 60 such statements it was seen to trap on `SELECT 1`
 * or to loop for ever. So one that threw is never used again; a spare takes its place, and the next spare is made from
 * the already compiled module (about 1 ms).
 */

let compiled: WebAssembly.Module | undefined
let current: PgQueryInstance | undefined
let spare: PgQueryInstance | undefined

async function makeInstance(module: WebAssembly.Module): Promise<PgQueryInstance> {
  return createInstance({
    instantiateWasm: (imports, receive) => receive(new WebAssembly.Instance(module, imports)),
  })
}

/** Makes the parser ready in this thread. Everything else in this room may be called synchronously after it. */
export async function loadInstances(): Promise<void> {
  if (current !== undefined) return
  // V8's optimising tier takes 570 MB for a second to compile the grammar's one huge function, and wins 10 % (28 instead of 31 us
  // a statement): a container of 512 MB would be killed at its first SELECT.
  setFlagsFromString("--no-wasm-tier-up")
  setFlagsFromString("--no-wasm-dynamic-tiering")
  const path = fileURLToPath(import.meta.resolve("libpg-query/wasm/libpg-query.wasm"))
  compiled = await WebAssembly.compile(await readFile(path))
  spare = await makeInstance(compiled)
  current ??= await makeInstance(compiled)
}

function condemn(): void {
  current = spare
  spare = undefined
  refill().catch(() => undefined)
}

async function refill(): Promise<void> {
  if (compiled === undefined) return
  const fresh = await makeInstance(compiled)
  if (current === undefined) current = fresh
  else spare = fresh
}

/** Runs `call` on the instance in use; replaces the instance when an exception came out of WebAssembly. */
function withInstance<T>(call: (instance: PgQueryInstance) => T): T {
  if (compiled === undefined) throw new InvariantViolation("loadParser() has not been awaited")
  // Both instances fell in one synchronous stretch; the next one is a few microtasks away.
  if (current === undefined) throw statementTooComplex()
  try {
    return call(current)
  } catch (thrown) {
    condemn()
    throw statementTooComplex(thrown)
  }
}

/** The text as the parser reads it: valid UTF-8 without NUL, which C would take for the end of the statement. */
function encode(text: string): Buffer {
  if (!text.isWellFormed() || text.includes("\0")) throw invalidText(text)
  return Buffer.from(text, "utf8")
}

function copyIn(instance: PgQueryInstance, bytes: Buffer): number {
  const pointer = instance._malloc(bytes.length + 1)
  if (pointer === 0) throw new RangeError("the parser is out of memory")
  instance.HEAPU8.set(bytes, pointer)
  instance.HEAPU8[pointer + bytes.length] = 0
  return pointer
}

type ParseOutcome =
  | { readonly json: string }
  | { readonly json: undefined; readonly message: string; readonly position: number }

/** Layout of libpg_query's PgQueryParseResult {tree, stderr, error} and PgQueryError {message, function, file, line, position}. */
function readOutcome(instance: PgQueryInstance, result: number): ParseOutcome {
  const error = instance.getValue(result + 8, "i32")
  if (error === 0) return { json: instance.UTF8ToString(instance.getValue(result, "i32")) }
  return {
    json: undefined,
    message: instance.UTF8ToString(instance.getValue(error, "i32")),
    position: instance.getValue(error + 16, "i32"),
  }
}

export type RawParse = { readonly json: string; readonly bytes: Buffer }

/**
 * The parse tree of a whole text as libpg-query's JSON, and the text's bytes that its locations count. Throws
 * 42601 with PostgreSQL's message and position, 54001 when the statement is too deep for the parser, 22021 for text that
 * no PostgreSQL client can send.
 */
export function parseToJson(text: string): RawParse {
  const bytes = encode(text)
  const outcome = parseBytes(bytes)
  if (outcome.json !== undefined) {
    checkParameterEnds(text, bytes)
    return { json: outcome.json, bytes }
  }

  const blanked = withoutComments(bytes)
  const second = blanked === undefined ? undefined : parseBytes(blanked)
  if (second?.json !== undefined) {
    checkParameterEnds(text, bytes)
    return { json: second.json, bytes }
  }
  throw syntaxError(outcome.message, outcome.position)
}

/** What scan.l takes as one token behind a parameter's number. Cheap, for it is tried on every text; strings hold it, too. */
const parameterJunk = /\$\d+[a-z_\u0080-\uffff][\w$\u0080-\uffff]*/iu

/** libpg-query 18 reads `$1abc` as `$1` and a name; PostgreSQL refuses it (scan.l, param_junk). */
function checkParameterEnds(text: string, bytes: Buffer): void {
  if (!text.includes("$") || !parameterJunk.test(text)) return
  for (const token of scanBytes(bytes) ?? []) {
    if (token.tokenName !== "PARAM") continue
    const rest = bytes.toString("utf8", token.start, token.end + identifierBytesMax)
    const junk = parameterJunk.exec(rest)
    if (junk?.index !== 0) continue
    const position = bytes.toString("utf8", 0, token.start).replaceAll(/./gsu, "x").length + 1
    throw syntaxError(`trailing junk after parameter at or near "${junk[0]}"`, position)
  }
}

/** Of junk that is repeated in an error. */
const identifierBytesMax = 1_024

function parseBytes(bytes: Buffer): ParseOutcome {
  return withInstance((instance) => {
    const pointer = copyIn(instance, bytes)
    const result = instance._wasm_parse_query_raw(pointer)
    if (result === 0) throw new RangeError("the parser is out of memory")
    const read = readOutcome(instance, result)
    instance._free(pointer)
    instance._wasm_free_parse_result(result)
    return read
  })
}

/**
 * The text with spaces in place of its comments, byte for byte so that locations stay; undefined when there are none.
 * libpg-query 18 loses words of two parts when a comment stands between them (`NOT /* c *\/ IN`, `NULLS -- c` and then
 * `LAST`), where PostgreSQL does not; so a text that failed is tried once more without comments.
 */
function withoutComments(bytes: Buffer): Buffer | undefined {
  if (!bytes.includes("--") && !bytes.includes("/*")) return undefined
  const comments = scanBytes(bytes)?.filter(isComment) ?? []
  if (comments.length === 0) return undefined
  const blanked = Buffer.from(bytes)
  for (const { start, end } of comments) blanked.fill(0x20, start, end)
  return blanked
}

function isComment(token: Token): boolean {
  return token.text.startsWith("--") || token.text.startsWith("/*")
}

/** Tokens of a text that is known to parse; offsets count bytes. Comments are tokens too. */
export type Token = {
  readonly start: number
  readonly end: number
  readonly text: string
  readonly keywordKind: number
  readonly tokenName: string
}

export function scanTokens(text: string): readonly Token[] {
  return scanBytes(encode(text)) ?? []
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacters = /[\u0000-\u001f]/g

/** Undefined when the scanner itself fails, at an unterminated string for instance. */
function scanBytes(bytes: Buffer): readonly Token[] | undefined {
  const json = withInstance((instance) => {
    const pointer = copyIn(instance, bytes)
    const result = instance._wasm_scan(pointer)
    const read = instance.UTF8ToString(result)
    instance._free(pointer)
    instance._wasm_free_string(result)
    return read
  })
  if (!json.startsWith("{")) return undefined
  // The scanner's JSON leaves control characters in texts as they are; nobody here needs them.
  const { tokens } = JSON.parse(json.replaceAll(controlCharacters, " ")) as { tokens: Token[] }
  return tokens
}
