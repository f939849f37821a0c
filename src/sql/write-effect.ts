import type { RelationRef } from "../core/relation.ts"
import type { Ast, FunctionRef } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  isTag,
  listOf,
  nameParts,
  nodeOf,
  stringConstant,
  textOf,
} from "./ast.ts"
import { type CteScope, openWith, relationOf } from "./relations.ts"

/**
 * What kind of change a statement is, for policy:
 * - `data`: rows of relations that the statement names;
 * - `definition`: relations that it names are made, changed or dropped;
 * - `session`: nothing that others see (LISTEN, LOCK TABLE, ANALYZE, a setting);
 * - `code`: what it does is not in its text (functions, DO, CALL, types, rules, triggers, roles);
 * - `server`: beyond the data: files, other servers, the server's configuration.
 */
export type WriteKind = "data" | "definition" | "session" | "code" | "server"

export type WriteEffect = {
  readonly kind: WriteKind
  /** Relations whose rows or definitions change; `everything` when the text does not tell. */
  readonly written: readonly RelationRef[] | "everything"
  /** True when names may mean something else afterwards. */
  readonly changesSchema: boolean
  /** Everything that the statement names, written or read. */
  readonly relations: readonly RelationRef[]
  /** Names of temporary relations that it makes: nobody else ever sees them. */
  readonly temporary: readonly string[]
  readonly functions: readonly FunctionRef[]
  /** Name that a PREPARE gives its statement. */
  readonly prepares: string | undefined
  /** Name of the statement that an EXECUTE runs, also below CREATE TABLE AS or EXPLAIN. */
  readonly executes: string | undefined
}

const dataStatements: ReadonlySet<string> = new Set([
  "SelectStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
  "CopyStmt",
  "TruncateStmt",
  "RefreshMatViewStmt",
])

const definitionStatements: ReadonlySet<string> = new Set([
  "CreateStmt",
  "CreateTableAsStmt",
  "ViewStmt",
  "IndexStmt",
  "AlterTableStmt",
  "RenameStmt",
  "AlterObjectSchemaStmt",
  "CommentStmt",
  "CreateSeqStmt",
  "AlterSeqStmt",
  "CreateStatsStmt",
  "CreateSchemaStmt",
])

const sessionStatements: ReadonlySet<string> = new Set([
  "ListenStmt",
  "UnlistenStmt",
  "NotifyStmt",
  "LockStmt",
  "VacuumStmt",
  "ReindexStmt",
  "ClusterStmt",
  "ConstraintsSetStmt",
  "VariableSetStmt",
  "VariableShowStmt",
  "DiscardStmt",
  "DeallocateStmt",
  "ClosePortalStmt",
  "FetchStmt",
  "TransactionStmt",
])

/** Files and programs of the server, its configuration, other servers: no gateway's business, whoever asks. */
const serverStatements: ReadonlySet<string> = new Set([
  "AlterSystemStmt",
  "LoadStmt",
  "CheckPointStmt",
  "CreateTableSpaceStmt",
  "DropTableSpaceStmt",
  "AlterTableSpaceOptionsStmt",
  "CreateSubscriptionStmt",
  "AlterSubscriptionStmt",
  "DropSubscriptionStmt",
  "CreateUserMappingStmt",
  "AlterUserMappingStmt",
  "DropUserMappingStmt",
])

/** Object types whose DROP and RENAME concern relations named in the statement only. */
const relationObjects: ReadonlySet<string> = new Set([
  "OBJECT_TABLE",
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_INDEX",
  "OBJECT_SEQUENCE",
  "OBJECT_FOREIGN_TABLE",
  "OBJECT_COLUMN",
  "OBJECT_TABCONSTRAINT",
])

/** Settings that a client may never change: they would alter who reads or how its bytes are read. */
const forbiddenSettings: ReadonlySet<string> = new Set([
  "role",
  "session_authorization",
  "session_replication_role",
  "row_security",
  "client_encoding",
  "standard_conforming_strings",
])

/** Tags of two-phase commit: what another session commits later is not known to this one. */
const twoPhase: ReadonlySet<string> = new Set([
  "TRANS_STMT_PREPARE",
  "TRANS_STMT_COMMIT_PREPARED",
  "TRANS_STMT_ROLLBACK_PREPARED",
])

/**
 * What a statement of a session that may write changes, from its tree alone. What triggers, rules, cascades and functions
 * do besides is the catalogue's to tell.
 */
export function writeEffect(ast: Ast): WriteEffect {
  const walk = new EffectWalk()
  walk.run(ast)
  const top = nodeOf(ast)
  const kind = walk.touchesServer ? "server" : kindOf(top?.tag ?? "", top?.fields ?? {})
  const makesTemporary = kind === "definition" && walk.temporary.length > 0
  const changesSchema =
    !makesTemporary && (kind === "definition" || kind === "code" || walk.makesRelations)
  const written =
    kind === "code"
      ? "everything"
      : kind === "definition" && !makesTemporary
        ? walk.relations
        : walk.targets
  return {
    kind,
    written,
    changesSchema,
    relations: walk.relations,
    temporary: walk.temporary,
    functions: walk.functions,
    prepares: top?.tag === "PrepareStmt" ? textOf(top.fields["name"]) : undefined,
    executes: walk.executes,
  }
}

function kindOf(tag: string, fields: Fields): WriteKind {
  if (serverStatements.has(tag)) return "server"
  switch (tag) {
    case "CopyStmt":
      return "filename" in fields || fields["is_program"] === true ? "server" : "data"
    case "TransactionStmt":
      return twoPhase.has(textOf(fields["kind"])) ? "code" : "session"
    case "VariableSetStmt": {
      const name = textOf(fields["name"]).toLowerCase()
      return forbiddenSettings.has(name) ? "server" : "session"
    }
    case "DropStmt":
      return relationObjects.has(textOf(fields["removeType"])) ? "definition" : "code"
    case "RenameStmt":
      return relationObjects.has(textOf(fields["renameType"])) ? "definition" : "code"
    case "AlterObjectSchemaStmt":
      return relationObjects.has(textOf(fields["objectType"])) ? "definition" : "code"
    case "ExplainStmt":
    case "PrepareStmt":
    case "DeclareCursorStmt": {
      const inner = nodeOf(fieldsOf(fields["query"]))
      return inner === undefined ? "code" : kindOf(inner.tag, inner.fields)
    }
    case "CreateTableAsStmt": {
      const inner = nodeOf(fieldsOf(fields["query"]))
      return inner?.tag === "ExecuteStmt" ? "code" : "definition"
    }
    // What it runs was judged when it was prepared.
    case "ExecuteStmt":
      return "session"
    default:
  }
  if (dataStatements.has(tag)) return "data"
  if (definitionStatements.has(tag)) return "definition"
  return sessionStatements.has(tag) ? "session" : "code"
}

/** Statements that change rows of the relation in their field `relation`. */
const targetTags: ReadonlySet<string> = new Set([
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
  "RefreshMatViewStmt",
])

type Pending = { readonly value: unknown; readonly scope: CteScope | undefined }

/** One walk over a tree of any statement. It looks into every field of every node, so that it may find too much, never too little. */
class EffectWalk {
  readonly #pending: Pending[] = []
  readonly #relations = new Map<string, RelationRef>()
  readonly #targets = new Map<string, RelationRef>()
  readonly #functions = new Map<string, FunctionRef>()
  /** SELECT INTO, CREATE TABLE AS at any level. */
  makesRelations = false
  /** Names that it gives to temporary relations. */
  readonly temporary: string[] = []
  /** set_config() of a setting that no client may change, or of one that only shows when it runs. */
  touchesServer = false
  executes: string | undefined

  run(ast: Ast): void {
    this.#pending.push({ value: ast, scope: undefined })
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop())
      this.#visit(next.value, next.scope)
  }

  get relations(): readonly RelationRef[] {
    return [...this.#relations.values()]
  }

  get targets(): readonly RelationRef[] {
    return [...this.#targets.values()]
  }

  get functions(): readonly FunctionRef[] {
    return [...this.#functions.values()]
  }

  #visit(value: unknown, scope: CteScope | undefined): void {
    if (Array.isArray(value)) {
      for (const item of value) this.#push(item, scope)
      return
    }
    if (!isFields(value)) return
    // RangeVar stands with and without its tag; no other node has a relname.
    if (typeof value["relname"] === "string") this.#add(this.#relations, relationOf(value, scope))
    if (value["relpersistence"] === "t") this.temporary.push(textOf(value["relname"]))
    if ("intoClause" in value) this.makesRelations = true
    const opened = "withClause" in value ? openWith(value["withClause"], scope) : undefined
    for (const key in value) {
      if (opened !== undefined && key === "withClause") continue
      if (isTag(key)) this.#node(key, fieldsOf(value[key]))
      this.#push(value[key], opened?.scope ?? scope)
    }
    for (const { cte, scope: inner } of opened?.ctes ?? []) this.#push(cte, inner)
  }

  #push(value: unknown, scope: CteScope | undefined): void {
    if (typeof value === "object" && value !== null) this.#pending.push({ value, scope })
  }

  #add(to: Map<string, RelationRef>, relation: RelationRef | undefined): void {
    if (relation === undefined) return
    to.set(JSON.stringify([relation.catalog, relation.schema, relation.name]), relation)
  }

  #node(tag: string, fields: Fields): void {
    // What is written is never a CTE, whatever names are visible.
    if (targetTags.has(tag) || (tag === "CopyStmt" && fields["is_from"] === true))
      this.#target(fields["relation"])
    switch (tag) {
      case "TruncateStmt":
        for (const item of listOf(fields["relations"]))
          this.#target(fieldsOf(item)["RangeVar"] ?? item)
        break
      case "CreateTableAsStmt":
        this.makesRelations = true
        break
      case "DropStmt":
        for (const item of listOf(fields["objects"])) this.#named(item)
        break
      case "CommentStmt":
        this.#named(fields["object"])
        break
      case "ExecuteStmt":
        this.executes = textOf(fields["name"])
        break
      case "FuncCall":
        this.#function(fields)
        break
      default:
    }
  }

  #target(value: unknown): void {
    const relation = relationOf(fieldsOf(value), undefined)
    this.#add(this.#targets, relation)
    this.#add(this.#relations, relation)
  }

  /** A relation named by a list of its parts, as DROP has it. */
  #named(item: unknown): void {
    const parts = nameParts(fieldsOf(fieldsOf(item)["List"])["items"])
    const name = parts.at(-1)
    if (name === undefined) return
    this.#add(this.#relations, { catalog: parts.at(-3), schema: parts.at(-2), name })
  }

  #function(fields: Fields): void {
    const parts = nameParts(fields["funcname"])
    const name = parts.at(-1) ?? ""
    const schema = parts.at(-2)
    const argumentCount = listOf(fields["args"]).length
    if (name === "set_config") {
      const setting = stringConstant(listOf(fields["args"])[0])
      if (setting === undefined || forbiddenSettings.has(setting.toLowerCase()))
        this.touchesServer = true
    }
    this.#functions.set(JSON.stringify([schema, name, argumentCount]), {
      schema,
      name,
      argumentCount,
    })
  }
}
