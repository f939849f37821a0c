import type { Ast } from "../core/statement.ts"
import { isFields } from "./ast.ts"

/**
 * Copies of trees in which every location is a position in the client's whole text, in characters from 1, as errors have it: for
 * trees that become part of another text. Iterative: a tree's depth costs no stack.
 */
export function atPositions(
  trees: readonly Ast[],
  position: (location: number) => number,
): readonly Ast[] {
  const copies = structuredClone(trees)
  const pending: unknown[] = [...copies]
  while (pending.length > 0) {
    const value = pending.pop()
    if (Array.isArray(value)) pending.push(...value)
    if (!isFields(value)) continue
    const fields = value as Record<string, unknown>
    const { location } = fields
    if (typeof location === "number" && location >= 0) fields["location"] = position(location)
    pending.push(...Object.values(fields))
  }
  return copies
}
