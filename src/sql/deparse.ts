import { Deparser } from "pgsql-deparser"
import type { Ast } from "../core/statement.ts"
import { quoteIdentifier } from "./quote.ts"

type CteArguments = Parameters<Deparser["CommonTableExpr"]>

/**
 * pgsql-deparser with its known faults mended. Version 18.3.8 writes CTE names without quotes, so that
 * `WITH "Secret" AS (...) SELECT * FROM "Secret"` would read the table of that name. What comes out is still not
 * trusted: emit.ts parses it again.
 */
class MendedDeparser extends Deparser {
  override CommonTableExpr(node: CteArguments[0], context: CteArguments[1]): string {
    const name = node.ctename
    const quoted = name === undefined ? node : { ...node, ctename: quoteIdentifier(name) }
    return super.CommonTableExpr(quoted, context)
  }
}

/** SQL for a tree, unverified. Throws whatever the deparser throws for nodes that it does not know. */
export function deparse(ast: Ast): string {
  return new MendedDeparser(ast, { pretty: false }).deparseQuery()
}
