import type { CacheHints } from "../core/cache-hints.ts"
import type { Ast, CopySource, Statement, StatementClass } from "../core/statement.ts"
import { isFields, nodeFields } from "./ast.ts"
import { type LargeStatementFacts, rememberLarge, takesAppendedLimit } from "./limit-rows.ts"
import { topLimit } from "./top-limit.ts"
import { explainedNode } from "./write-command.ts"

/**
 * Statements as they cross from the parse worker to the main thread: everything that is decided is plain data, the tree
 * goes as JSON bytes whose memory is handed over without a copy. The main thread reads the bytes only when somebody asks
 * for the tree.
 */
export type PackedStatement = {
  readonly text: string
  readonly offset: number
  readonly command: string
  readonly canonical: string
  readonly class: PackedClass
  readonly tree: Uint8Array<ArrayBuffer>
  readonly limit: LargeStatementFacts
  readonly hints?: CacheHints
}

type PackedClass =
  | Exclude<StatementClass, { readonly kind: "explain" | "cursor" | "prepare" | "copy" }>
  | Omit<Extract<StatementClass, { readonly kind: "explain" }>, "inner">
  | (Omit<Extract<StatementClass, { readonly kind: "cursor" }>, "query"> & {
      readonly query: PackedStatement
    })
  | (Omit<Extract<StatementClass, { readonly kind: "prepare" }>, "query"> & {
      readonly query: PackedStatement
    })
  | (Omit<Extract<StatementClass, { readonly kind: "copy" }>, "source"> & {
      readonly source:
        | Extract<CopySource, { readonly kind: "table" }>
        | { readonly kind: "query"; readonly query: PackedStatement }
    })

function packClass(statementClass: StatementClass): PackedClass {
  if (statementClass.kind === "explain") {
    return { kind: "explain", traits: statementClass.traits }
  }
  if (statementClass.kind === "cursor" || statementClass.kind === "prepare") {
    return { ...statementClass, query: packStatement(statementClass.query) }
  }
  if (statementClass.kind === "copy") {
    const { source } = statementClass
    if (source.kind === "table") return { ...statementClass, source }
    return { ...statementClass, source: { kind: "query", query: packStatement(source.query) } }
  }
  return statementClass
}

/** JSON bytes with a memory of their own, so that transferring them takes nothing else along. */
function jsonBytes(ast: Ast): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(ast))
}

export function packStatement(statement: Statement): PackedStatement {
  const { text, offset, command, canonical, ast } = statement
  const isRead = statement.class.kind === "read"
  return {
    text,
    offset,
    command,
    canonical,
    class: packClass(statement.class),
    tree: jsonBytes(ast),
    ...(statement.hints === undefined ? {} : { hints: statement.hints }),
    limit: {
      topLimit: topLimit(ast),
      takesAppendedLimit: isRead && takesAppendedLimit(text, ast),
    },
  }
}

/** The statement inside another one. */
function wrappedBy(packed: PackedClass): PackedStatement | undefined {
  if (packed.kind === "cursor" || packed.kind === "prepare") return packed.query
  return packed.kind === "copy" && packed.source.kind === "query" ? packed.source.query : undefined
}

/** Memory to hand over with a packed statement. */
export function transferablesOf(packed: PackedStatement): ArrayBuffer[] {
  const own = packed.tree.buffer
  const inner = wrappedBy(packed.class)
  return inner === undefined ? [own] : [own, ...transferablesOf(inner)]
}

/** Bytes that a packed statement's trees hold. */
export function treeBytes(packed: PackedStatement): number {
  const own = packed.tree.byteLength
  const inner = wrappedBy(packed.class)
  return inner === undefined ? own : own + treeBytes(inner)
}

function unpackClass(packed: PackedClass, tree: () => Ast): StatementClass {
  if (packed.kind === "cursor" || packed.kind === "prepare")
    return { ...packed, query: unpackStatement(packed.query) }
  if (packed.kind === "copy") {
    const { source } = packed
    if (source.kind === "table") return { ...packed, source }
    return { ...packed, source: { kind: "query", query: unpackStatement(source.query) } }
  }
  if (packed.kind === "explain") {
    return {
      ...packed,
      get inner() {
        return innerOf(tree())
      },
    }
  }
  return packed
}

function innerOf(explain: Ast): Ast {
  const inner = explainedNode(nodeFields(explain, "ExplainStmt") ?? {})
  return isFields(inner) ? inner : {}
}

/** Parses the bytes at first use, and again only after the collector took the tree: it may be ten times its text. */
function lazyTree(bytes: Uint8Array): () => Ast {
  let held: WeakRef<Ast> | undefined
  return () => {
    const known = held?.deref()
    if (known !== undefined) return known
    const tree = JSON.parse(new TextDecoder().decode(bytes)) as Ast
    held = new WeakRef(tree)
    return tree
  }
}

export function unpackStatement(packed: PackedStatement): Statement {
  const tree = lazyTree(packed.tree)
  const statement: Statement = {
    text: packed.text,
    offset: packed.offset,
    class: unpackClass(packed.class, tree),
    command: packed.command,
    get ast() {
      return tree()
    },
    canonical: packed.canonical,
    ...(packed.hints === undefined ? {} : { hints: packed.hints }),
  }
  rememberLarge(statement, packed.limit)
  return statement
}
