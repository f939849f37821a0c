import { deepEqual, equal } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { it } from "node:test"
import { jsonSchemaText } from "../../../src/config/json-schema.ts"
import { knownKeys } from "../../../src/config/known-keys.ts"

it("the published JSON Schema is that of the code (node src/config/publish-schema.ts writes it)", () => {
  const published = new URL("../../../config/sluice.schema.json", import.meta.url)
  equal(readFileSync(published, "utf8"), jsonSchemaText("configuration"))
})

it("every object of the published JSON Schema is closed", () => {
  const open: string[] = []
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return
    if (!Array.isArray(node) && "properties" in node && !("additionalProperties" in node))
      open.push(path)
    for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`)
  }
  walk(JSON.parse(jsonSchemaText("configuration")), "")
  deepEqual(open, [])
})

it("the keys known at a path are those of all its variants", () => {
  deepEqual(knownKeys(["log"]), ["level", "format"])
  deepEqual(knownKeys(["warehouses", "any"]).includes("uri"), true)
  deepEqual(knownKeys(["warehouses", "any"]).includes("threads"), true)
  deepEqual(knownKeys(["control", "tokens", 0]), [
    "name",
    "sha256",
    "sha256File",
    "scopes",
    "callsPerMinuteMax",
  ])
  deepEqual(knownKeys(["nowhere"]), [])
})
