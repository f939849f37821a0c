import type { Statement } from "../core/statement.ts"
import { mentionsDate } from "../sql/time-literal.ts"

/** True when rows may hold what was computed with settings, such as a text made of a time: PostgreSQL computes them as they are fetched. */
export function computesWithSettings({ class: statementClass }: Statement): boolean {
  if (statementClass.kind !== "read") return true
  const { functions, types, operators } = statementClass.traits
  if (types.length > 0 || operators.includes("||")) return true
  return functions.some(({ name }) => !plainAggregates.has(name))
}

const plainAggregates: ReadonlySet<string> = new Set(["count", "sum", "avg", "min", "max"])

/** True when a constant may be a date or time: PostgreSQL has read it under the settings of DECLARE. */
export function readsWithSettings({ ast }: Statement): boolean {
  return mentionsDate(ast)
}
