import { parseArgs } from "node:util"
import { interference } from "./interference.ts"

/** `npm run test:noninterference -- --statements 20000 --seed 1`: half of the statements on each engine. Exit 1 on a difference. */
const { values } = parseArgs({
  options: {
    statements: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    engine: { type: "string" },
  },
})
const engines = (["postgres", "duckdb"] as const).filter(
  (engine) => values.engine === undefined || values.engine === engine,
)
const seed = values.seed === "random" ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const statements = Math.ceil(Number(values.statements) / engines.length)
let found = 0
for (const engine of engines) {
  const result = await interference({ engine, seed, statements, statementsPerSchema: 500 })
  found += result.differences.length
  for (const difference of result.differences) process.stdout.write(`${difference}\n`)
  process.stdout.write(
    `${engine}, seed ${seed}: ${result.asked} statements over ${result.schemas} schemas, ${result.answered} answered with rows, ${result.differences.length} differences\n`,
  )
}
process.exitCode = found === 0 ? 0 : 1
