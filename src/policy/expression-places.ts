import { scanTokens } from "../sql/parser-instance.ts"

/** Where a claim stands in the text, in bytes. */
export type Place = { readonly start: number; readonly end: number; readonly claim: string }

/** `:name` outside of literals, comments and `::`. */
export function claimPlaces(source: string): readonly Place[] {
  const tokens = scanTokens(source)
  const places: Place[] = []
  for (const [index, token] of tokens.entries()) {
    const next = tokens[index + 1]
    if (token.text !== ":" || next === undefined || next.start !== token.end) continue
    if (/^[a-z_][a-z0-9_]*$/i.test(next.text))
      places.push({ start: token.start, end: next.end, claim: next.text })
  }
  return places
}
