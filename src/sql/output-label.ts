import { type Fields, fieldsOf, listOf, nameParts, nodeFields, textOf } from "./ast.ts"

/** 0: nothing usable; 1: a type's name or "case", which something better may replace; 2: a name. */
type Found = { readonly name: string; readonly strength: 0 | 1 | 2 }

const nothing: Found = { name: "?column?", strength: 0 }

const named = (name: string): Found => ({ name, strength: 2 })

const valueFunctions: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: "current_date",
  SVFOP_CURRENT_TIME: "current_time",
  SVFOP_CURRENT_TIME_N: "current_time",
  SVFOP_CURRENT_TIMESTAMP: "current_timestamp",
  SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
  SVFOP_LOCALTIME: "localtime",
  SVFOP_LOCALTIME_N: "localtime",
  SVFOP_LOCALTIMESTAMP: "localtimestamp",
  SVFOP_LOCALTIMESTAMP_N: "localtimestamp",
  SVFOP_CURRENT_ROLE: "current_role",
  SVFOP_CURRENT_USER: "current_user",
  SVFOP_USER: "user",
  SVFOP_SESSION_USER: "session_user",
  SVFOP_CURRENT_CATALOG: "current_catalog",
  SVFOP_CURRENT_SCHEMA: "current_schema",
}

const byTag: Readonly<Record<string, (fields: Fields) => Found>> = {
  ColumnRef: (fields) => lastString(fields["fields"]) ?? nothing,
  A_Indirection: (fields) => lastString(fields["indirection"]) ?? figure(fields["arg"]),
  FuncCall: (fields) => named(lastName(fields["funcname"])),
  A_Expr: (fields) => (fields["kind"] === "AEXPR_NULLIF" ? named("nullif") : nothing),
  TypeCast: (fields) => {
    const inner = figure(fields["arg"])
    if (inner.strength > 1) return inner
    return { name: lastName(fieldsOf(fields["typeName"])["names"]), strength: 1 }
  },
  CollateClause: (fields) => figure(fields["arg"]),
  GroupingFunc: () => named("grouping"),
  SubLink: (fields) => subLink(fields),
  CaseExpr: (fields) => {
    const otherwise = figure(fields["defresult"])
    return otherwise.strength > 1 ? otherwise : { name: "case", strength: 1 }
  },
  A_ArrayExpr: () => named("array"),
  RowExpr: () => named("row"),
  CoalesceExpr: () => named("coalesce"),
  MinMaxExpr: (fields) => named(fields["op"] === "IS_LEAST" ? "least" : "greatest"),
  SQLValueFunction: (fields) => {
    const name = valueFunctions[textOf(fields["op"])]
    return name === undefined ? nothing : named(name)
  },
  JsonObjectConstructor: () => named("json_object"),
  JsonArrayConstructor: () => named("json_array"),
  JsonScalarExpr: () => named("json_scalar"),
}

function lastName(value: unknown): string {
  return nameParts(value).at(-1) ?? ""
}

function lastString(value: unknown): Found | undefined {
  const names = listOf(value)
    .map((item) => nodeFields(item, "String")?.["sval"])
    .filter((name) => typeof name === "string")
  const name = names.at(-1)
  return name === undefined ? undefined : named(name)
}

function subLink(fields: Fields): Found {
  if (fields["subLinkType"] === "EXISTS_SUBLINK") return named("exists")
  if (fields["subLinkType"] === "ARRAY_SUBLINK") return named("array")
  if (fields["subLinkType"] !== "EXPR_SUBLINK") return nothing
  const select = nodeFields(fields["subselect"], "SelectStmt")
  const target = nodeFields(listOf(select?.["targetList"])[0], "ResTarget")
  if (target === undefined) return nothing
  const given = textOf(target["name"])
  if (given !== "") return named(given)
  const inner = figure(target["val"])
  return inner.strength === 0 ? nothing : named(inner.name)
}

function figure(node: unknown): Found {
  for (const [tag, fields] of Object.entries(fieldsOf(node))) {
    return byTag[tag]?.(fieldsOf(fields)) ?? nothing
  }
  return nothing
}

/** The name that PostgreSQL gives to an output column without AS (FigureColname, parse_target.c). */
export function outputLabel(expression: unknown): string {
  return figure(expression).name
}
