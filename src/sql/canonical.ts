import { createHash } from "node:crypto"
import type { Ast } from "../core/statement.ts"
import { locationFields } from "./tree.ts"

/**
 * The canonical form of a statement: its parse tree as JSON, fields in the parser's own order, without locations. White
 * space, comments, the case of keywords, redundant parentheses, `!=` for `<>` and trailing semicolons are gone by then;
 * everything that may change an answer (spelling of identifiers, types of literals, order of lists, aliases) is not.
 * libpg-query's own fingerprint() and normalize() are not used: the first equates different schemas and constants, the
 * second keeps case and white space.
 */

const names = [...locationFields].join("|")

// A quote that follows a comma or a brace begins a key: inside a JSON string the quote would be escaped, and a string's
// closing quote is never followed by `location":`.
const locationBehind = new RegExp(`,"(?:${names})":-?\\d+(?=[,}])`, "g")
const locationFirst = new RegExp(`\\{"(?:${names})":-?\\d+,?`, "g")

/** `ast` must come from the parser (locations present, fields in its order), so that equal questions give equal texts. */
export function canonicalForm(ast: Ast): string {
  return JSON.stringify(ast).replace(locationBehind, "").replace(locationFirst, "{")
}

/** SHA-256 of the canonical form, as 64 hexadecimal digits. */
export function canonicalDigest(ast: Ast): string {
  return createHash("sha256").update(canonicalForm(ast)).digest("hex")
}
