import { astDepthMax } from "../core/limits.ts"
import type { Ast, Statement } from "../core/statement.ts"
import { isFields, listOf, numberOf } from "./ast.ts"
import { canonicalDigest } from "./canonical.ts"
import { type Classified, classify, classifyAsQuery } from "./classify.ts"
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
  return { statements: raw.map((statement) => statementOf(statement, source)), jsonLength }
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
  const classified = classify(raw.ast, (query) => cursorQuery(query, slice.text, offset))
  return makeStatement(slice.text, offset, raw.ast, classified)
}

function makeStatement(
  text: string,
  offset: number,
  ast: Ast,
  { class: statementClass, command }: Classified,
): Statement {
  return { text, offset, class: statementClass, command, ast, canonical: canonicalDigest(ast) }
}

/** pg_query.proto, KeywordKind: a quoted name is no keyword, and FOR cannot be a name unquoted. */
const reservedKeyword = 4

function isReservedFor(token: Token): boolean {
  return token.keywordKind === reservedKeyword && token.text.toLowerCase() === "for"
}

/**
 * The query of `DECLARE ... FOR query` as a statement of its own. Its text is what follows the first FOR; it is parsed again and must give the same tree, or the cursor is not taken.
 */
function cursorQuery(query: Ast, text: string, offset: number): Statement | undefined {
  const word = scanTokens(text).find(isReservedFor)
  if (word === undefined) return undefined
  const source: SourceText = { text, bytes: Buffer.from(text, "utf8") }
  const slice = trimmed(sliceBytes(source, word.end, source.bytes.length))
  const [ast, ...rest] = parseTrees(slice.text)
  if (ast === undefined || rest.length > 0 || !sameTree(ast, query)) return undefined
  const start = offset + charactersBefore(source, word.end) + slice.leading
  return makeStatement(slice.text, start, ast, classifyAsQuery(ast))
}
