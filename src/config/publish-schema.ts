import { writeFileSync } from "node:fs"
import { jsonSchemaText } from "./json-schema.ts"

/** `node src/config/publish-schema.ts` writes config/*.schema.json anew; a test compares them. */
writeFileSync(
  new URL("../../config/sluice.schema.json", import.meta.url),
  jsonSchemaText("configuration"),
)
writeFileSync(
  new URL("../../config/policies.schema.json", import.meta.url),
  jsonSchemaText("policies"),
)
writeFileSync(
  new URL("../../config/policy-tests.schema.json", import.meta.url),
  jsonSchemaText("policy-tests"),
)
