import { GatewayError } from "../core/errors.ts"
import type { SessionValues } from "../core/session-values.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast, Statement } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  isTag,
  listOf,
  nameParts,
  nodeFields,
  stringConstant,
  textOf,
} from "./ast.ts"
import { emitTree } from "./emit.ts"
import { type OwnRelation, ownRelation } from "./own-relations.ts"
import { parseText, parseTrees } from "./parser.ts"

/**
 * The statement with the session's own facts as literals in place of the calls that ask for them, and with its own sessions
 * and objects in place of pg_stat_activity and its like: on the warehouse they would tell of the gateway's connection. Returns the same object when
 * there is nothing to replace. What comes back is emitted and verified (emit.ts), and positions in it mean nothing to the
 * client. Throws 0A000 where a fact stands in a place that takes no literal.
 */
export function bindSession(statement: Statement, values: SessionValues): Statement {
  const binder = new Binder(values, readsCatalogue(statement))
  const ast = binder.value(statement.ast)
  if (ast === statement.ast) return statement
  const [bound, ...more] = parseText(emitTree(ast as Ast).text)
  if (bound === undefined || more.length > 0) throw unsupported("this statement")
  const { hints } = statement
  return { ...bound, isRewritten: true, ...(hints === undefined ? {} : { hints }) }
}

/** Rows of the catalogue name the warehouse's own database: there current_database() must be its name, too. */
function readsCatalogue({ class: statementClass }: Statement): boolean {
  if (statementClass.kind !== "read" && statementClass.kind !== "explain") return false
  return statementClass.traits.relations.some(
    ({ schema, name }) =>
      ownRelation(name) === undefined &&
      (schema === "information_schema" ||
        schema === "pg_catalog" ||
        (schema === undefined && name.startsWith("pg_"))),
  )
}

const grammarLabels: ReadonlyMap<string, string> = new Map([
  ["SVFOP_CURRENT_USER", "current_user"],
  ["SVFOP_CURRENT_ROLE", "current_role"],
  ["SVFOP_USER", "user"],
  ["SVFOP_SESSION_USER", "session_user"],
  ["SVFOP_CURRENT_CATALOG", "current_catalog"],
])

/** The grammar's name without its prefix: the user's functions, or the database's. */
const userOps: ReadonlySet<string> = new Set([
  "SVFOP_CURRENT_USER",
  "SVFOP_CURRENT_ROLE",
  "SVFOP_USER",
  "SVFOP_SESSION_USER",
])

/** has_table_privilege(current_user, ...) asks about the warehouse's role, which decides; a user of the gateway's is unknown there. */
function asksForPrivilege(name: string): boolean {
  return name === "pg_has_role" || /^has_\w+_privilege$/.test(name)
}

function systemName(call: Fields): string {
  const parts = nameParts(call["funcname"])
  return parts.length === 1 || parts[0] === "pg_catalog" ? (parts.at(-1) ?? "") : ""
}

class Binder {
  readonly #values: SessionValues
  readonly #keepsDatabase: boolean

  constructor(values: SessionValues, keepsDatabase: boolean) {
    this.#values = values
    this.#keepsDatabase = keepsDatabase
  }

  /** Copies only what leads to a change. */
  value(value: unknown): unknown {
    if (Array.isArray(value)) return this.#list(value)
    if (!isFields(value)) return value
    let copy: Record<string, unknown> | undefined
    for (const key in value) {
      const old = value[key]
      if (isTag(key) && isFields(old)) {
        const replaced = this.#node(key, old)
        if (replaced !== undefined) return replaced
      }
      const made = this.value(old)
      if (made === old) continue
      copy ??= { ...value }
      copy[key] = made
    }
    return copy ?? value
  }

  #list(list: readonly unknown[]): readonly unknown[] {
    let copy: unknown[] | undefined
    for (const [index, old] of list.entries()) {
      const made = this.value(old)
      if (made === old) continue
      copy ??= [...list]
      copy[index] = made
    }
    return copy ?? list
  }

  /** What stands in the node's place; undefined to look inside. */
  #node(tag: string, fields: Fields): unknown {
    switch (tag) {
      case "SQLValueFunction":
      case "FuncCall":
        return this.#fact(tag, fields) ?? this.#privilege(tag, fields)
      case "RangeVar":
        return this.#ownView(fields)
      case "RangeFunction":
        return this.#rangeFunction(fields)
      case "ResTarget":
        return this.#target(fields)
      case "CommonTableExpr":
        // Which of the two a later reference means would have to be decided by scope.
        if (ownRelation(textOf(fields["ctename"])) !== undefined)
          throw unsupported(`a WITH query named ${textOf(fields["ctename"])} beside session facts`)
        return undefined
      case "ColumnRef":
        return shortened(fields)
      default:
        return undefined
    }
  }

  /** The literal for a call, or undefined when it asks for nothing of the session's. */
  #fact(tag: string, fields: Fields): unknown {
    const sql = tag === "FuncCall" ? this.#called(fields) : this.#grammar(textOf(fields["op"]))
    return sql === undefined ? undefined : expression(sql)
  }

  #grammar(op: string): string | undefined {
    if (userOps.has(op)) return literal(this.#values.user, "name")
    if (op !== "SVFOP_CURRENT_CATALOG" || this.#keepsDatabase) return undefined
    return literal(this.#values.database, "name")
  }

  #called(call: Fields): string | undefined {
    const name = systemName(call)
    const { user, database, processId, address } = this.#values
    const inet = this.#values.engine === "postgres" ? "inet" : "text"
    switch (name) {
      case "pg_backend_pid":
        return `${processId}::int4`
      case "getpgusername":
        return literal(user, "name")
      case "current_database":
        return this.#keepsDatabase ? undefined : literal(database, "name")
      case "inet_client_addr":
        return literal(address?.client.address, inet)
      case "inet_client_port":
        return literal(address?.client.port, "int4")
      case "inet_server_addr":
        return literal(address?.server.address, inet)
      case "inet_server_port":
        return literal(address?.server.port, "int4")
      case "pg_my_temp_schema":
        return literal(0, "oid")
      case "system_user":
        throw unsupported("system_user")
      case "current_setting":
        return this.#setting(listOf(call["args"]))
      default:
        return undefined
    }
  }

  #setting(args: readonly unknown[]): string | undefined {
    const name = stringConstant(args[0])
    // A name that is only known when the statement runs could be that of the warehouse's role.
    if (name === undefined) throw unsupported("current_setting() of a name that is no constant")
    const value = this.#values.setting(name)
    return value === undefined ? undefined : literal(value, "text")
  }

  #privilege(tag: string, fields: Fields): unknown {
    const [first, ...rest] = listOf(fields["args"])
    if (tag !== "FuncCall" || !asksForPrivilege(systemName(fields))) return undefined
    if (nodeFields(first, "SQLValueFunction") === undefined) return undefined
    const made = this.#list(rest)
    return { FuncCall: { ...fields, args: [first, ...made] } }
  }

  /** An output column keeps the name that it has from the call (FigureColname, parse_target.c). */
  #target(fields: Fields): unknown {
    if ("name" in fields) return undefined
    const label = this.#label(fields["val"])
    const val = this.value(fields["val"])
    if (label === undefined || val === fields["val"]) return undefined
    return { ResTarget: { ...fields, name: label, val } }
  }

  #label(value: unknown): string | undefined {
    const inner =
      nodeFields(value, "TypeCast")?.["arg"] ??
      nodeFields(value, "CollateClause")?.["arg"] ??
      nodeFields(value, "CaseExpr")?.["defresult"]
    if (inner !== undefined) return this.#label(inner)
    const grammar = nodeFields(value, "SQLValueFunction")
    if (grammar !== undefined) return grammarLabels.get(textOf(grammar["op"]))
    const call = nodeFields(value, "FuncCall")
    return call === undefined ? undefined : nameParts(call["funcname"]).at(-1)
  }

  /** `FROM pg_backend_pid()`: a sub-select of one row, with the names that the function's would have. */
  #rangeFunction(fields: Fields): unknown {
    const functions = listOf(fields["functions"])
    const [item] = listOf(nodeFields(functions[0], "List")?.["items"])
    if (functions.length !== 1 || !isFields(item)) return undefined
    const made = this.value(item)
    if (made === item) return undefined
    if (nodeFields(made, "FuncCall") !== undefined) return undefined
    if ("ordinality" in fields || "is_rowsfrom" in fields || "coldeflist" in fields)
      throw unsupported("a session fact in ROWS FROM")
    const alias = fieldsOf(fields["alias"])
    const label = this.#label(item) ?? "column"
    const name = textOf(alias["aliasname"]) || label
    return {
      RangeSubselect: {
        subquery: selectOf(made, name),
        alias: "aliasname" in alias ? alias : { aliasname: label },
      },
    }
  }

  #ownView(fields: Fields): unknown {
    const name = textOf(fields["relname"])
    const relation = ownView(fields)
    if (relation === undefined) return undefined
    if (this.#values.holdsOwnObjects && name !== "pg_stat_activity") return undefined
    const rows = relation.from(this.#values)
    const [range] = listOf(select(`SELECT * FROM ${rows}`)["fromClause"])
    const made = nodeFields(range, "RangeSubselect") ?? {}
    const given = fieldsOf(fields["alias"])
    const renamed = listOf(given["colnames"])
    const colnames = relation.columns.map(
      (column, index) => renamed[index] ?? { String: { sval: column } },
    )
    const aliasname = textOf(given["aliasname"]) || name
    return { RangeSubselect: { ...made, alias: { aliasname, colnames } } }
  }
}

function ownView(fields: Fields): OwnRelation | undefined {
  const schema = textOf(fields["schemaname"])
  const isSystem = (schema === "" || schema === "pg_catalog") && !("catalogname" in fields)
  return isSystem ? ownRelation(textOf(fields["relname"])) : undefined
}

/** `pg_catalog.pg_stat_activity.pid`: a sub-select has no schema. */
function shortened(fields: Fields): unknown {
  const [schema, relation = "", ...rest] = nameParts(fields["fields"])
  if (schema !== "pg_catalog" || ownRelation(relation) === undefined || rest.length === 0)
    return undefined
  return { ColumnRef: { ...fields, fields: listOf(fields["fields"]).slice(1) } }
}

function literal(value: string | number | undefined, type: string): string {
  if (value === undefined) return `NULL::${type}`
  return typeof value === "number" ? `${value}::${type}` : `${quoted(value)}::${type}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function select(sql: string): Fields {
  const [ast] = parseTrees(sql)
  return nodeFields(ast, "SelectStmt") ?? {}
}

function expression(sql: string): unknown {
  const [target] = listOf(select(`SELECT ${sql}`)["targetList"])
  return nodeFields(target, "ResTarget")?.["val"]
}

function selectOf(val: unknown, name: string): unknown {
  const made = select("SELECT 1")
  return { SelectStmt: { ...made, targetList: [{ ResTarget: { name, val } }] } }
}

function unsupported(what: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: `${what} is not supported by this gateway`,
    hint: "The warehouse would answer for the gateway's own connection, not for yours.",
    safeToRetry: true,
  })
}
