import { writeFileSync } from "node:fs"
import { configurationJsonSchemaText } from "./json-schema.ts"

/** `node src/config/publish-schema.ts` writes config/sluice.schema.json anew; a test compares the two. */
writeFileSync(
  new URL("../../config/sluice.schema.json", import.meta.url),
  configurationJsonSchemaText(),
)
