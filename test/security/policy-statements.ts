import type { Random } from "../support/query-generator-random.ts"
import type { Feature } from "./grammar-features.ts"
import { hiddenIdMin, type PolicyWorld, type WorldTable } from "./policy-world.ts"

export type GeneratedStatement = { readonly feature: string; readonly sql: string }

const placeholder = /\{(TA\.name|TA\.qualified|TA|A|B|k|w|hidden|([ab])\.([nmsdbp])(:same)?)\}/g

/** Fills templates with tables, columns and constants of a world. */
export class PolicyStatements {
  readonly #random: Random
  readonly #world: PolicyWorld

  constructor(random: Random, world: PolicyWorld) {
    this.#random = random
    this.#world = world
  }

  of([feature, template]: Feature): GeneratedStatement {
    const random = this.#random
    const tables = { a: random.pick(this.#world.tables), b: random.pick(this.#world.tables) }
    const last = new Map<string, string>()
    const sql = template.replaceAll(
      placeholder,
      (
        whole,
        key: string,
        alias: "a" | "b" | undefined,
        kind: string | undefined,
        same: string | undefined,
      ) => {
        if (alias !== undefined && kind !== undefined) {
          const known = same === undefined ? undefined : last.get(`${alias}${kind}`)
          const made = known ?? this.#expression(tables[alias], alias, kind)
          last.set(`${alias}${kind}`, made)
          return made
        }
        return this.#word(key, tables) ?? whole
      },
    )
    return { feature, sql: this.#wrapped(sql) }
  }

  #word(
    key: string,
    tables: { readonly a: WorldTable; readonly b: WorldTable },
  ): string | undefined {
    const random = this.#random
    switch (key) {
      case "A":
        return `pp.${tables.a.name} AS a`
      case "B":
        return `pp.${tables.b.name} AS b`
      case "TA":
      case "TA.qualified":
        return `pp.${tables.a.name}`
      case "TA.name":
        return tables.a.name
      case "k":
        return String(random.between(0, 9))
      case "w":
        return random.pick(["'ada'", "'zz'", "''"])
      case "hidden":
        return String(hiddenIdMin + random.int(9))
      default:
        return undefined
    }
  }

  #expression(table: WorldTable, alias: string, kind: string): string {
    const random = this.#random
    const has = (column: string): boolean =>
      table.columns.includes(column) && !table.deniedColumns.includes(column)
    switch (kind) {
      case "n":
        return random.pick([
          `${alias}.n`,
          `${alias}.id`,
          `(${alias}.n + ${alias}.tenant)`,
          `length(${alias}.name)`,
        ])
      case "m":
        return random.pick([
          `${alias}.amount`,
          `(${alias}.amount / 3)`,
          `coalesce(${alias}.amount, 0)`,
        ])
      case "s":
        return random.pick([
          `${alias}.name`,
          `${alias}.email`,
          `lower(${alias}.name)`,
          `${alias}.note`,
          ...(has("secret") ? [`${alias}.secret`] : []),
        ])
      case "d":
        return random.pick([`${alias}.day`, `(${alias}.day + 1)`])
      case "b":
        return random.pick([`${alias}.ok`, `(${alias}.n > 10)`, `(${alias}.name IS NULL)`])
      default:
        return random.pick([
          `${alias}.ok`,
          `${alias}.n > ${random.between(-5, 40)}`,
          `${alias}.name LIKE '${random.pick(["a%", "%a", "h%"])}'`,
          `${alias}.id % 3 = ${random.int(3)}`,
          `${alias}.email IS NOT NULL`,
          `${alias}.day < '2026-06-01'`,
        ])
    }
  }

  /** Now and then the statement stands inside of another. */
  #wrapped(sql: string): string {
    if (
      !/^(?:SELECT|WITH|VALUES|TABLE)\b/.test(sql) ||
      /SELECT FROM|INTO made|FOR UPDATE|DELETE/.test(sql)
    )
      return sql
    if (!this.#random.chance(0.3)) return sql
    return this.#random.pick([
      `SELECT count(*) FROM (${sql}\n) AS around`,
      `WITH around AS (${sql}\n) SELECT count(*) FROM around`,
      `SELECT EXISTS (${sql}\n)`,
      `SELECT around::text FROM (${sql}\n) AS around ORDER BY 1`,
      `SELECT ARRAY(SELECT around::text FROM (${sql}\n) AS around ORDER BY 1)`,
    ])
  }
}
