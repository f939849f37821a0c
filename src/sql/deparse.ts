import { Deparser } from "pgsql-deparser"
import type { Ast } from "../core/statement.ts"
import { nameParts } from "./ast.ts"
import { quoteIdentifier } from "./quote.ts"

type CteArguments = Parameters<Deparser["CommonTableExpr"]>
type CastArguments = Parameters<Deparser["TypeCast"]>

/**
 * pgsql-deparser with its known faults mended. Version 18.3.8 writes CTE names without quotes, so that
 * `WITH "Secret" AS (...) SELECT * FROM "Secret"` would read the table of that name, and drops the schema of
 * `pg_catalog.text` in some casts. What comes out is still not trusted: emit.ts parses it again.
 */
class MendedDeparser extends Deparser {
  override CommonTableExpr(node: CteArguments[0], context: CteArguments[1]): string {
    const name = node.ctename
    const quoted = name === undefined ? node : { ...node, ctename: quoteIdentifier(name) }
    return super.CommonTableExpr(quoted, context)
  }

  override TypeCast(node: CastArguments[0], context: CastArguments[1]): string {
    const { arg, typeName } = node
    // The grammar itself puts json into pg_catalog, whatever is written; DuckDB has it nowhere else.
    const isJson = nameParts(typeName?.names).at(-1) === "json"
    if (arg === undefined || typeName === undefined || isJson) return super.TypeCast(node, context)
    return `CAST(${this.visit(arg, context)} AS ${this.TypeName(typeName, context)})`
  }
}

/** SQL for a tree, unverified. Throws whatever the deparser throws for nodes that it does not know. */
export function deparse(ast: Ast): string {
  return new MendedDeparser(ast, { pretty: false }).deparseQuery()
}
