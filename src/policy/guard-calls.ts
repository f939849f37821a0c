import { SqlState } from "../core/sql-state.ts"
import type { Ast } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  nodeOf,
  stringConstant,
  textOf,
} from "../sql/ast.ts"
import { outputLabel } from "../sql/output-label.ts"
import {
  callTreatment,
  describedKinds,
  type Guard,
  type GuardedKind,
  registryKinds,
} from "./catalogue-calls.ts"
import type { GuardTemplates } from "./guard-templates.ts"
import { PolicyRefusal } from "./policy-refusal.ts"

/**
 * What takes the place of a name that is looked up. Never a value of type regclass or its kin: beside one, a plain number
 * would be read as such, too, and print the name of what nobody has granted (`COALESCE(c.oid::regclass, '16390')`).
 */
type Form = "text" | "oid"

const comparisons: ReadonlySet<string> = new Set(["=", "<>", "<", ">", "<=", ">="])
const comparing: ReadonlySet<string> = new Set([
  "AEXPR_OP",
  "AEXPR_OP_ANY",
  "AEXPR_OP_ALL",
  "AEXPR_IN",
  "AEXPR_DISTINCT",
  "AEXPR_NOT_DISTINCT",
])
const oidTypes: ReadonlySet<string> = new Set(["oid", "int4", "int8"])

/**
 * The same query, in which functions that tell of an object by its oid or name, and casts to names, only tell of what is
 * visible. `skipped` are trees of our own making. The very same object where nothing was changed. Throws a
 * {@link PolicyRefusal} for what cannot be guarded.
 */
export function guardCalls(tree: Ast, templates: GuardTemplates, skipped: WeakSet<object>): Ast {
  return fieldsOf(new Guarding(templates, skipped).walk(tree, "text"))
}

class Guarding {
  readonly #templates: GuardTemplates
  readonly #skipped: WeakSet<object>

  constructor(templates: GuardTemplates, skipped: WeakSet<object>) {
    this.#templates = templates
    this.#skipped = skipped
  }

  walk(value: unknown, form: Form): unknown {
    if (Array.isArray(value)) {
      const items = value.map((item) => this.walk(item, form))
      return items.some((item, index) => item !== value[index]) ? items : value
    }
    if (!isFields(value) || this.#skipped.has(value)) return value
    const node = nodeOf(value)
    if (node === undefined) return this.#children(value, () => "text")
    switch (node.tag) {
      case "FuncCall":
        return this.#call(value, node.fields, form)
      case "TypeCast":
        return this.#cast(value, node.fields, form)
      case "RangeFunction":
        return this.#rangeFunction(value, node.fields)
      case "TypeName":
        return this.#type(value, node.fields)
      case "A_Expr":
        return this.#inside(value, node.tag, node.fields, () =>
          isComparison(node.fields) ? "oid" : "text",
        )
      // Rows and lists stand for their members; so does a query in an expression for what it selects.
      case "List":
      case "RowExpr":
      case "SelectStmt":
      case "ResTarget":
        return this.#inside(value, node.tag, node.fields, (key) => this.#passed(key, form))
      case "SubLink": {
        const compares = textOf(node.fields["subLinkType"]) !== "EXPR_SUBLINK"
        return this.#inside(value, node.tag, node.fields, () => (compares ? "oid" : form))
      }
      default:
        return this.#inside(value, node.tag, node.fields, () => "text")
    }
  }

  /** A function in FROM names its column; what takes its place would name another. */
  #rangeFunction(value: Fields, fields: Fields): Fields {
    const walked = this.#children(fields, () => "text")
    if (walked === fields) return value
    const [item, ...more] = listOf(fields["functions"])
    const call = nodeFields(listOf(nodeFields(item, "List")?.["items"])[0], "FuncCall")
    const name = nameParts(call?.["funcname"]).at(-1)
    if (name !== "pg_partition_ancestors" || more.length > 0) return { RangeFunction: walked }
    const alias = fieldsOf(fields["alias"])
    const column = [{ String: { sval: "relid" } }]
    const named = { aliasname: name, colnames: column, ...alias }
    return { RangeFunction: { ...walked, alias: named } }
  }

  #passed(key: string, form: Form): Form {
    return carrying.has(key) ? form : "text"
  }

  #inside(value: Fields, tag: string, fields: Fields, formOf: (key: string) => Form): Fields {
    const walked =
      tag === "SelectStmt" ? this.#select(fields, formOf) : this.#children(fields, formOf)
    return walked === fields ? value : { [tag]: walked }
  }

  /** Branches of a set operation stand without their tag. */
  #select(fields: Fields, formOf: (key: string) => Form): Fields {
    return this.#children(fields, formOf, (key, child) => {
      if (key === "larg" || key === "rarg") {
        const branch = fieldsOf(child)
        return this.#select(branch, formOf)
      }
      if (key === "targetList") return this.#targets(listOf(child), formOf(key))
      return this.walk(child, formOf(key))
    })
  }

  /** An output column keeps its name. */
  #targets(targets: readonly unknown[], form: Form): readonly unknown[] {
    const walked = targets.map((target) => {
      const after = this.walk(target, form)
      if (after === target) return target
      const before = nodeFields(target, "ResTarget") ?? {}
      if (textOf(before["name"]) !== "") return after
      return {
        ResTarget: { ...nodeFields(after, "ResTarget"), name: outputLabel(before["val"]) },
      }
    })
    return walked.some((target, index) => target !== targets[index]) ? walked : targets
  }

  #children(
    fields: Fields,
    formOf: (key: string) => Form,
    walk = (key: string, child: unknown): unknown => this.walk(child, formOf(key)),
  ): Fields {
    let changed: Record<string, unknown> | undefined
    for (const key in fields) {
      const child = fields[key]
      if (key === "typeName") this.#type(fields, fieldsOf(child))
      const walked = walk(key, child)
      if (walked === child) continue
      changed ??= { ...fields }
      changed[key] = walked
    }
    return changed ?? fields
  }

  #cast(value: Fields, fields: Fields, form: Form): unknown {
    const typeName = fieldsOf(fields["typeName"])
    const type = nameParts(typeName["names"]).at(-1) ?? ""
    const kind = registryKinds.get(type)
    if (kind === undefined || "arrayBounds" in typeName) {
      this.#type(value, typeName)
      const inner = oidTypes.has(type) ? "oid" : "text"
      const arg = this.walk(fields["arg"], inner)
      return arg === fields["arg"] ? value : { TypeCast: { ...fields, arg } }
    }
    return this.#lookup(kind, type, fields["arg"], form) ?? this.#open(value, fields)
  }

  #open(value: Fields, fields: Fields): Fields {
    const arg = this.walk(fields["arg"], "oid")
    return arg === fields["arg"] ? value : { TypeCast: { ...fields, arg } }
  }

  /** Undefined where everything of the kind is visible. */
  #lookup(kind: GuardedKind, type: string, argument: unknown, form: Form): Ast | undefined {
    const template = this.#templates.lookup(kind, type, form)
    if (template === undefined) return undefined
    return template(this.#argument(argument), undefined)
  }

  /** Array and column types of a registry have no one place that could be guarded. */
  #type(value: Fields, typeName: Fields): Fields {
    const type = nameParts(typeName["names"]).at(-1) ?? ""
    const kind = registryKinds.get(type.replace(/^_/, ""))
    if (kind !== undefined && this.#templates.hides(kind)) throw refusedName(`type ${type}`)
    const row = this.#templates.hiddenRow(nameParts(typeName["names"]))
    if (row !== undefined)
      throw new PolicyRefusal(
        SqlState.UndefinedObject,
        "relation_not_granted",
        `type "${row}" does not exist`,
      )
    return value
  }

  #call(value: Fields, fields: Fields, form: Form): unknown {
    const parts = nameParts(fields["funcname"])
    const name = parts.at(-1) ?? ""
    const schema = parts.at(-2)
    if (schema === "information_schema" && !unfolding.has(name)) throw refusedCall(name)
    const isOwn = schema === undefined || schema === "pg_catalog"
    const treatment = isOwn ? callTreatment(name) : callTreatment("")
    const args = listOf(fields["args"])
    switch (treatment.kind) {
      case "refused":
        throw refusedCall(name)
      case "guard":
        return this.#guarded(value, fields, treatment.guard)
      case "lookup": {
        const kind = registryKinds.get(treatment.type)
        const [argument, ...more] = args
        if (kind === undefined || more.length > 0) throw refusedCall(name)
        return this.#lookup(kind, treatment.type, argument, form) ?? this.#plain(value, fields)
      }
      case "naming":
        return this.#templates.named(this.#plain(value, fields), form)
      case "description": {
        const catalogue = args.length === 1 ? "pg_class" : stringConstant(uncast(args[1]))
        const kind = describedKinds.get(catalogue ?? "")
        if (kind === undefined) throw refusedCall(name)
        if (kind === "open") return this.#plain(value, fields)
        return this.#guarded(value, fields, { kind, depth: "shown", at: 0 })
      }
      case "ancestors":
        return this.#templates.ancestors(this.#argument(args[0]))
      default:
        return this.#plain(value, fields)
    }
  }

  #plain(value: Fields, fields: Fields): Fields {
    const walked = this.#children(fields, () => "text")
    return walked === fields ? value : { FuncCall: walked }
  }

  #guarded(value: Fields, fields: Fields, guard: Guard): Fields {
    const template = this.#templates.argument(guard)
    if (template === undefined) return this.#plain(value, fields)
    const name = nameParts(fields["funcname"]).at(-1) ?? ""
    const args = listOf(fields["args"])
    const place = (at: number): number => (at < 0 ? args.length + at : at)
    const at = place(guard.at)
    const extra = guard.extra === undefined ? undefined : args[place(guard.extra)]
    const isPlain =
      args.length > at &&
      at >= 0 &&
      fields["func_variadic"] !== true &&
      !args.some((arg) => nodeFields(arg, "NamedArgExpr") !== undefined)
    if (!isPlain || (guard.extra !== undefined && extra === undefined)) throw refusedCall(name)
    const walked = args.map((arg, index) =>
      index === at
        ? template(this.#argument(arg), extra === undefined ? undefined : this.#argument(extra))
        : this.walk(arg, "text"),
    )
    const funcname = [{ String: { sval: "pg_catalog" } }, { String: { sval: name } }]
    return { FuncCall: { ...fields, funcname, args: walked } }
  }

  /** What is put into a query of our own must mean there what it meant. */
  #argument(argument: unknown): unknown {
    if (argument === undefined || hasWindow(argument)) throw refusedName("this argument")
    return this.walk(argument, "oid")
  }
}

/** Fields of a query and its targets that hold the values it gives. */
const carrying: ReadonlySet<string> = new Set([
  "targetList",
  "valuesLists",
  "larg",
  "rarg",
  "val",
  "items",
  "args",
])

/** Of information_schema: what drivers unfold arrays of the catalogue with. */
const unfolding: ReadonlySet<string> = new Set([
  "_pg_expandarray",
  "_pg_truetypid",
  "_pg_truetypmod",
])

function isComparison(fields: Fields): boolean {
  if (!comparing.has(textOf(fields["kind"]))) return false
  return comparisons.has(nameParts(fields["name"]).at(-1) ?? "")
}

function uncast(value: unknown): unknown {
  const cast = nodeFields(value, "TypeCast")
  return cast === undefined ? value : cast["arg"]
}

/** A window counts the rows of the query it stands in. */
function hasWindow(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasWindow)
  if (!isFields(value)) return false
  return "over" in value || Object.values(value).some(hasWindow)
}

const hint = "What you may read decides what the catalogue shows you; this could show more."

function refusedCall(name: string): PolicyRefusal {
  return refusedName(`function ${name}`)
}

function refusedName(what: string): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "function_not_allowed",
    `permission denied for ${what}`,
    hint,
  )
}
