import { parseConfiguration } from "../../../src/config/load.ts"
import { GatewayError } from "../../../src/core/errors.ts"

/** A verifier of the right form; nobody knows its password. */
export const verifier = [
  "SCRAM-SHA-256$4096:",
  Buffer.alloc(16, 1).toString("base64"),
  "$",
  Buffer.alloc(32, 2).toString("base64"),
  ":",
  Buffer.alloc(32, 3).toString("base64"),
].join("")

export const environment = {
  MART_URI: "postgres://sluice:uri-secret@db.internal:5432/mart",
  SUPERSET_VERIFIER: verifier,
  TOKEN_SHA256: "ab".repeat(32),
  EMPTY: "",
}

/** Ten lines that are enough. */
export const minimal = `
warehouses:
  mart: { engine: postgres, uri: "\${MART_URI}" }
users:
  superset:
    verifier: \${SUPERSET_VERIFIER}
    roles: [analyst]
roles:
  analyst: { relations: { allow: ["*"] } }
`

export type ParseOptions = {
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly files?: Readonly<Record<string, string>>
}

export function parse(text: string, options: ParseOptions = {}) {
  const files = options.files ?? {}
  return parseConfiguration(text, {
    fileName: "/etc/sluice/sluice.yaml",
    environment: { ...environment, ...options.environment },
    readFile: (path) => {
      const content = files[path]
      if (content === undefined) throw Object.assign(new Error("no file"), { code: "ENOENT" })
      return content
    },
  })
}

/** The lines of the error, without the file's name; an empty list when the text is good. */
export function problemsIn(text: string, options: ParseOptions = {}): string[] {
  try {
    parse(text, options)
    return []
  } catch (error) {
    if (!(error instanceof GatewayError) || error.reason !== "invalid_configuration") throw error
    const lines = (error.detail ?? error.message).split("\n")
    return lines.map((line) => line.replace("/etc/sluice/sluice.yaml:", ""))
  }
}
