import type { RelationRef } from "../core/relation.ts"
import type { Ast, FunctionRef, ReadTraits } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  isTag,
  listOf,
  nameParts,
  numberOf,
  textOf,
} from "./ast.ts"
import { buildsText } from "./built-text.ts"
import { ownRelation } from "./own-relations.ts"
import {
  clockFunctions,
  nodeFunctions,
  readNodes,
  registryTypes,
  sessionFunctions,
  systemColumns,
  timeTypes,
} from "./read-nodes.ts"
import { type CteScope, openWith, relationOf } from "./relations.ts"
import { looksLikeTimeLiteral } from "./time-literal.ts"

/** What one walk over a query found. */
export type Inspection = {
  readonly traits: ReadTraits
  /** True for SELECT INTO at any level. */
  readonly hasInto: boolean
  /** `LCS_FORUPDATE` and the like of the first row-locking clause met, outermost first. */
  readonly lockStrength: string | undefined
  /** Tags in WITH queries that are statements other than SELECT. */
  readonly modifyingTag: string | undefined
  /** A tag outside of {@link readNodes}. */
  readonly unknownTag: string | undefined
}

const betweenOperators: ReadonlyMap<string, readonly string[]> = new Map([
  ["AEXPR_BETWEEN", [">=", "<="]],
  ["AEXPR_BETWEEN_SYM", [">=", "<="]],
  ["AEXPR_NOT_BETWEEN", ["<", ">"]],
  ["AEXPR_NOT_BETWEEN_SYM", ["<", ">"]],
])

/**
 * Walks a query once and notes what it reads and uses. It looks at every field of every node, known or not, so that a
 * place it has no rule for is still searched for relations and functions: what it reports may be too much, never too little.
 * Iterative: a tree's depth costs no stack.
 */
export function inspectQuery(query: Ast): Inspection {
  const walk = new Walk()
  walk.run(query)
  return walk.inspection()
}

class Walk {
  readonly #values: unknown[] = []
  readonly #scopes: (CteScope | undefined)[] = []
  readonly #relations = new Map<string, RelationRef>()
  readonly #functions = new Map<string, FunctionRef>()
  readonly #operators = new Set<string>()
  readonly #types = new Set<string>()
  readonly #attributes = new Set<string>()
  #usesCurrentDate = false
  #usesCurrentTime = false
  #usesTimeLiteral = false
  #usesSessionFact = false
  #usesSystemColumn = false
  #usesTableSample = false
  readonly #parameters = new Set<number>()
  #parameterCount = 0
  #hasInto = false
  #lockStrength: string | undefined
  #modifyingTag: string | undefined
  #unknownTag: string | undefined

  run(query: Ast): void {
    this.#push(query, undefined)
    while (this.#values.length > 0) {
      const scope = this.#scopes.pop()
      this.#visit(this.#values.pop(), scope)
    }
  }

  inspection(): Inspection {
    return {
      traits: {
        relations: [...this.#relations.values()],
        functions: [...this.#functions.values()],
        operators: [...this.#operators],
        types: [...this.#types],
        attributes: [...this.#attributes],
        usesCurrentDate: this.#usesCurrentDate,
        usesCurrentTime: this.#usesCurrentTime,
        usesTimeLiteral: this.#usesTimeLiteral,
        usesSessionFact: this.#usesSessionFact,
        usesSystemColumn: this.#usesSystemColumn,
        usesTableSample: this.#usesTableSample,
        parameterCount: this.#parameterCount,
        parameterGap: gapIn(this.#parameters, this.#parameterCount),
        usesParameterZero: this.#parameters.has(0),
      },
      hasInto: this.#hasInto,
      lockStrength: this.#lockStrength,
      modifyingTag: this.#modifyingTag,
      unknownTag: this.#unknownTag,
    }
  }

  #push(value: unknown, scope: CteScope | undefined): void {
    if (typeof value !== "object" || value === null) return
    this.#values.push(value)
    this.#scopes.push(scope)
  }

  #visit(value: unknown, scope: CteScope | undefined): void {
    if (Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index -= 1) this.#push(value[index], scope)
      return
    }
    if (!isFields(value)) return
    for (const key in value) {
      if (isTag(key)) this.#node(key, fieldsOf(value[key]), scope)
      else this.#field(key, value[key], scope)
    }
  }

  #field(key: string, value: unknown, scope: CteScope | undefined): void {
    if (key === "typeName") this.#type(fieldsOf(value))
    this.#push(value, scope)
  }

  #children(fields: Fields, scope: CteScope | undefined): void {
    for (const key in fields) this.#field(key, fields[key], scope)
  }

  #node(tag: string, fields: Fields, scope: CteScope | undefined): void {
    if (!readNodes.has(tag)) this.#unknownTag ??= tag
    for (const name of nodeFunctions.get(tag) ?? []) this.#function("pg_catalog", name, 1)
    switch (tag) {
      case "SelectStmt":
        this.#select(fields, scope)
        return
      case "RangeVar":
        this.#relation(fields, scope)
        return
      case "RangeTableSample":
        this.#usesTableSample = true
        break
      case "FuncCall":
        this.#call(fields)
        break
      case "ColumnRef":
        this.#columnRef(fields)
        return
      case "A_Indirection":
        this.#names(nameParts(fields["indirection"]))
        break
      case "SortBy":
        this.#operator(fields["useOp"])
        break
      case "TypeName":
        this.#type(fields)
        break
      default:
        this.#expression(tag, fields)
    }
    this.#children(fields, scope)
  }

  #expression(tag: string, fields: Fields): void {
    switch (tag) {
      case "A_Const":
        this.#constant(fields)
        break
      case "A_Expr":
        this.#binary(fields)
        break
      case "SubLink":
        this.#subLink(fields)
        break
      case "CaseExpr":
        if ("arg" in fields) this.#operators.add("=")
        break
      case "JoinExpr":
        if ("usingClause" in fields || fields["isNatural"] === true) this.#operators.add("=")
        break
      case "ParamRef":
        this.#parameter(numberOf(fields["number"]))
        break
      case "SQLValueFunction":
        this.#valueFunction(textOf(fields["op"]))
        break
      case "TypeCast":
        this.#cast(fields)
        break
      default:
    }
  }

  #parameter(number: number): void {
    this.#parameters.add(number)
    this.#parameterCount = Math.max(this.#parameterCount, number)
  }

  #select(fields: Fields, scope: CteScope | undefined): void {
    if ("intoClause" in fields) this.#hasInto = true
    for (const item of listOf(fields["lockingClause"])) {
      const locking = fieldsOf(fieldsOf(item)["LockingClause"])
      this.#lockStrength ??= textOf(locking["strength"])
    }
    const opened = openWith(fields["withClause"], scope)
    for (const key in fields) {
      if (key === "withClause" || key === "lockingClause" || key === "intoClause") continue
      // The branches of a set operation stand without their tag.
      if (key === "larg" || key === "rarg") this.#push({ SelectStmt: fields[key] }, opened.scope)
      else this.#push(fields[key], opened.scope)
    }
    for (const { cte, scope: inner } of opened.ctes) {
      const query = fieldsOf(cte["ctequery"])
      for (const tag in query) if (tag !== "SelectStmt") this.#modifyingTag ??= tag
      this.#push(cte, inner)
    }
  }

  #relation(fields: Fields, scope: CteScope | undefined): void {
    const relation = relationOf(fields, scope)
    if (relation === undefined) return
    if (ownRelation(relation.name) !== undefined) this.#usesSessionFact = true
    const key = JSON.stringify([relation.catalog ?? null, relation.schema ?? null, relation.name])
    if (!this.#relations.has(key)) this.#relations.set(key, relation)
  }

  #function(schema: string | undefined, name: string, argumentCount: number): void {
    const key = JSON.stringify([schema ?? null, name, argumentCount])
    if (!this.#functions.has(key)) this.#functions.set(key, { schema, name, argumentCount })
  }

  #call(fields: Fields): void {
    const parts = nameParts(fields["funcname"])
    const name = parts.at(-1) ?? ""
    const ordered = fields["agg_within_group"] === true ? listOf(fields["agg_order"]).length : 0
    const argumentCount = listOf(fields["args"]).length + ordered
    this.#function(parts.at(-2), name, argumentCount)
    if (clockFunctions.has(name)) this.#usesCurrentTime = true
    if (sessionFunctions.has(name)) this.#usesSessionFact = true
    // age(x) counts from midnight of the current date.
    if (name === "age" && argumentCount === 1) this.#usesCurrentDate = true
  }

  #columnRef(fields: Fields): void {
    const parts = nameParts(fields["fields"])
    const last = parts.at(-1) ?? ""
    if (systemColumns.has(last)) this.#usesSystemColumn = true
    // `t.f` calls the function f when t has no column f (manual, 8.16.5); an unqualified name cannot.
    if (parts.length > 1 && last !== "") this.#attributes.add(last)
  }

  #names(parts: readonly string[]): void {
    for (const name of parts) {
      if (name === "") continue
      if (systemColumns.has(name)) this.#usesSystemColumn = true
      this.#attributes.add(name)
    }
  }

  #operator(name: unknown): void {
    const parts = nameParts(name)
    if (parts.length > 0) this.#operators.add(parts.join("."))
  }

  #binary(fields: Fields): void {
    const pair = betweenOperators.get(textOf(fields["kind"]))
    if (pair === undefined) this.#operator(fields["name"])
    else for (const operator of pair) this.#operators.add(operator)
  }

  #subLink(fields: Fields): void {
    this.#operator(fields["operName"])
    if (fields["subLinkType"] === "ANY_SUBLINK" && !("operName" in fields)) this.#operators.add("=")
  }

  #constant(fields: Fields): void {
    if (!("sval" in fields) || this.#usesTimeLiteral) return
    this.#usesTimeLiteral = looksLikeTimeLiteral(textOf(fieldsOf(fields["sval"])["sval"]))
  }

  #valueFunction(op: string): void {
    if (op === "SVFOP_CURRENT_DATE") this.#usesCurrentDate = true
    else if (op.startsWith("SVFOP_CURRENT_TIME") || op.startsWith("SVFOP_LOCALTIME")) {
      this.#usesCurrentTime = true
    } else this.#usesSessionFact = true
  }

  #type(fields: Fields): void {
    const parts = nameParts(fields["names"])
    const name = parts.at(-1) ?? ""
    if (name === "") return
    this.#types.add(parts.join("."))
    if (registryTypes.has(name)) this.#function("pg_catalog", `${name}in`, 1)
  }

  #cast(fields: Fields): void {
    const parts = nameParts(fieldsOf(fields["typeName"])["names"])
    if (!timeTypes.has(parts.at(-1) ?? "")) return
    if (buildsText(fields["arg"])) this.#usesTimeLiteral = true
  }
}

/** Parameters are numbered from 1; a set of n numbers without a gap ends at n. */
function gapIn(parameters: ReadonlySet<number>, count: number): number {
  if (count === parameters.size) return 0
  let gap = 1
  while (parameters.has(gap)) gap += 1
  return gap
}
