import { scanTokens } from "./parser-instance.ts"

/** PostgreSQL's NAMEDATALEN less the terminator: what is longer, its scanner cuts. */
const nameBytesMax = 63

/** What is no letter, mark or digit may be a blank to another scanner; to PostgreSQL's it is a part of a name like any other. */
const oddCharacter = /[^\p{ASCII}\p{L}\p{M}\p{N}]/u

/** Texts without any of these hold no name that could be read in two ways: 64 bytes are 16 characters or more. */
const mayDiffer = /[^\p{ASCII}\p{L}\p{M}\p{N}]|"[^"]{16}|""|[\w$\u0080-\uffff]{16}/u

/**
 * How an engine with another scanner reads the names of a text. `same`: as PostgreSQL does. `cut`: one is longer than
 * PostgreSQL reads. `odd`: one without quotes holds what DuckDB takes for a blank (it turns U+00A0 and its kin into
 * spaces before it parses), so that `AS a\u00a0JOIN\u00a0t` is one alias here and a join there.
 */
export function nameReading(text: string): "same" | "cut" | "odd" {
  if (!mayDiffer.test(text)) return "same"
  let reading: "same" | "cut" = "same"
  for (const token of scanTokens(text)) {
    if (isLiteral(token.text)) continue
    const isBare = !token.text.startsWith('"') && !/^u&"/i.test(token.text)
    if (isBare && !isComment(token.text) && oddCharacter.test(token.text)) return "odd"
    if (token.end - token.start > nameBytesMax && !isComment(token.text)) reading = "cut"
  }
  return reading
}

function isLiteral(token: string): boolean {
  return /^(?:[ebxn]|u&)?'/i.test(token) || /^\$[^$\d]*\$/.test(token)
}

function isComment(token: string): boolean {
  return token.startsWith("--") || token.startsWith("/*")
}
