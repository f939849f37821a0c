import { type Fields, isFields } from "./ast.ts"

/**
 * Fields that say where a thing stood in the text. They are numbers in trees of reads; `location` of CREATE TABLESPACE is a
 * string and stays.
 */
export const locationFields: ReadonlySet<string> = new Set([
  "location",
  "stmt_location",
  "stmt_len",
  "name_location",
  "list_start",
  "list_end",
  "rexpr_list_start",
  "rexpr_list_end",
])

/** The parser leaves out false, 0 and ""; a tree made by our own hands may spell them out. */
function isDefault(value: unknown): boolean {
  return value === undefined || value === false || value === 0 || value === ""
}

function isIgnored(key: string, value: unknown): boolean {
  return isDefault(value) || (typeof value === "number" && locationFields.has(key))
}

/** Pushes the pairs of fields that must agree; false when one side has a field that the other lacks. */
function pairFields(left: Fields, right: Fields, pending: unknown[]): boolean {
  for (const key in left) {
    const value = left[key]
    if (isIgnored(key, value)) continue
    if (isIgnored(key, right[key])) return false
    pending.push(value, right[key])
  }
  for (const key in right) {
    if (!isIgnored(key, right[key]) && isDefault(left[key])) return false
  }
  return true
}

/**
 * True when two trees say the same, apart from where their parts stood in the text. The order of fields does not matter;
 * the order of lists does. Iterative: depth costs no stack.
 */
export function sameTree(left: unknown, right: unknown): boolean {
  const pending: unknown[] = [left, right]
  while (pending.length > 0) {
    const b = pending.pop()
    const a = pending.pop()
    if (a === b) continue
    if (Array.isArray(a)) {
      if (!Array.isArray(b) || a.length !== b.length) return false
      for (let index = 0; index < a.length; index += 1) pending.push(a[index], b[index])
    } else if (isFields(a)) {
      if (!isFields(b) || !pairFields(a, b, pending)) return false
    } else if (!isDefault(a) || !isDefault(b)) {
      return false
    }
  }
  return true
}
