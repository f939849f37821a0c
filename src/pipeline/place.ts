import { hash } from "node:crypto"
import { downward } from "../catalog/expand.ts"
import { findRelation } from "../catalog/relation-key.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import type { Visibility } from "../core/shadow-catalogue.ts"
import type { ReadTraits } from "../core/statement.ts"
import type { EffectivePolicy } from "../policy/policy.ts"

/** `mixed`: rows of tables and rows of the catalogue in one statement, which no one place has. */
export type Place =
  | { readonly kind: "warehouse" }
  | { readonly kind: "catalogue"; readonly visibility: Visibility }
  | { readonly kind: "mixed" }

export const onWarehouse: Place = { kind: "warehouse" }

const catalogueSchemas: ReadonlySet<string> = new Set(["pg_catalog", "information_schema"])

/** Functions about the schema: only a catalogue can answer them. `pg_typeof` and a few more are about values. */
const catalogueFunctions =
  /^(?:pg_(?!typeof$|size_pretty$|size_bytes$|sleep|backend_pid$|input_)|has_\w+_privilege$|to_reg|format_type$|obj_description$|col_description$|shobj_description$|current_schemas$|reg\w+in$)/

/** Functions about the session, which a statement without tables may ask beside others. */
const sessionFunctions: ReadonlySet<string> = new Set([
  "current_catalog",
  "current_database",
  "current_role",
  "current_schema",
  "current_setting",
  "current_user",
  "getdatabaseencoding",
  "session_user",
  "user",
  "version",
])

export type Mentioned = {
  readonly named: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
}

/** Where a read belongs, by the relations and functions that it names. Only for engines with a shadow. */
export function placeOf(
  traits: ReadTraits,
  mentioned: Mentioned,
  snapshot: CatalogSnapshot,
  policy: EffectivePolicy,
): Place {
  const { named, unknown } = mentioned
  const isSystem = (name: RelationName): boolean =>
    catalogueSchemas.has(snapshot.relations.get(name)?.schema ?? "")
  const systemCount = named.filter(isSystem).length + unknown.filter(isSystemRef).length
  const hasData = systemCount < named.length + unknown.length
  const asksCatalogue =
    systemCount > 0 || traits.functions.some(({ name }) => catalogueFunctions.test(name))
  if (hasData) return asksCatalogue ? { kind: "mixed" } : onWarehouse
  const asksSession =
    traits.usesSessionFact || traits.functions.some(({ name }) => sessionFunctions.has(name))
  if (!asksCatalogue && !asksSession) return onWarehouse
  return { kind: "catalogue", visibility: visibilityOf(policy) }
}

const noColumns: ReadonlySet<string> = new Set()

/** A view over a denied table is hidden with it: its reader would be refused. */
function visibilityOf(policy: EffectivePolicy): Visibility {
  const { allow, deny, rules } = policy
  const denying = (rules?.rules ?? []).filter(({ deniedColumns }) => deniedColumns.size > 0)
  const columns = denying.map(({ policy: { schema, relation }, deniedColumns }) => [
    schema,
    relation,
    ...[...deniedColumns].toSorted(),
  ])
  return {
    digest:
      columns.length === 0
        ? policy.visibility
        : hash(
            "sha256",
            JSON.stringify([
              policy.visibility,
              columns.map((each) => JSON.stringify(each)).toSorted(),
            ]),
          ),
    sees: (name, snapshot) =>
      allow.matches(name) && ![...downward([name], snapshot)].some((below) => deny.matches(below)),
    deniedColumns: (name, snapshot) =>
      denying.find(
        (rule) => findRelation(snapshot, rule.policy.schema, rule.policy.relation) === name,
      )?.deniedColumns ?? noColumns,
    seesAll: allow.matchesEverything && deny.isEmpty && denying.length === 0,
  }
}

function isSystemRef({ schema }: RelationRef): boolean {
  return schema !== undefined && catalogueSchemas.has(schema)
}
