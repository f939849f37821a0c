import { deepEqual, equal, ok } from "node:assert/strict"
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, it } from "node:test"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { serverIds } from "../../support/postgres-template.ts"
import { adapterOf, errorOf, never, rowsOf } from "./support.ts"

// A certificate for localhost and 127.0.0.1, signed by itself, good until 2126; it protects nothing.
const certificate = join(import.meta.dirname, "tls", "server.crt")
const usesTls = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

let server: TestPostgres
let plain: TestPostgres
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-tls-"))
  const settings: Record<string, string> = { ssl: "on" }
  for (const name of ["server.crt", "server.key"]) {
    const path = join(folder, name)
    copyFileSync(join(import.meta.dirname, "tls", name), path)
    chmodSync(path, 0o600)
    if (serverIds.uid !== undefined) chownSync(path, serverIds.uid, serverIds.gid)
    settings[name === "server.crt" ? "ssl_cert_file" : "ssl_key_file"] = path
  }
  chmodSync(folder, 0o755)
  server = await startPostgres({ settings })
  plain = await startPostgres()
})

after(async () => {
  await server.stop()
  await plain.stop()
  rmSync(folder, { recursive: true })
})

async function answer(uri: string): Promise<unknown> {
  const connection = await adapterOf(uri).connect(never)
  const rows = await rowsOf(connection, usesTls)
  connection.close()
  return rows[0]?.[0]
}

it("sslmode prefer and require encrypt without asking who answers; disable does not", async () => {
  equal(await answer(server.uri), "true")
  equal(await answer(`${server.uri}?sslmode=require`), "true")
  equal(await answer(`${server.uri}?sslmode=disable`), "false")
})

it("a server without TLS is used plainly by prefer and refused by require", async () => {
  equal(await answer(plain.uri), "false")
  equal((await errorOf(answer(`${plain.uri}?sslmode=require`))).sqlState, "08006")
})

it("verify-full takes the known certificate for the name it was made for, and nothing else", async () => {
  const known = `sslmode=verify-full&sslrootcert=${certificate}`
  equal(await answer(`${server.uri}?${known}`), "true")
  equal((await errorOf(answer(`${server.uri}?sslmode=verify-full`))).sqlState, "08006")
  const otherName = server.uri.replace("127.0.0.1", "127.0.0.2")
  equal((await errorOf(answer(`${otherName}?${known}`))).sqlState, "08006")
})

it("a statement on an encrypted connection is cancelled over TLS", async () => {
  const connection = await adapterOf(`${server.uri}?sslmode=require`).connect(never)
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(new Error("enough")), 50)
  await rowsOf(connection, "SELECT pg_sleep(60)", { signal: controller.signal }).then(
    () => ok(false, "it was not cancelled"),
    (error: unknown) => equal(error, controller.signal.reason),
  )
  clearTimeout(timer)
  equal(await connection.settle(5_000), "clean")
  deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
  connection.close()
})
