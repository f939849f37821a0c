import { SqlState } from "../core/sql-state.ts"
import { refused } from "../policy/judge.ts"
import type { Plan } from "./plan-memo.ts"
import { refusal } from "./refusal.ts"

/** regproc, regprocedure, regclass, regtype, regnamespace and their arrays (pg_type.dat). */
const namingTypes: ReadonlySet<number> = new Set([
  24, 2202, 2205, 2206, 4089, 1008, 2207, 2210, 2211, 4090,
])

/** Throws for a parameter that the server would read as a name, or print as one, whoever may not see what it names. */
export function checkParameterTypes(types: readonly number[], plan: Plan): void {
  if (!plan.hidesNames || !types.some((type) => namingTypes.has(type))) return
  throw refusal(
    refused(
      SqlState.InsufficientPrivilege,
      "function_not_allowed",
      "permission denied for a parameter of a type that names objects",
      "Declare it as text or oid, and cast it in the statement.",
    ),
  )
}
