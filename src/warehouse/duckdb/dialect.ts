import type { Parameters } from "../../core/parameters.ts"
import type { Ast } from "../../core/statement.ts"

export function adaptStatement(_ast: Ast, _parameters: Parameters | undefined): Ast | undefined {
  return undefined
}
