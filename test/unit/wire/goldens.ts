import { readFileSync } from "node:fs"

/** What PostgreSQL answered to the same bytes (goldens/capture.ts). */
export type Golden = {
  readonly types: string
  readonly S?: string
  readonly C?: string
  readonly M?: string
  readonly D?: string
  /** Said in the server's log only, before it closed the stream. */
  readonly silent?: string
}

export function readGoldens<Value>(name: string): Readonly<Record<string, Value>> {
  const text = readFileSync(`${import.meta.dirname}/goldens/${name}.json`, "utf8")
  return JSON.parse(text) as Readonly<Record<string, Value>>
}

export function golden<Value>(table: Readonly<Record<string, Value>>, name: string): Value {
  const value = table[name]
  if (value === undefined) throw new Error(`no golden for "${name}": run goldens/capture.ts`)
  return value
}
