/** A relation of a policies file, each part as the catalogue spells it. */
export type FullName = { readonly schema: string; readonly relation: string }

const partForm = /^("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^".]+)$/

/** `schema.name`, parts in quotes where they hold a dot; undefined for anything else. */
export function readFullName(name: string): FullName | undefined {
  const [, schema, relation] = partForm.exec(name) ?? []
  if (schema === undefined || relation === undefined) return undefined
  return { schema: unquoted(schema), relation: unquoted(relation) }
}

function unquoted(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
}
