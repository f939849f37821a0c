import { z } from "zod"
import { configurationSchema } from "./schema.ts"

export type JsonSchema = { readonly [key: string]: unknown }

const placeholder = { type: "string", pattern: String.raw`\$\{` }

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** Keys whose values are data or hold for names, not for values that could come from the environment. */
const verbatim = new Set(["anyOf", "const", "default", "enum", "propertyNames", "required"])

/** A limited value may also be written as `${NAME}`, which only the gateway can look into. */
function allowPlaceholders(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(allowPlaceholders)
  if (!isSchema(schema)) return schema
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema))
    out[key] = verbatim.has(key) ? value : allowPlaceholders(value)
  const { description, default: initial, ...rest } = out
  const outer = {
    ...(description === undefined ? {} : { description }),
    ...(initial === undefined ? {} : { default: initial }),
  }
  if (Array.isArray(rest["anyOf"])) return { ...outer, anyOf: [...rest["anyOf"], placeholder] }
  if (rest["enum"] !== undefined || rest["pattern"] !== undefined)
    return { ...outer, anyOf: [rest, placeholder] }
  return { ...outer, ...rest }
}

/** JSON Schema (draft 2020-12) of the configuration file, for editors; `config/sluice.schema.json` is its text. */
export function configurationJsonSchema(): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(configurationSchema, {
    io: "input",
    reused: "inline",
  })
  const inner = allowPlaceholders(schema)
  return {
    $schema,
    title: "Sluice configuration",
    ...(isSchema(inner) ? inner : {}),
  }
}

/** The published file's text. */
export function configurationJsonSchemaText(): string {
  return `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`
}
