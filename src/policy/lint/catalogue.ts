import { findRelation, folded } from "../../catalog/relation-key.ts"
import { resolveFunctions } from "../../catalog/resolve-functions.ts"
import type { CatalogRelation, CatalogSnapshot } from "../../core/catalog.ts"
import type { RelationName } from "../../core/relation.ts"
import { inspectQuery } from "../../sql/traits.ts"
import type { PolicyExpression } from "../expression.ts"
import { foreignName } from "../expression-scope.ts"
import { type Finding, type LintSubject, type Located, locatedPolicies, meant } from "./finding.ts"
import { lintGaps } from "./gaps.ts"

/** Policies against one warehouse's catalogue: names that are not there, functions that change their mind, gaps. */
export function lintCatalogue(subject: LintSubject, snapshot: CatalogSnapshot): readonly Finding[] {
  const governed = new Map<RelationName, Located>()
  const findings: Finding[] = []
  for (const located of locatedPolicies(subject)) {
    const { schema, relation } = located.policy
    const name = findRelation(snapshot, schema, relation)
    const found = name === undefined ? undefined : snapshot.relations.get(name)
    if (found === undefined) findings.push(unknownRelation(subject, located, snapshot))
    else {
      governed.set(found.name, located)
      findings.push(
        ...unknownColumns(subject, located, found, snapshot),
        ...expressionFaults(subject, located, found, snapshot),
      )
    }
  }
  return [...findings, ...lintGaps(subject, governed, snapshot)]
}

function unknownRelation(
  subject: LintSubject,
  { policy, path }: Located,
  snapshot: CatalogSnapshot,
): Finding {
  const near = nearestRelation(subject, policy, snapshot)
  const hint = near === undefined ? "" : `; did you mean "${near}"?`
  return {
    level: "error",
    code: "relation_unknown",
    path,
    message: `the warehouse has no such relation: the policy protects nothing${hint}`,
  }
}

/** A like name in the same schema, or else the same name in another one. */
function nearestRelation(
  { nearest }: LintSubject,
  { schema, relation }: Located["policy"],
  snapshot: CatalogSnapshot,
): string | undefined {
  const beside: string[] = []
  const schemas: string[] = []
  for (const other of snapshot.relations.values()) {
    if (other.schema === schema) beside.push(other.relation)
    if (other.relation === relation) schemas.push(other.schema)
  }
  const like = nearest(relation, beside)
  if (like !== undefined) return `${schema}.${like}`
  const there = nearest(schema, schemas) ?? schemas[0]
  return there === undefined ? undefined : `${there}.${relation}`
}

function unknownColumns(
  subject: LintSubject,
  { policy, path }: Located,
  { columns = [] }: CatalogRelation,
  snapshot: CatalogSnapshot,
): readonly Finding[] {
  const known = new Set(columns.map((column) => folded(snapshot, column)))
  const findings: Finding[] = []
  const seen = new Map<string, number>()
  const check = (where: Finding["path"], column: string): void => {
    if (known.has(folded(snapshot, column))) return
    findings.push({
      level: "error",
      code: "column_unknown",
      path: [...path, ...where],
      message: `the relation has no column "${column}": its readers are refused${meant(subject, column, columns)}`,
    })
  }
  for (const [index, { column }] of policy.masks.entries()) {
    check(["masks", index, "column"], column)
    const other = seen.get(folded(snapshot, column))
    seen.set(folded(snapshot, column), index)
    if (other !== undefined)
      findings.push({
        level: "error",
        code: "mask_overlap",
        path: [...path, "masks", index, "column"],
        message: `masks[${other}] is for the same column: this engine does not tell the two names apart`,
      })
  }
  for (const [index, denied] of policy.deniedColumns.entries())
    for (const [at, column] of denied.columns.entries())
      check(["deniedColumns", index, "columns", at], column)
  return findings
}

/** Filters and masks with the places they stand at. */
export function expressionsOf({ policy, path }: Located): readonly {
  readonly path: Finding["path"]
  readonly expression: PolicyExpression
  /** The column that a mask stands for. */
  readonly column: string | undefined
}[] {
  return [
    ...policy.rowFilters.map(({ filter }, index) => ({
      path: [...path, "rowFilters", index, "filter"],
      expression: filter,
      column: undefined,
    })),
    ...policy.masks.map(({ mask, column }, index) => ({
      path: [...path, "masks", index, "mask"],
      expression: mask,
      column,
    })),
  ]
}

function expressionFaults(
  subject: LintSubject,
  located: Located,
  relation: CatalogRelation,
  snapshot: CatalogSnapshot,
): readonly Finding[] {
  const columns = relation.columns ?? []
  const fold = (name: string): string => folded(snapshot, name)
  const scope = {
    table: relation.relation,
    ofTable: new Set(columns.map(fold)),
    of: (schema: string, name: string) => {
      const found = findRelation(snapshot, schema, name)
      return found === undefined ? undefined : snapshot.relations.get(found)?.columns
    },
    fold,
  }
  return expressionsOf(located).flatMap(({ path, expression }): readonly Finding[] => {
    const foreign = foreignName(expression.ast, scope)
    if (foreign !== undefined)
      return [
        {
          level: "error",
          code: "name_unknown",
          path,
          message: `names "${foreign}", which is not there: readers are refused${meant(subject, foreign, columns)}`,
        },
      ]
    const { functions } = inspectQuery(asQuery(expression)).traits
    const verdict = resolveFunctions(functions, { snapshot, searchPath: [] })
    if (verdict.kind !== "refused" || verdict.reason !== "volatile_function") return []
    return [
      {
        level: "error",
        code: "function_volatile",
        path,
        message: `calls ${verdict.name}(), which is volatile: the same reader would see other rows each time`,
      },
    ]
  })
}

function asQuery({ ast }: PolicyExpression) {
  return {
    SelectStmt: {
      targetList: [{ ResTarget: { val: ast } }],
      limitOption: "LIMIT_OPTION_DEFAULT",
      op: "SETOP_NONE",
    },
  }
}
