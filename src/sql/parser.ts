import type { CacheHints } from "../core/cache-hints.ts"
import { astDepthMax } from "../core/limits.ts"
import type { Ast, Statement } from "../core/statement.ts"
import { isFields, listOf, numberOf } from "./ast.ts"
import { cacheHintsOf } from "./cache-hints.ts"
import { canonicalDigest } from "./canonical.ts"
import {
  type Classified,
  classify,
  classifyAsQuery,
  type WrappedText,
  type Wrapping,
} from "./classify.ts"
import { jsonDepth } from "./json-depth.ts"
import { statementTooComplex } from "./parse-errors.ts"
import { loadInstances, parseToJson, scanTokens, type Token } from "./parser-instance.ts"
import { charactersBefore, type SourceText, sliceBytes, trimmed } from "./source-text.ts"
import { sameTree } from "./tree.ts"

/** Loads the WebAssembly parser into this thread (20 ms, once). Everything else here is synchronous and needs it. */
export async function loadParser(): Promise<void> {
  await loadInstances()
}

/** What one parse gives: the statements, and how large their trees are as JSON, for whoever keeps them. */
export type Parsed = { readonly statements: readonly Statement[]; readonly jsonLength: number }

/** The statements' trees of one text, in order; locations count bytes from the text's start. */
export function parseTrees(text: string): readonly Ast[] {
  return rawStatements(text).statements.map((statement) => statement.ast)
}

type RawStatement = { readonly ast: Ast; readonly start: number; readonly length: number }

type RawStatements = {
  readonly statements: readonly RawStatement[]
  readonly bytes: Buffer
  readonly jsonLength: number
}

function rawStatements(text: string): RawStatements {
  const { json, bytes } = parseToJson(text)
  if (jsonDepth(json) > astDepthMax) throw statementTooComplex()
  const root: unknown = JSON.parse(json)
  const statements: RawStatement[] = []
  for (const item of listOf(isFields(root) ? root["stmts"] : undefined)) {
    if (!isFields(item) || !isFields(item["stmt"])) continue
    const start = numberOf(item["stmt_location"])
    // The last statement has no length when no semicolon ends it.
    const length = numberOf(item["stmt_len"]) || bytes.length - start
    statements.push({ ast: item["stmt"], start, length })
  }
  return { statements, bytes, jsonLength: json.length }
}

/**
 * The statements of a client's text, classified. A text without statements (white space, comments, semicolons) gives one
 * statement of class `empty`: PostgreSQL answers EmptyQueryResponse for the text as a whole, never for a part of it.
 *
 * Throws 42601 with PostgreSQL's message and the position in characters from 1; 54001 for trees deeper than `astDepthMax`
 * or than the parser's stack; 22021 for NUL and lone surrogates.
 */
export function parseText(text: string): readonly Statement[] {
  return parseSized(text).statements
}

export function parseSized(text: string): Parsed {
  const { statements: raw, bytes, jsonLength } = rawStatements(text)
  if (raw.length === 0) return { statements: [emptyStatement], jsonLength: 0 }
  const source: SourceText = { text, bytes }
  const hints = cacheHintsOf(text, raw)
  const statements = raw.map((statement, index) => {
    const made = statementOf(statement, source)
    return hints === undefined ? made : withHints(made, hints[index])
  })
  return { statements, jsonLength }
}

const emptyAst: Ast = {}

const emptyStatement: Statement = {
  text: "",
  offset: 0,
  class: { kind: "empty" },
  command: "",
  ast: emptyAst,
  canonical: canonicalDigest(emptyAst),
}

function statementOf(raw: RawStatement, source: SourceText): Statement {
  const slice = trimmed(sliceBytes(source, raw.start, raw.start + raw.length))
  const offset = charactersBefore(source, raw.start) + slice.leading
  const classified = classify(raw.ast, wrappedText(slice.text, offset, source))
  return makeStatement(slice.text, offset, raw.ast, classified)
}

/** What wraps a query asks on its behalf. */
function withHints(statement: Statement, hints: CacheHints | undefined): Statement {
  if (hints === undefined) return statement
  const { class: own } = statement
  if (own.kind === "cursor" || own.kind === "prepare")
    return { ...statement, hints, class: { ...own, query: withHints(own.query, hints) } }
  if (own.kind === "copy" && own.source.kind === "query") {
    const source = { ...own.source, query: withHints(own.source.query, hints) }
    return { ...statement, hints, class: { ...own, source } }
  }
  return { ...statement, hints }
}

function makeStatement(
  text: string,
  offset: number,
  ast: Ast,
  { class: statementClass, command }: Classified,
): Statement {
  return { text, offset, class: statementClass, command, ast, canonical: canonicalDigest(ast) }
}

/** pg_query.proto, KeywordKind: a quoted name is no keyword. */
const unreservedKeyword = 1
const reservedKeyword = 4

/** FOR and AS cannot be names unquoted. */
function isReserved(token: Token, word: string): boolean {
  return token.keywordKind === reservedKeyword && token.text.toLowerCase() === word
}

function wrappedText(text: string, offset: number, source: SourceText): WrappedText {
  return {
    statement: (query, wrapping) => wrappedStatement(query, wrapping, text, offset),
    before: (word) => textBefore(word, text),
    position: (location) => charactersBefore(source, location) + 1,
  }
}

function textBefore(word: string, text: string): string | undefined {
  const token = scanTokens(text).find(
    ({ keywordKind, text: spelled }) =>
      keywordKind === unreservedKeyword && spelled.toLowerCase() === word,
  )
  if (token === undefined) return undefined
  return sliceBytes({ text, bytes: Buffer.from(text, "utf8") }, 0, token.end - word.length)
}

/**
 * The query of `DECLARE ... FOR query`, `PREPARE ... AS query`, `COPY (query)` as a statement of its own. Its text is cut out by
 * tokens and parsed again; it must give the same tree, or it is not taken.
 */
function wrappedStatement(
  query: Ast,
  wrapping: Wrapping,
  text: string,
  offset: number,
): Statement | undefined {
  const source: SourceText = { text, bytes: Buffer.from(text, "utf8") }
  const range = wrappedRange(scanTokens(text), wrapping, source.bytes.length)
  if (range === undefined) return undefined
  const slice = trimmed(sliceBytes(source, range.start, range.end))
  const [ast, ...rest] = parseTrees(slice.text)
  if (ast === undefined || rest.length > 0 || !sameTree(ast, query)) return undefined
  const start = offset + charactersBefore(source, range.start) + slice.leading
  const inner: SourceText = { text: slice.text, bytes: Buffer.from(slice.text, "utf8") }
  const classified =
    wrapping === "as" ? classify(ast, wrappedText(slice.text, start, inner)) : classifyAsQuery(ast)
  return makeStatement(slice.text, start, ast, classified)
}

/** Byte offsets of a wrapped statement. */
function wrappedRange(
  tokens: readonly Token[],
  wrapping: Wrapping,
  length: number,
): { readonly start: number; readonly end: number } | undefined {
  if (wrapping !== "parentheses") {
    const word = tokens.find((token) => isReserved(token, wrapping))
    return word === undefined ? undefined : { start: word.end, end: length }
  }
  let depth = 0
  let start: number | undefined
  for (const token of tokens) {
    if (token.text === "(") {
      depth += 1
      start ??= token.end
    } else if (token.text === ")") {
      depth -= 1
      if (depth === 0 && start !== undefined) return { start, end: token.end - 1 }
    }
  }
  return undefined
}
