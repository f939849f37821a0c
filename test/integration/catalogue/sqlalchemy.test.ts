import { deepEqual, ok } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { runProgram } from "../clients/client-programs.ts"
import { startTwins, type Twins } from "./twins.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const program = "test/clients/sqlalchemy_inspector.py"

for (const version of ["1.4", "2.0"])
  describe(`the inspector of SQLAlchemy ${version} over a DuckDB warehouse`, () => {
    let twins: Twins
    let python = ""

    before(async () => {
      python = execFileSync(
        "scripts/install-python.sh",
        [`test/clients/requirements-sqlalchemy-${version}.txt`],
        { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
      ).trim()
      twins = await startTwins()
    })

    after(() => twins?.stop())

    it("finds what it finds over PostgreSQL with the same tables", async (t) => {
      const expected = await runProgram([python, program], twins.postgres.uri)
      const found = await runProgram([python, program], twins.gateway.uri)
      ok(expected.size >= 13)
      for (const [name, line] of expected)
        await t.test(name, () => {
          ok(line.ok, JSON.stringify(line.got))
          deepEqual(found.get(name), line)
        })
    })
  })
