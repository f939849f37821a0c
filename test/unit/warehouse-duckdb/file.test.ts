import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, afterEach, before, beforeEach, describe, it } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { GatewayError } from "../../../src/core/errors.ts"
import { noParameters } from "../../../src/core/parameters.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import type { DuckdbOptions } from "../../../src/warehouse/duckdb/client.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { askDuckdb, memoryOptions, never, settingsOf } from "./harness.ts"

/**
 * Another process that writes to the file, as a nightly job does: it waits for the lock, runs the SQL, says so, and keeps
 * the file open until its stdin ends.
 */
const writerSource = `
  import { DuckDBInstance } from "@duckdb/node-api"
  const [path, sql] = process.argv.slice(1)
  let instance
  for (;;) {
    try { instance = await DuckDBInstance.create(path); break }
    catch (error) {
      if (!/lock/.test(error.message)) throw error
      process.stdout.write("waiting\\n")
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const connection = await instance.connect()
  await connection.run(sql)
  await connection.run("CHECKPOINT")
  process.stdout.write("written\\n")
  for await (const _ of process.stdin) {}
  connection.closeSync()
  instance.closeSync()
`

class Writer {
  readonly #child: ChildProcess
  #seen = ""

  constructor(path: string, sql: string) {
    const options = ["--input-type=module", "-e", writerSource, path, sql]
    this.#child = spawn(process.execPath, options, {
      cwd: new URL("../../..", import.meta.url),
      stdio: ["pipe", "pipe", "inherit"],
    })
    this.#child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      this.#seen += chunk
    })
  }

  async says(word: string): Promise<void> {
    while (!this.#seen.includes(word)) {
      assert.ok(this.#child.exitCode === null, "the writer ended early")
      await once(this.#child.stdout ?? this.#child, "data")
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.stdin?.end()
    await once(this.#child, "close")
  }
}

async function write(path: string, sql: string): Promise<void> {
  const writer = new Writer(path, sql)
  await writer.says("written")
  await writer.end()
}

let folder: string
let path: string
let opened: DuckdbAdapter[]
let writers: Writer[]

function open(options: Partial<DuckdbOptions> = {}): DuckdbAdapter {
  const adapter = new DuckdbAdapter({ ...memoryOptions, mode: "burst", path, ...options })
  opened.push(adapter)
  return adapter
}

function writing(sql: string): Writer {
  const writer = new Writer(path, sql)
  writers.push(writer)
  return writer
}

async function count(connection: WarehouseConnection, how = {}): Promise<string | null> {
  const { rows } = await askDuckdb(connection, "select count(*) from t", how)
  return rows[0]?.[0] ?? null
}

function isRefusal(sqlState: string, reason: string) {
  return (thrown: unknown): boolean => {
    assert.ok(thrown instanceof GatewayError)
    assert.equal(thrown.sqlState, sqlState)
    assert.equal(thrown.reason, reason)
    assert.ok(!`${thrown.message}${thrown.detail}${thrown.hint}`.includes(folder))
    return true
  }
}

let template: string

before(async () => {
  await loadParser()
  template = mkdtempSync(join(tmpdir(), "duckdb-template-"))
  await write(join(template, "one.duckdb"), "create table t as select 1 as x")
})
after(() => rmSync(template, { recursive: true, force: true }))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "duckdb-file-"))
  path = join(folder, "warehouse.duckdb")
  copyFileSync(join(template, "one.duckdb"), path)
  opened = []
  writers = []
})
afterEach(async () => {
  for (const adapter of opened) await adapter.close()
  for (const writer of writers) await writer.end()
  rmSync(folder, { recursive: true, force: true })
})

describe("a file that another process writes", () => {
  it("is let go of when idle, and shows what was written in place after that", async () => {
    const adapter = open({ idleCloseMs: 20 })
    const connection = await adapter.connect(never)
    assert.equal(await count(connection), "1")
    await write(path, "insert into t values (2)")
    adapter.onInvalidated()
    assert.equal(await count(connection), "2")
  })

  it("is let go of under continuous use, once burstMsMax is over", async () => {
    const adapter = open({ idleCloseMs: 60_000, burstMsMax: 100, burstGapMs: 300 })
    const connection = await adapter.connect(never)
    assert.equal(await count(connection), "1")
    const writer = writing("insert into t values (2)")
    await writer.says("waiting")
    const written = writer.says("written")
    const asking = { isOver: false }
    const askAlways = async (): Promise<void> => {
      while (!asking.isOver) await count(connection)
    }
    const asked = askAlways()
    await written
    await writer.end()
    asking.isOver = true
    await asked
    adapter.onInvalidated()
    const found = await count(connection)
    assert.equal(found, "2")
  })

  it("is waited for while it is locked, within the statement's time-out", async () => {
    const adapter = open()
    const connection = await adapter.connect(never)
    adapter.onInvalidated()
    await delay(100)
    const writer = writing("insert into t values (2), (3)")
    await writer.says("written")
    const asked = count(connection, { statementTimeoutMs: 5_000 })
    await delay(50)
    await writer.end()
    assert.equal(await asked, "3")
  })

  it("gives 55P03 when it stays locked, and answers again afterwards", async () => {
    const adapter = open()
    const writer = writing("insert into t values (2)")
    await writer.says("written")
    const connection = await adapter.connect(never)
    await assert.rejects(
      count(connection, { statementTimeoutMs: 80 }),
      isRefusal("55P03", "warehouse_busy"),
    )
    assert.equal(connection.state, "clean")
    await writer.end()
    assert.equal(await count(connection), "2")
  })

  it("stops waiting when the client gives up", async () => {
    const adapter = open()
    const writer = writing("insert into t values (2)")
    await writer.says("written")
    const connection = await adapter.connect(never)
    const reason = new GatewayError({ sqlState: "57014", reason: "cancelled", message: "stop" })
    const asked = count(connection, { signal: AbortSignal.timeout(50) })
    await assert.rejects(asked)
    const controller = new AbortController()
    const second = count(connection, { signal: controller.signal })
    controller.abort(reason)
    await assert.rejects(second, reason)
  })

  it("keeps its lock while a statement's rows are still being read", async () => {
    const adapter = open({ idleCloseMs: 10 })
    const connection = await adapter.connect(never)
    const stream = await connection.run({
      statement: { text: "select x from t", ast: {}, keepsPositions: true },
      parameters: noParameters,
      resultFormats: [],
      protocol: "simple",
      settings: settingsOf(),
      statementTimeoutMs: 0,
      signal: never,
    })
    const writer = writing("insert into t values (2)")
    await writer.says("waiting")
    assert.equal((await stream.next())?.rowCount, 1)
    assert.equal(await stream.next(), undefined)
    await writer.says("written")
  })
})

describe("a file that is replaced by rename", () => {
  it("is seen by the statement after the invalidation, while a transaction keeps its snapshot", async () => {
    const adapter = open({ mode: "owned" })
    const [first, second] = [await adapter.connect(never), await adapter.connect(never)]
    await first.beginTransaction(undefined, never)
    assert.equal(await count(first), "1")
    const next = join(folder, "next.duckdb")
    copyFileSync(join(template, "one.duckdb"), next)
    await write(next, "insert into t values (2), (3)")
    renameSync(next, path)
    adapter.onInvalidated()
    assert.equal(await count(second), "3")
    assert.equal(await count(first), "1")
    await first.endTransaction()
    assert.equal(await count(first), "3")
  })
})

describe("a file that cannot be opened", () => {
  it("gives 08006 while it is missing, and is served as soon as it is there", async () => {
    rmSync(path)
    const adapter = open()
    const missing = isRefusal("08006", "warehouse_unreachable")
    await assert.rejects(adapter.connect(never), missing)
    copyFileSync(join(template, "one.duckdb"), path)
    const connection = await adapter.connect(never)
    assert.equal(await count(connection), "1")
  })

  it("gives 08006 when it is no database", async () => {
    writeFileSync(path, "x".repeat(20_000))
    const adapter = open()
    await assert.rejects(adapter.connect(never), isRefusal("08006", "warehouse_unreachable"))
  })

  it("is not waited for after close", async () => {
    const adapter = open()
    await adapter.close()
    await assert.rejects(adapter.connect(never), isRefusal("57P01", "draining"))
  })
})
