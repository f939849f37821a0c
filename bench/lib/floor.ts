import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Client } from "pg"
import { commandComplete, dataRow, rowDescription } from "../../src/wire/backend-messages.ts"
import type { FloorAnswer } from "../floor-server.ts"
import { type PeerProcess, spawnPeer } from "./peer-process.ts"
import { type Target, uriOf } from "./target.ts"

const program = fileURLToPath(new URL("../floor-server.ts", import.meta.url))

/** The bytes that PostgreSQL answers the statement with, taken from it. */
async function answerOf(direct: Target, sql: string): Promise<FloorAnswer> {
  const client = new Client({ connectionString: uriOf(direct) })
  await client.connect()
  try {
    const types = { getTypeParser: () => (value: string) => value }
    const result = await client.query<(string | null)[]>({ text: sql, rowMode: "array", types })
    const description = rowDescription(
      result.fields.map((field) => ({
        name: field.name,
        tableOid: field.tableID,
        columnNumber: field.columnID,
        typeOid: field.dataTypeID,
        typeSize: field.dataTypeSize,
        typeModifier: field.dataTypeModifier,
        format: 0 as const,
      })),
    )
    const rows = result.rows.map((row) =>
      dataRow(row.map((value) => (value === null ? null : Buffer.from(value)))),
    )
    return {
      description: description.toString("base64"),
      rows: Buffer.concat([...rows, commandComplete(`SELECT ${rows.length}`)]).toString("base64"),
    }
  } finally {
    await client.end()
  }
}

async function portOf(peer: PeerProcess): Promise<number> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    const port = /"port":(\d+)/.exec(peer.output())?.[1]
    if (port !== undefined) return Number(port)
    if (peer.child.exitCode !== null) break
    await sleep(20)
  }
  throw new Error(`the floor server did not start:\n${peer.output()}`)
}

/** A Node server that always gives this statement's answer; see floor-server.ts. */
export async function startFloor(direct: Target, sql: string): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"))
  const file = join(folder, "answer.json")
  await writeFile(file, JSON.stringify(await answerOf(direct, sql)))
  const peer = spawnPeer({ command: process.execPath, args: [program, file] })
  const stop = async (): Promise<void> => {
    await peer.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const port = await portOf(peer)
    return { ...direct, name: "floor", port, pid: peer.pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
