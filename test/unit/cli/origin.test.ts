import { equal, notEqual } from "node:assert/strict"
import { it } from "node:test"
import { originOf } from "../../../src/cli/origin.ts"
import type { WarehouseConfiguration } from "../../../src/config/configuration.ts"

const of = (keys: Record<string, string>) => originOf(keys as unknown as WarehouseConfiguration)
const postgres = (uri: string) => of({ engine: "postgres", uri })
const duckdb = (path: string) => of({ engine: "duckdb", path })

const shared = postgres("postgres://app:one@db.internal/mart")

for (const uri of [
  "postgresql://app:another@db.internal:5432/mart",
  "postgres://app@db.internal:5432/mart?sslmode=require",
])
  it(`is the same warehouse for all: ${uri}`, () => equal(postgres(uri).origin, shared.origin))

for (const uri of [
  "postgres://app@db2.internal/mart",
  "postgres://app@db.internal:5433/mart",
  "postgres://app@db.internal/mart2",
  "postgres://owner@db.internal/mart",
])
  it(`is another warehouse: ${uri}`, () => notEqual(postgres(uri).origin, shared.origin))

it("what is local is told apart by path, and stays the same on one machine", () => {
  equal(duckdb("/data/a.duckdb").origin, duckdb("/data/a.duckdb").origin)
  notEqual(duckdb("/data/a.duckdb").origin, duckdb("/data/b.duckdb").origin)
  const socket = postgres("postgres://app@/mart?host=/run/postgresql")
  notEqual(socket.origin, postgres("postgres://app@localhost/mart").origin)
  equal(socket.sharesAnswers, true)
})

it("a database in memory is nobody else's, not even that of its next start", () => {
  notEqual(duckdb(":memory:").origin, duckdb(":memory:").origin)
  equal(duckdb(":memory:").sharesAnswers, false)
})
