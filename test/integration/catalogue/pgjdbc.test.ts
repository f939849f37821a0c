import { deepEqual, ok } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { type CheckLine, runProgram } from "../clients/client-programs.ts"
import { startTwins, type Twins } from "./twins.ts"

/** The row types of two catalogues that stand behind views (src/catalog/shadow/worker.ts) are in pg_type as well. */
function withoutBuiltins(line: CheckLine | undefined): CheckLine | undefined {
  if (line === undefined || !Array.isArray(line.got)) return line
  return { ...line, got: line.got.filter((row) => !String(row).startsWith("_pg_builtin_")) }
}

const root = fileURLToPath(new URL("../../../", import.meta.url))

describe("pgjdbc's DatabaseMetaData over a DuckDB warehouse", () => {
  let twins: Twins
  let jar = ""

  before(async () => {
    jar = execFileSync("scripts/install-maven.sh", ["test/clients/pgjdbc.txt"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    }).trim()
    twins = await startTwins()
  })

  after(() => twins?.stop())

  it("says what it says over PostgreSQL with the same tables", async (t) => {
    const command = ["java", "-cp", jar, "test/clients/PgjdbcMetadata.java"] as const
    const expected = await runProgram([...command], twins.postgres.uri)
    const found = await runProgram([...command], twins.gateway.uri)
    ok(expected.size >= 20)
    for (const [name, line] of expected)
      await t.test(name, () => {
        ok(line.ok, JSON.stringify(line.got))
        deepEqual(withoutBuiltins(found.get(name)), line)
      })
  })
})
