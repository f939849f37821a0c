import type { Random } from "../support/query-generator-random.ts"

/** One generated table: what its policy lets organisation 1 see, and what it hides. */
export type WorldTable = {
  readonly name: string
  readonly columns: readonly string[]
  readonly deniedColumns: readonly string[]
  readonly policy: string
  /** SQL that leaves of the table what the policy shows. */
  readonly byHand: string
}

/** Ids of hidden rows begin here; those of visible ones stay below. */
export const hiddenIdMin = 1_000

const words = ["ada", "berta", "cäsar", "dora", "emil", "", "it''s", "Zoë", "x%y"]

/** Columns besides id and tenant, and their types; their order is drawn. */
const columnTypes: Readonly<Record<string, readonly string[]>> = {
  n: ["integer", "integer", "bigint"],
  amount: ["numeric(12,2)", "numeric(18,4)"],
  name: ["text", "varchar(60)"],
  note: ["text", "varchar(60)"],
  email: ["text", "varchar(60)"],
  secret: ["text", "varchar(60)"],
  day: ["date"],
  ok: ["boolean"],
}

/** Filters that let exactly the rows of tenant 1 through, for a reader with org_id 1, login ann and orgs [1]. */
const filters: readonly string[] = [
  `[{ name: own, filter: "tenant = :org_id" }]`,
  `[{ name: listed, filter: "tenant = ANY (:orgs)" }]`,
  `[{ name: mapped, filter: "tenant IN (SELECT m.org_id FROM sales.org_map m WHERE m.login = :login)" }]`,
  `[{ name: exists, filter: "EXISTS (SELECT 1 FROM sales.org_map m WHERE m.org_id = tenant AND m.login = :login)" }]`,
  `[{ name: one, filter: "tenant = :org_id AND id % 2 = 0" }, { name: two, filter: "tenant = :org_id AND id % 2 <> 0" }]`,
  `[{ name: wide, filter: "tenant > 0" }, { name: narrow, kind: restrictive, filter: "tenant = :org_id" }]`,
  `[{ name: case, filter: "CASE WHEN tenant = :org_id THEN true ELSE false END" }]`,
]

/** A schema of tables with policies, drawn from a seed. What is hidden is drawn from another. */
export class PolicyWorld {
  readonly tables: readonly WorldTable[]
  readonly policies: string
  readonly #rows: readonly string[]
  readonly #create: readonly string[]

  constructor(random: Random) {
    const made = random.many(4, (index) => makeTable(random, `t${index}`, index === 3))
    this.tables = made.map(({ table }) => table)
    this.policies = this.tables.map(({ policy }) => policy).join("")
    this.#create = made.map(({ create }) => create)
    this.#rows = made.map(({ table }) => visibleRows(random, table))
  }

  /** The tables with the rows that everybody may see, and hidden ones that only this world has. */
  seed(engine: "postgres" | "duckdb", hidden: Random): string {
    const secrets = this.tables.map((table, index) =>
      // The last table is open to all.
      index === 3 ? "" : hiddenRows(hidden, table),
    )
    const views = `
CREATE VIEW pp.v0 AS SELECT id, tenant, n AS shown FROM pp.t0 WHERE n IS NOT NULL;
CREATE VIEW pp.v1 AS SELECT v0.id, t1.name FROM pp.v0 JOIN pp.t1 ON t1.id = v0.id;
`
    const parts = ["CREATE SCHEMA pp;", ...this.#create, ...this.#rows, ...secrets, views]
    return [...parts, ...(engine === "postgres" ? ["ANALYZE;"] : [])].join("\n")
  }

  /** SQL that leaves of the tables what the policies show, for comparison. */
  get byHand(): string {
    return this.tables.map(({ byHand }) => byHand).join("\n")
  }
}

type Made = {
  readonly table: WorldTable
  readonly create: string
}

function makeTable(random: Random, name: string, isOpen: boolean): Made {
  const types = new Map(
    Object.entries(columnTypes).map(([column, choices]) => [column, random.pick(choices)]),
  )
  const columns = ["id", "tenant", ...shuffled(random, [...types.keys()])]
  const create = `CREATE TABLE pp.${name} (${columns
    .map((column) => `${column} ${types.get(column) ?? "integer"}`)
    .join(", ")});`
  const isDenied = !isOpen && random.chance(0.7)
  const isMasked = !isOpen && random.chance(0.7)
  const deniedColumns = isDenied ? ["secret"] : []
  const masks = new Map<string, string>()
  if (isMasked)
    masks.set(
      "email",
      random.pick(["left(email, 1) || '***'", "'hidden'", "upper(left(email, 1))"]),
    )
  if (!isOpen && random.chance(0.3)) masks.set("amount", "round(amount, -2)")
  const policy = isOpen
    ? ""
    : `
  pp.${name}:
    rowFilters: ${random.pick(filters)}
    unfilteredRoles: [boss]
    masks: [${[...masks].map(([column, mask]) => `{ column: ${column}, mask: ${JSON.stringify(mask)}, exceptRoles: [boss] }`).join(", ")}]
    deniedColumns: [${isDenied ? "{ columns: [secret], exceptRoles: [boss] }" : ""}]
`
  const shown = columns
    .filter((column) => !deniedColumns.includes(column))
    .map((column) => (masks.has(column) ? `(${masks.get(column)}) AS ${column}` : column))
  const byHand = leave({ schema: "pp", name, shown, where: isOpen ? "true" : "tenant = 1" })
  return { table: { name, columns, deniedColumns, policy, byHand }, create }
}

/** SQL that puts a table in the place of another with these rows and columns of it. */
export function leave(part: {
  readonly schema: string
  readonly name: string
  readonly shown: readonly string[]
  readonly where: string
}): string {
  const { schema, name, shown, where } = part
  return `
CREATE TABLE ${schema}.by_hand AS SELECT ${shown.join(", ")} FROM ${schema}.${name} WHERE ${where};
DROP TABLE ${schema}.${name} CASCADE;
ALTER TABLE ${schema}.by_hand RENAME TO ${name};`
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: random.next() }))
    .toSorted((left, right) => left.key - right.key)
    .map(({ item }) => item)
}

/** Values of one row by column; a note is a number, so that it can be cast. */
function rowValues(random: Random, id: number, tenant: number): Readonly<Record<string, string>> {
  const orNull = (value: string): string => (random.chance(0.1) ? "NULL" : value)
  return {
    id: String(id),
    tenant: String(tenant),
    n: orNull(String(random.between(-20, 60))),
    amount: orNull(`${random.between(0, 9_999)}.${random.between(10, 99)}`),
    name: orNull(`'${random.pick(words)}'`),
    note: orNull(`'${random.between(0, 99)}'`),
    email: orNull(`'${random.pick(["ann", "bob"])}@example.org'`),
    secret: orNull(`'s${random.int(9)}'`),
    day: orNull(`'2026-0${random.between(1, 9)}-1${random.int(9)}'`),
    ok: orNull(random.pick(["true", "false"])),
  }
}

function insert(table: WorldTable, rows: readonly Readonly<Record<string, string>>[]): string {
  if (rows.length === 0) return ""
  const lines = rows.map(
    (row) => `(${table.columns.map((column) => row[column] ?? "NULL").join(", ")})`,
  )
  return `INSERT INTO pp.${table.name} VALUES ${lines.join(",\n")};`
}

function visibleRows(random: Random, table: WorldTable): string {
  const count = random.pick([0, 3, 5, 20, 40, 40])
  return insert(
    table,
    random.many(count, (index) => rowValues(random, index + 1, 1)),
  )
}

/** None, a few, or so many that the planner plans otherwise; notes and names that fail where visible ones do not. */
function hiddenRows(random: Random, table: WorldTable): string {
  const count = random.pick([0, 1, 7, 60, 400])
  const rows = random.many(count, (index) => ({
    ...rowValues(random, hiddenIdMin + index, random.pick([2, 3, 0, -1])),
    note: random.pick(["'not a number'", "'99999999999999'", "NULL", "'7'"]),
    name: `'hidden ${random.int(1_000)}'`,
    n: random.pick(["2147483647", "-2147483648", "0"]),
  }))
  return insert(table, rows)
}
