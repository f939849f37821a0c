import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"

/** Producers' names are a few hundred characters; what is longer names nothing. */
const nameCharsMax = 2_000

type NamePart = { readonly text: string; readonly isQuoted: boolean }

/**
 * The one resolver for relation names that come from outside: invalidations, lineage events, artefacts, hooks. It takes
 * `table`, `schema.table`, `db.schema.table`, the same with slashes, quoted parts, and URIs whose scheme and authority (and
 * query) are dropped; the host is never compared with anything.
 *
 * Matching is generous, because one invalidation too many costs a query and one too few is a stale answer: unquoted parts
 * match without regard to case, a quoted one does so when nothing matches it exactly, and of several matches all are
 * returned. A leading part that is neither the database nor a schema does not fall away when only two parts are given:
 * `nowhere.orders` must be reported as unmatched.
 */
export function resolveNames(
  item: string,
  snapshot: CatalogSnapshot,
  database?: string,
): readonly RelationName[] {
  if (item.length > nameCharsMax) return []
  const parts = splitName(withoutAuthority(item.trim()))
  if (parts === undefined) return []
  const table = parts.at(-1)
  const schema = parts.at(-2)
  if (table === undefined) return []
  if (schema === undefined) return matching(snapshot, undefined, table)
  const found = matching(snapshot, schema, table)
  if (found.length > 0) return found
  const namesDatabase = database !== undefined && matches(schema, database, false)
  return parts.length === 2 && namesDatabase ? matching(snapshot, undefined, table) : []
}

const scheme = /^[a-z][a-z0-9+.-]*:\/\/[^/]*\/?/i

/** `postgres://host:5432/wh/analytics/orders?x#y` to `wh/analytics/orders`. */
function withoutAuthority(text: string): string {
  if (!scheme.test(text)) return text
  const path = text.replace(scheme, "").replace(/[?#].*$/, "")
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** Splits on dots and slashes outside of double quotes or backticks. Undefined when a quote stays open or nothing is named. */
function splitName(text: string): readonly NamePart[] | undefined {
  const parts: NamePart[] = []
  let current = ""
  let isQuoted = false
  let at = 0
  while (at <= text.length) {
    const character = text[at]
    if (character === undefined || character === "." || character === "/") {
      if (current !== "" || isQuoted) parts.push({ text: current, isQuoted })
      current = ""
      isQuoted = false
      at += 1
    } else if ((character === '"' || character === "`") && current === "") {
      const end = closingQuote(text, at)
      if (end === undefined) return undefined
      current = text.slice(at + 1, end).replaceAll(character + character, character)
      isQuoted = true
      at = end + 1
    } else {
      current += character
      at += 1
    }
  }
  return parts.length === 0 ? undefined : parts
}

function closingQuote(text: string, start: number): number | undefined {
  const quote = text[start]
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] !== quote) continue
    if (text[at + 1] !== quote) return at
    at += 1
  }
  return undefined
}

function matching(
  snapshot: CatalogSnapshot,
  schema: NamePart | undefined,
  table: NamePart,
): readonly RelationName[] {
  const byLowerName = relationsByLowerName(snapshot).get(table.text.toLowerCase()) ?? []
  const found = byLowerName.filter(
    (relation) => schema === undefined || matches(schema, relation.schema, false),
  )
  const exact = found.filter(
    (relation) =>
      matches(table, relation.relation, true) &&
      (schema === undefined || matches(schema, relation.schema, true)),
  )
  return (exact.length > 0 ? exact : found).map((relation) => relation.name)
}

function matches(part: NamePart, name: string, respectsQuotes: boolean): boolean {
  if (respectsQuotes && part.isQuoted) return part.text === name
  return part.text.toLowerCase() === name.toLowerCase()
}

const bySnapshot = new WeakMap<CatalogSnapshot, ReadonlyMap<string, readonly CatalogRelation[]>>()

function relationsByLowerName(
  snapshot: CatalogSnapshot,
): ReadonlyMap<string, readonly CatalogRelation[]> {
  const known = bySnapshot.get(snapshot)
  if (known !== undefined) return known
  const map = new Map<string, CatalogRelation[]>()
  for (const relation of snapshot.relations.values()) {
    const key = relation.relation.toLowerCase()
    const sameName = map.get(key)
    if (sameName === undefined) map.set(key, [relation])
    else sameName.push(relation)
  }
  bySnapshot.set(snapshot, map)
  return map
}
