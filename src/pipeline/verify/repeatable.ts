import type { StoredResult } from "../../core/result.ts"
import type { Statement } from "../../core/statement.ts"
import {
  type Fields,
  integerConstant,
  isFields,
  listOf,
  nameParts,
  nodeFields,
} from "../../sql/ast.ts"

/**
 * Whether SQL fixes a statement's rows, so that a second run over the same data must give them again, in whatever order. Where
 * the engine may choose, a difference would say nothing: those are not compared.
 */
export function isRepeatable(statement: Statement, result: StoredResult): boolean {
  if (statement.class.kind !== "read") return false
  const select = nodeFields(statement.ast, "SelectStmt")
  if (select === undefined || !isLimitUnmet(select, result.rowCount)) return false
  const { limitCount: _limit, ...others } = select
  const found = new Chosen()
  found.look(others)
  if (found.isFound) return false
  return !(found.addsUp && hasFloats(result.description))
}

/** A LIMIT that left nothing out chose nothing. */
function isLimitUnmet(select: Fields, rowCount: number): boolean {
  if ("limitOffset" in select) return false
  if (!("limitCount" in select)) return true
  const limit = integerConstant(select["limitCount"])
  return limit !== undefined && rowCount < limit
}

/** Aggregates whose value follows the order of their input, or picks one of several. */
const orderDependent: ReadonlySet<string> = new Set(
  `any_value arg_max arg_min array_agg first group_concat json_agg json_agg_strict json_object_agg
   jsonb_agg jsonb_agg_strict jsonb_object_agg last list listagg max_by min_by mode string_agg
   xmlagg`.split(/\s+/),
)

/** Over floats their last digits follow the order of addition, which parallel workers change. */
const addsUp =
  /^(?:sum|avg|fsum|favg|kahan_sum|stddev.*|var_.*|variance|corr|covar_.*|regr_.*|skewness|kurtosis.*|product)$/

class Chosen {
  isFound = false
  addsUp = false

  look(value: unknown): void {
    if (this.isFound) return
    if (Array.isArray(value)) for (const item of value) this.look(item)
    if (!isFields(value)) return
    for (const key in value) {
      this.#see(key, value[key])
      this.look(value[key])
    }
  }

  #see(key: string, value: unknown): void {
    if (key === "limitCount" || key === "limitOffset" || key === "over") this.isFound = true
    // Plain DISTINCT is a list with an empty node in it.
    if (key === "distinctClause" && listOf(value).some(hasFields)) this.isFound = true
    if (key !== "funcname") return
    const name = nameParts(value).at(-1) ?? ""
    if (orderDependent.has(name)) this.isFound = true
    if (addsUp.test(name)) this.addsUp = true
  }
}

function hasFields(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length > 0
}

const float4 = 700
const float8 = 701

/** RowDescription (PostgreSQL manual, 54.7): a name, then the table's OID, a column number, the type's OID, and 8 bytes more. */
function hasFloats(description: Buffer | undefined): boolean {
  if (description === undefined) return false
  const columns = description.readInt16BE(5)
  let at = 7
  for (let column = 0; column < columns; column += 1) {
    at = description.indexOf(0, at) + 1
    const type = description.readInt32BE(at + 6)
    if (type === float4 || type === float8) return true
    at += 18
  }
  return false
}
