import { equal } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, renameSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"

/** A process of its own writes the file, as a nightly load does. */
function writeMart(file: string, rowCount: number): void {
  const script = `
    import { DuckDBInstance } from "@duckdb/node-api"
    const instance = await DuckDBInstance.create(${JSON.stringify(file)})
    const connection = await instance.connect()
    await connection.run("CREATE OR REPLACE TABLE facts AS SELECT range AS id FROM range(${rowCount})")
    connection.disconnectSync()
    instance.closeSync()`
  execFileSync(process.execPath, ["--input-type=module", "-e", script])
}

async function count(client: Client): Promise<number> {
  const { rows } = await client.query("SELECT count(*)::int AS n FROM facts")
  return rows[0].n
}

async function reason(client: Client): Promise<string | null> {
  const { rows } = await client.query("SHOW sluice.last")
  return rows[0].reason
}

describe("freshness over a DuckDB file", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-freshness-"))
  const file = join(folder, "mart.duckdb")
  let gateway: RunningGateway | undefined
  const clients: Client[] = []

  async function connect(): Promise<Client> {
    const client = new Client({ connectionString: gateway?.uri ?? "" })
    await client.connect()
    clients.push(client)
    return client
  }

  async function invalidate(): Promise<void> {
    const response = await fetch(`${gateway?.controlUrl}/v1/invalidations`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${gateway?.token}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ items: [{ relation: "main.facts" }] }),
    })
    equal(response.status, 200)
  }

  before(async () => {
    writeMart(file, 100)
    gateway = await startGateway({
      config: `warehouses: { mart: { engine: duckdb, path: "${file}", mode: burst } }`,
    })
  })

  after(async () => {
    await Promise.allSettled(clients.map((client) => client.end()))
    await gateway?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it("shows a file that was replaced after the invalidation, and a hit before it", async () => {
    const client = await connect()
    equal(await count(client), 100)
    const next = join(folder, "next.duckdb")
    writeMart(next, 200)
    renameSync(next, file)
    equal(await count(client), 100, "the cache was not in the way at all")
    await invalidate()
    equal(await count(client), 200)
  })

  it("stores nothing that an older transaction reads", async () => {
    const pinned = await connect()
    await pinned.query("BEGIN")
    // A volatile function opens the transaction on the warehouse: from here on it sees one snapshot.
    await pinned.query("SELECT random(), count(*) FROM facts")
    const next = join(folder, "next.duckdb")
    writeMart(next, 300)
    renameSync(next, file)
    await invalidate()
    equal(await count(pinned), 200)
    equal(await reason(pinned), "transaction_pinned")
    equal(await count(await connect()), 300)
    await pinned.query("ROLLBACK")
    equal(await count(pinned), 300)
  })
})
