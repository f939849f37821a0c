import { renameSync, writeFileSync } from "node:fs"

/** Writes JSON for scripts that wait for the gateway: whole or not at all, readable by its owner only, because it may hold secrets. */
export function writeReadyFile(path: string, content: Readonly<Record<string, unknown>>): void {
  const partial = `${path}.${process.pid}`
  writeFileSync(partial, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  renameSync(partial, path)
}
