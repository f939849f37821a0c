/**
 * What a view's stored parse tree (pg_rewrite.ev_action) names. The tree's text is PostgreSQL's own node format; names and
 * constants in it are escaped, so that a label such as `:relid 5` always is one of the tree's own.
 */
export type ViewRule = {
  /** pg_class oids of the relations in it, at any depth. */
  readonly relationOids: ReadonlySet<string>
  /** pg_proc oids of functions and of the functions behind operators, aggregates and window functions. */
  readonly functionOids: ReadonlySet<string>
  /** CURRENT_DATE, CURRENT_USER and their kin, or TABLESAMPLE: no function call says so. */
  readonly hasSpecial: boolean
}

const label = /:(relid|funcid|opfuncid|aggfnoid|winfnoid) (\d+)/g
const special = /\{(?:SQLVALUEFUNCTION|TABLESAMPLECLAUSE|NEXTVALUEEXPR|CURRENTOFEXPR) /

export function readViewRule(tree: string): ViewRule {
  const relationOids = new Set<string>()
  const functionOids = new Set<string>()
  for (const [, kind, oid = "0"] of tree.matchAll(label)) {
    if (oid === "0") continue
    if (kind === "relid") relationOids.add(oid)
    else functionOids.add(oid)
  }
  return { relationOids, functionOids, hasSpecial: special.test(tree) }
}
