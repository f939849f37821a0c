import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it, type TestContext } from "node:test"
import { fileURLToPath } from "node:url"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { type CheckLine, clientPrograms, runProgram } from "./client-programs.ts"
import { writeDuckdbSeed } from "./duckdb-seed.ts"
import { type KnownDifference, knownDifferences } from "./known-differences.ts"

/**
 * Real clients against the gateway over each engine; every answer is compared with what direct PostgreSQL gave the same
 * program. Each program runs twice, so that the second time its questions are answered from the cache.
 */

type Engine = KnownDifference["engine"]
const engines: readonly Engine[] = ["postgres", "duckdb"]
const seedFile = fileURLToPath(new URL("../../clients/seed.sql", import.meta.url))

let postgres: TestPostgres | undefined
let folder = ""
/** Started when first asked for, so that one engine's trouble is not the other's. */
const gateways = new Map<Engine, Promise<RunningGateway>>()

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-clients-"))
  postgres = await startPostgres({ seedFiles: [seedFile] })
})

after(async () => {
  for (const started of await Promise.allSettled(gateways.values()))
    if (started.status === "fulfilled") await started.value.stop()
  await postgres?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(engine: Engine): Promise<RunningGateway> {
  if (engine === "postgres") {
    const uri = postgres?.uri ?? ""
    return startGateway({
      config: `warehouses: { warehouse: { engine: postgres, uri: "${uri}" } }`,
    })
  }
  const path = join(folder, "seed.duckdb")
  await writeDuckdbSeed(path)
  return startGateway({ config: `warehouses: { warehouse: { engine: duckdb, path: "${path}" } }` })
}

function gatewayOver(engine: Engine): Promise<RunningGateway> {
  const started = gateways.get(engine) ?? start(engine)
  gateways.set(engine, started)
  return started
}

function knownDifference(
  engine: Engine,
  client: string,
  check: string,
): KnownDifference | undefined {
  return knownDifferences.find(
    (one) =>
      one.engine === engine &&
      one.check === check &&
      (one.client === undefined || client.includes(one.client)),
  )
}

function compare(actual: CheckLine, expected: CheckLine, known: KnownDifference | undefined): void {
  if (known === undefined) {
    deepEqual(actual, expected)
    return
  }
  notDeepEqual(actual, expected, `it agrees now, so it is no difference any more: ${known.reason}`)
}

async function compareAll(
  t: TestContext,
  actual: ReadonlyMap<string, CheckLine>,
  expected: ReadonlyMap<string, CheckLine>,
  known: (check: string) => KnownDifference | undefined,
): Promise<void> {
  deepEqual([...actual.keys()], [...expected.keys()])
  for (const [name, line] of expected)
    await t.test(name, () => compare(actual.get(name) ?? { ...line, ok: false }, line, known(name)))
}

for (const client of clientPrograms) {
  describe(client.name, () => {
    let command: readonly [string, ...string[]] = [""]
    let expected: ReadonlyMap<string, CheckLine> = new Map()

    before(async () => {
      command = client.prepare()
      expected = await runProgram(command, postgres?.uri ?? "")
    })

    it("finds all its checks satisfied by PostgreSQL itself", () => {
      ok(expected.size > 0)
      equal(
        [...expected.values()]
          .filter((line) => !line.ok)
          .map((line) => `${line.name}: ${JSON.stringify(line.got)}`)
          .join("\n"),
        "",
      )
    })

    for (const engine of engines)
      for (const time of ["first", "second"])
        it(`gets PostgreSQL's answers from the gateway over ${engine}, the ${time} time`, async (t) => {
          const actual = await runProgram(command, (await gatewayOver(engine)).uri)
          await compareAll(t, actual, expected, (check) =>
            knownDifference(engine, client.name, check),
          )
        })
  })
}
