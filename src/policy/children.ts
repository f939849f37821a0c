import { InvariantViolation } from "../core/errors.ts"
import type { Ast } from "../core/statement.ts"
import { nodeFields } from "../sql/ast.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import { verified } from "../sql/verified.ts"
import type { Source } from "./stand-in.ts"

/** Children of one table that are read one by one; more would make a statement too long to plan. */
export const childrenMax = 100

/** `SELECT columns FROM a UNION ALL SELECT columns FROM b ...`: a table's own rows and those of its children, by column names. */
export function unionOf(columns: readonly string[], parts: readonly Source[]): Source {
  const list = columns.map(quoteIdentifier).join(", ")
  const targetList = columns.map((column) => ({
    ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: column } }] } } },
  }))
  const text = parts.map((part) => `SELECT ${list} FROM ${part.text}`).join(" UNION ALL ")
  let meant: Ast | undefined
  for (const { ast } of parts) {
    const select: Ast = {
      SelectStmt: {
        targetList,
        fromClause: [ast],
        limitOption: "LIMIT_OPTION_DEFAULT",
        op: "SETOP_NONE",
      },
    }
    meant = meant === undefined ? select : union(meant, select)
  }
  const ast = meant === undefined ? undefined : verified(text, meant)
  if (ast === undefined) throw new InvariantViolation("a union of children is not what was meant")
  return { text, ast }
}

/** Operands of a set operation stand in the tree without their tag. */
function union(left: Ast, right: Ast): Ast {
  return {
    SelectStmt: {
      limitOption: "LIMIT_OPTION_DEFAULT",
      op: "SETOP_UNION",
      all: true,
      larg: nodeFields(left, "SelectStmt"),
      rarg: nodeFields(right, "SelectStmt"),
    },
  }
}
