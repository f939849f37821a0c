import { isFields, nameParts } from "./ast.ts"
import { textBuilders } from "./read-nodes.ts"

/** Nodes looked at before the answer is yes unseen: casts may be nested in casts, and each is asked. */
const nodesLookedAtMax = 200

/**
 * True when an expression without column references puts a text together (`'to' || 'day'`, `lower('TODAY')`): a cast of it
 * to a date type may depend on the clock although no constant names it. Texts from columns are data, not questions, and
 * do not count.
 */
export function buildsText(expression: unknown): boolean {
  const pending: unknown[] = [expression]
  let found = false
  for (let looked = 0; pending.length > 0; looked += 1) {
    if (looked >= nodesLookedAtMax) return true
    const value = pending.pop()
    if (Array.isArray(value)) pending.push(...value.slice(0, nodesLookedAtMax))
    if (!isFields(value)) continue
    if ("ColumnRef" in value) return false
    const parts = nameParts(value["name"] ?? value["funcname"])
    found ||= textBuilders.has(parts.at(-1) ?? "")
    for (const key in value) pending.push(value[key])
  }
  return found
}
