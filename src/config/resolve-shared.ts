import type { KeyPath } from "./problems.ts"
import type { ParsedConfiguration } from "./schema.ts"

type Parsed = ParsedConfiguration["cache"]["shared"]

/** A key of the ring in lower-case hexadecimal. Secret. */
export type SealingKeyConfiguration = { readonly id: string; readonly secret: string }

type SecretResolver = {
  report(path: KeyPath, message: string): void
  requiredSecret(
    path: KeyPath,
    key: string,
    values: { readonly inline: string | undefined; readonly file: string | undefined },
  ): string | undefined
}

const secretBytes = 32

function decoded(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]+$/.test(text) && text.length === secretBytes * 2)
    return Buffer.from(text, "hex")
  if (!/^[A-Za-z0-9+/]{43}=?$/.test(text)) return undefined
  return Buffer.from(text, "base64")
}

export function resolveSealing(
  resolver: SecretResolver,
  parsed: Parsed["sealing"],
): readonly SealingKeyConfiguration[] {
  const ids = new Set<string>()
  return parsed.map(({ id, secret: inline, secretFile: file }, index) => {
    const path = ["cache", "shared", "sealing", index]
    if (ids.has(id)) resolver.report([...path, "id"], "is given twice")
    ids.add(id)
    const text = resolver.requiredSecret(path, "secret", { inline, file })
    const secret = text === undefined ? undefined : decoded(text)
    if (text !== undefined && secret === undefined)
      resolver.report(
        [...path, file === undefined ? "secret" : "secretFile"],
        `must be ${secretBytes} bytes in base64 or hexadecimal`,
      )
    return { id, secret: secret?.toString("hex") ?? "" }
  })
}
