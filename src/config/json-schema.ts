import { z } from "zod"
import { policiesSchema } from "./policies-schema.ts"
import { policyTestsSchema } from "./policy-tests-schema.ts"
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

/** The files that people write, each with a schema for editors. */
export type PublishedFile = "configuration" | "policies" | "policy-tests"

const published = {
  configuration: { schema: configurationSchema, title: "Sluice configuration" },
  policies: { schema: policiesSchema, title: "Sluice policies" },
  "policy-tests": { schema: policyTestsSchema, title: "Sluice policy tests" },
} as const

/** JSON Schema (draft 2020-12) of a file, for editors; `config/*.schema.json` are their texts. */
export function jsonSchemaOf(file: PublishedFile): JsonSchema {
  const { schema: zodSchema, title } = published[file]
  const { $schema, ...schema } = z.toJSONSchema(zodSchema, { io: "input", reused: "inline" })
  // Policies take nothing from the environment.
  const inner = file === "configuration" ? allowPlaceholders(schema) : schema
  return { $schema, title, ...(isSchema(inner) ? inner : {}) }
}

/** The published file's text. */
export function jsonSchemaText(file: PublishedFile): string {
  return `${JSON.stringify(jsonSchemaOf(file), null, 2)}\n`
}
