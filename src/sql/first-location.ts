import { isFields, nodeFields, numberOf } from "./ast.ts"

/** Least location of a node of this tag; undefined when there is none. Iterative: a tree's depth costs no stack. */
export function firstLocation(tree: unknown, tag: string): number | undefined {
  let least: number | undefined
  const pending: unknown[] = [tree]
  while (pending.length > 0) {
    const value = pending.pop()
    const node = nodeFields(value, tag)
    if (node !== undefined) {
      const location = numberOf(node["location"])
      if (least === undefined || location < least) least = location
    }
    if (Array.isArray(value)) pending.push(...value)
    else if (isFields(value)) pending.push(...Object.values(value))
  }
  return least
}
