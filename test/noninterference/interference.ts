import { features, oracles } from "../security/grammar-features.ts"
import { PolicyStatements } from "../security/policy-statements.ts"
import { PolicyWorld } from "../security/policy-world.ts"
import { policies } from "../security/tenants.ts"
import { shown, TwoWorlds, type WorldAnswer } from "../security/two-worlds.ts"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../support/frontend-encoder.ts"
import { Random } from "../support/query-generator-random.ts"
import { errors } from "../support/wire-client.ts"

export type InterferenceOptions = {
  readonly engine: "postgres" | "duckdb"
  readonly seed: number
  readonly statements: number
  readonly statementsPerSchema: number
}

export type Interference = {
  readonly schemas: number
  readonly asked: number
  /** Without an error. */
  readonly answered: number
  /** Statements whose answers differed, with both answers. */
  readonly differences: readonly string[]
}

/** A run with this many differences has said what it has to say. */
const differencesMax = 20

/**
 * Asks generated statements in pairs of databases that have the same visible rows and different hidden ones: other values,
 * other counts, other plans. Every message has to be the same byte for byte: rows, descriptions, errors and notices.
 */
export async function interference(options: InterferenceOptions): Promise<Interference> {
  const { engine, statements, statementsPerSchema } = options
  const random = new Random(options.seed)
  const differences: string[] = []
  let schemas = 0
  let asked = 0
  let answered = 0
  while (asked < statements && differences.length < differencesMax) {
    const world = new PolicyWorld(random)
    const extra = (): string => world.seed(engine, new Random(random.int(2 ** 31)))
    const worlds = [
      { hidden: "zqx", extra: extra() },
      { hidden: "007", extra: extra() },
    ] as const
    const pair = await TwoWorlds.start({ engine, worlds, policies: policies + world.policies })
    schemas += 1
    try {
      const generator = new PolicyStatements(random, world)
      const count = Math.min(statementsPerSchema, statements - asked)
      for (let index = 0; index < count; index += 1) {
        const { sql } = generator.of(random.pick(random.chance(0.4) ? oracles : features))
        const [first, second] = await pair.both(...messagesFor(random, sql))
        asked += 1
        if (errors(first.messages).length === 0) answered += 1
        const [left, right] = [told(first), told(second)]
        if (left !== right)
          differences.push(`${sql}\n  ${left.slice(0, 600)}\n  ${right.slice(0, 600)}`)
      }
    } finally {
      await pair.stop()
    }
  }
  return { schemas, asked, answered, differences }
}

/** A simple query or the extended protocol with Describe. */
function messagesFor(random: Random, sql: string): readonly Buffer[] {
  if (sql.includes(";") || random.chance(0.5)) return [query(sql)]
  return [
    parse(sql),
    describeMessage("statement"),
    bind(),
    describeMessage("portal"),
    execute(),
    sync,
  ]
}

function told({ messages, notices }: WorldAnswer): string {
  return `${shown(messages).join("|")} ${notices}`
}
