import type { Expansion } from "../catalog/expand.ts"
import type { FunctionVerdict } from "../catalog/resolve-functions.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { BypassReason } from "../core/observation.ts"
import type { RelationRef } from "../core/relation.ts"
import type { ReadTraits } from "../core/statement.ts"

/**
 * Whether a read's answer is the same for everybody who asks the same while no relation changes. `needsTransaction` says
 * that inside an explicit transaction it must run on that transaction's own connection, because its value belongs to it.
 */
export type Cacheability =
  | { readonly kind: "cacheable"; readonly needsDate: boolean }
  | {
      readonly kind: "bypass"
      readonly reason: BypassReason
      readonly needsTransaction: boolean
    }

function bypass(reason: BypassReason, needsTransaction = false): Cacheability {
  return { kind: "bypass", reason, needsTransaction }
}

/** What catalog/ found out about a read. */
export type ReadFindings = {
  readonly expansion: Expansion
  readonly unknown: readonly RelationRef[]
  readonly functions: FunctionVerdict
  readonly snapshot: CatalogSnapshot
}

/** First reason wins; those that need the transaction's connection come first. docs/ERRORS.md explains each. */
export function cacheability(traits: ReadTraits, findings: ReadFindings): Cacheability {
  const { expansion, unknown, functions, snapshot } = findings
  const refusal = functions.kind === "refused" ? functions.reason : undefined
  if (refusal === "volatile_function" || refusal === "unknown_function")
    return bypass(refusal, true)
  if (refusal === "time_function" || traits.usesCurrentTime) return bypass("time_function", true)
  if (refusal === "session_function" || traits.usesSessionFact) return bypass("session_function")
  if (refusal !== undefined) return bypass(refusal)
  if (traits.usesTimeLiteral) return bypass("time_literal", true)
  if (unknown.length > 0 || expansion.incomplete) return bypass("unknown_relation")
  if (expansion.volatileDefinition) return bypass("volatile_view", true)
  if (expansion.foreignTable) return bypass("foreign_table")
  if (traits.usesSystemColumn) return bypass("system_column")
  if (traits.usesTableSample) return bypass("table_sample", true)
  if (traits.operators.some((operator) => snapshot.userOperators.has(operator)))
    return bypass("user_operator", true)
  if (traits.types.some((type) => snapshot.userOperators.has(`::${type.replace(/^.*\./, "")}`)))
    return bypass("user_operator", true)
  if (traits.attributes.some((name) => mayCallUserFunction(name, snapshot)))
    return bypass("unknown_function", true)
  return { kind: "cacheable", needsDate: traits.usesCurrentDate }
}

const userFunctionNames = new WeakMap<CatalogSnapshot, ReadonlySet<string>>()

/** `t.f` calls f(t) when t has no column f (PostgreSQL manual, 8.16.5): it counts for every function of a user's that is not immutable. */
function mayCallUserFunction(name: string, snapshot: CatalogSnapshot): boolean {
  let names = userFunctionNames.get(snapshot)
  if (names === undefined) {
    names = new Set(
      [...snapshot.functions]
        .filter(
          ([full, volatility]) => volatility !== "immutable" && !full.startsWith("pg_catalog."),
        )
        .map(([full]) => full.slice(full.lastIndexOf(".") + 1).replaceAll('"', "")),
    )
    userFunctionNames.set(snapshot, names)
  }
  return names.size > 0 && names.has(name)
}
