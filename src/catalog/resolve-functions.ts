import type { Volatility } from "../core/catalog.ts"
import type { FunctionRef } from "../core/statement.ts"
import { findFunction, folded } from "./relation-key.ts"
import { effectivePath, type NameScope } from "./resolve.ts"
import {
  grammarFunctions,
  isPrivilegeFunction,
  sessionFunctions,
  stableSafeFunctions,
  timeFunctions,
} from "./stable-functions.ts"

/**
 * From best to worst. The first two may be cached; the others are the reasons (core/observation.ts) why a statement may not.
 */
const classes = [
  "immutable",
  "stable_safe",
  "unstable_function",
  "session_function",
  "time_function",
  "unknown_function",
  "volatile_function",
] as const

export type FunctionClass = (typeof classes)[number]

/** Why a statement's functions keep it out of the cache. */
export type FunctionRefusal = Exclude<FunctionClass, "immutable" | "stable_safe">

export type FunctionVerdict =
  | { readonly kind: "cacheable"; readonly worst: "immutable" | "stable_safe" }
  /** `name`: the first function of the worst class, for the report. */
  | { readonly kind: "refused"; readonly reason: FunctionRefusal; readonly name: string }

/** The worst class over all functions of one statement. */
export function resolveFunctions(
  functions: readonly FunctionRef[],
  scope: Pick<NameScope, "snapshot" | "searchPath">,
): FunctionVerdict {
  const schemas = effectivePath(scope)
  let worst: FunctionClass = "immutable"
  let worstName = ""
  for (const ref of functions) {
    const functionClass = classOf(ref, schemas, scope.snapshot)
    if (classes.indexOf(functionClass) <= classes.indexOf(worst)) continue
    worst = functionClass
    worstName = ref.name
  }
  if (worst === "immutable" || worst === "stable_safe") return { kind: "cacheable", worst }
  return { kind: "refused", reason: worst, name: worstName }
}

/**
 * Overloads are told apart by argument types, which the text does not show, and PostgreSQL looks for the best match in all
 * schemas of the path (manual, 10.3). So every function of that name counts that could be meant, and the worst decides.
 */
function classOf(
  ref: FunctionRef,
  schemas: readonly string[],
  snapshot: NameScope["snapshot"],
): FunctionClass {
  const name = folded(snapshot, ref.name)
  // age(x) counts from today; age(x, y) does not look at the clock.
  const isAgeToday = name === "age" && ref.argumentCount < 2
  if (isAgeToday || timeFunctions.has(name)) return "time_function"
  if (sessionFunctions.has(name) || isPrivilegeFunction(name)) return "session_function"
  let worst: FunctionClass | undefined
  for (const schema of ref.schema === undefined ? schemas : [ref.schema]) {
    const volatility = findFunction(snapshot, schema, name)
    if (volatility === undefined) continue
    const found = classOfOne(volatility, folded(snapshot, schema) === "pg_catalog", name)
    if (worst === undefined || classes.indexOf(found) > classes.indexOf(worst)) worst = found
  }
  if (worst !== undefined) return worst
  const mayBeGrammar = ref.schema === undefined || ref.schema === "pg_catalog"
  return mayBeGrammar && grammarFunctions.has(name) ? "immutable" : "unknown_function"
}

function classOfOne(volatility: Volatility, isSystem: boolean, name: string): FunctionClass {
  if (volatility === "immutable") return "immutable"
  if (volatility === "volatile") return "volatile_function"
  return isSystem && stableSafeFunctions.has(name) ? "stable_safe" : "unstable_function"
}
