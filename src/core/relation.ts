/**
 * A table, view or materialised view by its full name inside one warehouse, `schema.name`, each part as the catalogue
 * spells it (folded, unquoted). A dot or a double quote inside a part is kept apart by quoting that part as PostgreSQL's
 * quote_ident does, so that `"a.b".c` and `a."b.c"` never meet.
 */
export type RelationName = string & { readonly __brand: "RelationName" }

/** A relation as a statement names it: parts as parsed (folded by the grammar unless quoted), not yet resolved. */
export type RelationRef = {
  readonly catalog: string | undefined
  readonly schema: string | undefined
  readonly name: string
}

const plainPart = /^[a-z_][a-z0-9_$]*$/

function part(text: string): string {
  return plainPart.test(text) ? text : `"${text.replaceAll('"', '""')}"`
}

export function relationName(schema: string, name: string): RelationName {
  return `${part(schema)}.${part(name)}` as RelationName
}
