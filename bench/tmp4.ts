import { startPostgres } from "../test/support/postgres-server.ts"
import { startGateway } from "../test/support/gateway.ts"
import { writeDuckdbSeed } from "../test/integration/clients/duckdb-seed.ts"
import { execFileSync } from "node:child_process"
import { clientPrograms, runProgram } from "../test/integration/clients/client-programs.ts"
import { rmSync, writeFileSync } from "node:fs"
const s = await startPostgres({ seedFiles: ["test/clients/seed.sql"] })
rmSync("/tmp/seed.duckdb", { force: true })
await writeDuckdbSeed("/tmp/seed.duckdb")
const gs = { postgres: `engine: postgres, uri: "${s.uri}"`, duckdb: `engine: duckdb, path: "/tmp/seed.duckdb"` }
const expected = new Map()
const out: string[] = []
for (const [engine, w] of Object.entries(gs)) {
  try {
    const g = await startGateway({ config: `warehouses: { warehouse: { ${w} } }` })
    for (const c of clientPrograms) {
      const cmd = c.prepare()
      if (!expected.has(c.name)) expected.set(c.name, await runProgram(cmd, s.uri))
      for (const time of [1, 2]) {
        try {
          const a = await runProgram(cmd, g.uri)
          let n = 0
          for (const [k, e] of expected.get(c.name)) { const x = a.get(k); if (JSON.stringify(x) !== JSON.stringify(e)) { n++; if (time === 1 || engine === "postgres") out.push(`${engine} ${time} ${c.name}: ${k}\n   got  ${JSON.stringify(x?.got)?.slice(0, 600)}\n   want ${JSON.stringify(e.got).slice(0, 600)}`) } }
          out.push(`== ${engine} ${time} ${c.name}: ${n} of ${expected.get(c.name).size} differ`)
        } catch (e) { out.push(`== ${engine} ${c.name} crashed ${String(e).slice(0, 300)}`) }
      }
    }
    await g.stop()
  } catch (e) { out.push(`== ${engine} ${String(e).slice(0, 1500)}`) }
  writeFileSync("/tmp/clients-out.txt", out.join("\n"))
}
await s.stop()
process.exit(0)
