import { type JsonSchema, jsonSchemaOf, type PublishedFile } from "./json-schema.ts"
import type { KeyPath } from "./problems.ts"

const cached = new Map<PublishedFile, JsonSchema>()

function children(schema: JsonSchema, step: string | number): JsonSchema[] {
  const found: unknown[] = []
  const { properties, additionalProperties, items } = schema as {
    properties?: Record<string, unknown>
    additionalProperties?: unknown
    items?: unknown
  }
  if (typeof step === "number") found.push(items)
  else if (properties !== undefined && Object.hasOwn(properties, step)) found.push(properties[step])
  else found.push(additionalProperties)
  return found.filter((item): item is JsonSchema => typeof item === "object" && item !== null)
}

function variants(schema: JsonSchema): JsonSchema[] {
  const { anyOf, oneOf } = schema as { anyOf?: JsonSchema[]; oneOf?: JsonSchema[] }
  return [schema, ...(anyOf ?? []), ...(oneOf ?? [])]
}

/** Keys that the schema knows at a path, over all variants (both engines of a warehouse). */
export function knownKeys(path: KeyPath, file: PublishedFile = "configuration"): readonly string[] {
  const root = cached.get(file) ?? jsonSchemaOf(file)
  cached.set(file, root)
  let level = variants(root)
  for (const step of path)
    level = level.flatMap((schema) => children(schema, step)).flatMap(variants)
  const keys = level.flatMap(({ properties }) => Object.keys(properties ?? {}))
  return [...new Set(keys)]
}
