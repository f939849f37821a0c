import { ok } from "node:assert/strict"
import { it } from "node:test"
import { startGateway } from "../support/gateway.ts"
import { Watch } from "../support/watch.ts"
import { fuzzGateway } from "./gateway-fuzz.ts"

/** Conversations; a long run sets it higher. */
const count = Number(process.env["FUZZ_CONVERSATIONS"] ?? 4_000)
const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_121)
const mebibyte = 1024 ** 2
/** Measured: 182 MiB after 60,000 conversations, 194 after 1,000,000. A leak of a kilobyte a conversation would be a gigabyte. */
const growthBytesMax = (count > 10_000 ? 256 : 96) * mebibyte

it("a gateway survives mutated conversations, answers others meanwhile and keeps nothing of them", async (test) => {
  const gateway = await startGateway({
    config: `
listen: { host: 127.0.0.1, port: 0, messageBytesMax: 65536 }
sql: { statementBytesMax: 65536, memoEntriesMax: 500, memoBytesMax: 1MiB }
cache: { memoryBytesMax: 4MiB, entriesMax: 1000, entryBytesMax: 65536 }
log: { level: error }
warehouses: { mart: { engine: duckdb, path: ":memory:", mode: owned } }`,
  })
  try {
    const watch = new Watch(gateway, "mart")
    await fuzzGateway(gateway, { count: 1_000, seed: seed + 1, database: "mart" })
    await watch.begin()
    const startBytes = watch.residentBytes
    const result = await fuzzGateway(gateway, { count, seed, database: "mart" })
    await watch.isUnharmed()
    const growth = watch.residentBytes - startBytes
    const perSecond = Math.round((1_000 * result.conversations) / result.durationMs)
    test.diagnostic(
      `${JSON.stringify(result)} ${perSecond} conversations/s, ${Math.round(growth / mebibyte)} MiB more resident`,
    )
    ok(growth < growthBytesMax, `${Math.round(growth / mebibyte)} MiB`)
    ok(!gateway.output().includes("invariant_violation"), gateway.output().slice(-4_000))
  } finally {
    await gateway.stop()
  }
})
