import { folded } from "../catalog/relation-key.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ReadTraits } from "../core/statement.ts"
import { unprovenAttribute, unprovenCall } from "./allowed-functions.ts"
import { notGranted, type Refusal, refused } from "./judge.ts"

export type ReadScope = {
  readonly snapshot: CatalogSnapshot
  readonly searchPath: readonly string[]
  readonly vouched: ReadonlySet<string>
}

export type ReadMentions = {
  readonly expanded: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
}

/**
 * What no statement may do of somebody from whom a policy hides rows or columns, whichever relations it names: call code that
 * could read the hidden ones, or read what tells about them. Undefined when there is nothing of the kind.
 */
export function checkRead(
  traits: ReadTraits,
  mentions: ReadMentions,
  scope: ReadScope,
): Refusal | undefined {
  return (
    checkPath(scope) ??
    checkUnknown(mentions) ??
    checkRelations(mentions, scope) ??
    checkCalls(traits, scope)
  )
}

/** pg_catalog has to come first, or a user's function, operator or type could stand for one of the system's. */
export function checkPath({
  searchPath,
  snapshot,
}: Pick<ReadScope, "searchPath" | "snapshot">): Refusal | undefined {
  if (searchPath.findIndex((schema) => folded(snapshot, schema) === "pg_catalog") < 1)
    return undefined
  return refused(
    SqlState.FeatureNotSupported,
    "row_policy_refused",
    "pg_catalog must stand first in search_path, or not at all",
  )
}

/** TOAST tables, indexes, and whatever was made since the catalogue was read. */
function checkUnknown({ unknown }: ReadMentions): Refusal | undefined {
  const [ref] = unknown
  if (ref === undefined) return undefined
  return refused(
    SqlState.UndefinedTable,
    "relation_not_granted",
    `relation "${ref.schema === undefined ? "" : `${ref.schema}.`}${ref.name}" does not exist`,
  )
}

/** Counters and samples of tables' rows, by whatever schema an extension put them in. */
const statisticsName =
  /^pg_(?:stat|statio|largeobject|toast|sequences$|buffercache|authid$|shadow$|user_mapping)/

function checkRelations({ expanded }: ReadMentions, scope: ReadScope): Refusal | undefined {
  for (const name of expanded) {
    const relation = scope.snapshot.relations.get(name)
    if (relation === undefined) return notGranted(name)
    const isStatistics = statisticsName.test(relation.relation) && !harmless.has(relation.relation)
    if (isStatistics || relation.kind === "sequence") return notGranted(name)
    const code = (relation.opaque ?? []).find((used) => !scope.vouched.has(used))
    if (code !== undefined)
      return refused(
        SqlState.InsufficientPrivilege,
        "function_not_allowed",
        `permission denied for view ${relation.relation}`,
        "It calls a function, or reads something, that the policies do not vouch for.",
      )
  }
  return undefined
}

/** Names alone; the gateway answers pg_stat_activity with its own sessions. */
const harmless: ReadonlySet<string> = new Set(["pg_statistic_ext", "pg_stat_activity"])

export type Calls = Pick<ReadTraits, "functions" | "attributes" | "operators" | "types">

/** Functions, operators, types and functional notation. */
export function checkCalls(traits: Calls, scope: ReadScope): Refusal | undefined {
  const call = unprovenCall(traits.functions, scope)
  if (call !== undefined) return functionRefused(call.name)
  const attribute = unprovenAttribute(traits.attributes, scope)
  if (attribute !== undefined) return functionRefused(attribute)
  const { userCode } = scope.snapshot
  const operator = traits.operators.find(
    (name) =>
      userCode?.has(name.slice(name.lastIndexOf(".") + 1)) === true ||
      (/^[^.]*\w\./.test(name) && !name.startsWith("pg_catalog.")),
  )
  if (operator !== undefined)
    return refused(
      SqlState.InsufficientPrivilege,
      "function_not_allowed",
      `permission denied for operator ${operator}`,
      userHint,
    )
  // `x.domain` and `domain(x)` are casts, too, where there is no such column or function (manual, 4.2.9 and 8.16.5).
  const casts = [...traits.types, ...traits.attributes, ...traits.functions.map(({ name }) => name)]
  const type = casts.find((name) => userCode?.has(`::${name.replace(/^.*\./, "")}`) === true)
  return type === undefined ? undefined : typeRefused(type)
}

/** The types that the client declared for its parameters: reading a value of one may run code. */
export function checkDeclaredTypes(
  types: readonly number[],
  { userCodeTypes }: CatalogSnapshot,
): Refusal | undefined {
  const type = types.find((oid) => userCodeTypes?.has(oid) === true)
  return type === undefined ? undefined : typeRefused(String(type))
}

function typeRefused(type: string): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "function_not_allowed",
    `permission denied for type ${type}`,
    userHint,
  )
}

const userHint =
  "A policy hides rows or columns from you, so that only functions run which are known not to read them."

export function functionRefused(name: string): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "function_not_allowed",
    `permission denied for function ${name}`,
    userHint,
  )
}
