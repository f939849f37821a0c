import type { Ast } from "../core/statement.ts"
import { parseTrees } from "./parser.ts"
import { sameTree } from "./tree.ts"

/** The tree of `text` when it is exactly `intended`, apart from locations; undefined otherwise. Throws what the parser throws. */
export function verified(text: string, intended: Ast): Ast | undefined {
  const [ast, ...rest] = parseTrees(text)
  return ast !== undefined && rest.length === 0 && sameTree(ast, intended) ? ast : undefined
}
