import type { ParameterSink } from "./query-generator-expressions.ts"
import { literals } from "./query-generator-forms.ts"
import type { Exchange } from "./query-generator-messages.ts"
import type { Random } from "./query-generator-random.ts"
import type { ColumnType } from "./query-generator-schema.ts"

/** Conversations over what SQL itself has for prepared statements, copies and cursors that go back. */

/** Makes one read; with a sink its values become `$n`. */
export type MakeRead = (parameters: ParameterSink | undefined) => string

function query(sql: string): Exchange {
  return [{ kind: "query", sql }]
}

/** A read without what may stand behind it, so that it can stand inside another statement. */
function inner(sql: string): string {
  return sql
    .trim()
    .replace(/;$/, "")
    .replace(/ -- trailing$/, "")
}

/** Types whose name in SQL is not that of the generator. */
const sqlNames: Partial<Record<ColumnType, string>> = { mood: "lab.mood", bpchar: "char(5)" }

/** Values of a PREPARE: their types, and what an EXECUTE may give for each. */
class Arguments implements ParameterSink {
  readonly types: ColumnType[] = []
  readonly #isDeclared: boolean

  constructor(isDeclared: boolean) {
    this.#isDeclared = isDeclared
  }

  static nameOf(type: ColumnType): string {
    return sqlNames[type] ?? type
  }

  take(type: ColumnType): string {
    this.types.push(type)
    const marker = `$${this.types.length}`
    return this.#isDeclared ? marker : `${marker}::${Arguments.nameOf(type)}`
  }
}

/** Now and then one that is refused; never two, because which of them is found first is not promised. */
function argumentList(random: Random, types: readonly ColumnType[]): string[] {
  const values = types.map((type) =>
    random.chance(0.1) ? "NULL" : random.pick<string>(literals[type]),
  )
  if (values.length > 0 && random.chance(0.08))
    values[random.int(values.length)] = random.pick(["'no such value'", "(SELECT 1)"])
  else if (random.chance(0.05)) values.pop()
  return values
}

/** PREPARE, EXECUTE with literals, then DEALLOCATE; now and then an argument too few, or a name twice. */
export function preparedBySql(random: Random, read: MakeRead): Exchange[] {
  const isDeclared = random.chance(0.5)
  const given = new Arguments(isDeclared)
  const body = inner(read(random.chance(0.75) ? given : undefined))
  const { types } = given
  const list =
    isDeclared && types.length > 0
      ? ` (${types.map((type) => Arguments.nameOf(type)).join(", ")})`
      : ""
  const prepare = `PREPARE q1${list} AS ${body}`
  const execute = (): Exchange => {
    const values = argumentList(random, types)
    return query(`EXECUTE q1${values.length === 0 ? "" : `(${values.join(", ")})`}`)
  }
  return [
    query(prepare),
    ...random.many(random.between(1, 3), execute),
    ...(random.chance(0.1) ? [query(prepare)] : []),
    ...(random.chance(0.2) ? [query("BEGIN"), execute(), query("COMMIT")] : []),
    query(random.pick(["DEALLOCATE q1", "DEALLOCATE ALL"])),
    ...(random.chance(0.1) ? [execute()] : []),
    query("DEALLOCATE ALL"),
  ]
}

const copyOptions: readonly string[] = [
  "",
  "",
  " WITH (FORMAT text)",
  " (FORMAT csv)",
  " (FORMAT csv, HEADER)",
  " WITH CSV HEADER",
  " (FORMAT binary)",
  " WITH (FORMAT text, DELIMITER '|', NULL 'nil')",
  " (FORMAT csv, DELIMITER ';', QUOTE '''', FORCE_QUOTE *)",
  " (FORMAT csv, NULL 'NULL', ESCAPE '\\')",
  " (FORMAT text, HEADER true)",
]

const copyTables: readonly string[] = ["lab.facts", "lab.dims (id, name)", "lab.parts", "facts"]

/** COPY of a query or a table to the client, in every format. A table is copied in no order that is promised. */
export function copied(random: Random, read: MakeRead): Exchange[] {
  const options = random.pick(copyOptions)
  const copy = (): Exchange =>
    query(
      random.chance(0.9)
        ? `COPY (${inner(read(undefined))}) TO STDOUT${options}`
        : `COPY ${random.pick(copyTables)} TO STDOUT${options}`,
    )
  const setting = random.pick([
    "SET TimeZone = 'Asia/Tokyo'",
    "SET DateStyle = 'German'",
    "SELECT 1",
  ])
  return random.chance(0.7)
    ? [copy()]
    : [query("BEGIN"), query(setting), copy(), query("SELECT 2"), query("ROLLBACK")]
}

const jumps: readonly string[] = [
  "FETCH FIRST FROM c2",
  "FETCH LAST FROM c2",
  "FETCH PRIOR FROM c2",
  "FETCH NEXT FROM c2",
  "FETCH 0 FROM c2",
  "FETCH ABSOLUTE 3 FROM c2",
  "FETCH ABSOLUTE -2 FROM c2",
  "FETCH ABSOLUTE 0 FROM c2",
  "FETCH RELATIVE 2 FROM c2",
  "FETCH RELATIVE -1 FROM c2",
  "FETCH BACKWARD 2 FROM c2",
  "FETCH BACKWARD ALL FROM c2",
  "FETCH FORWARD 4 FROM c2",
  "FETCH -3 FROM c2",
  "FETCH ALL FROM c2",
  "MOVE 5 FROM c2",
  "MOVE LAST FROM c2",
  "MOVE BACKWARD 2 FROM c2",
  "MOVE FORWARD ALL IN c2",
]

/** A cursor that is read in all directions, inside its transaction or held beyond it. */
export function scrolled(random: Random, read: MakeRead): Exchange[] {
  const isHeld = random.chance(0.4)
  const kind = random.pick(["SCROLL CURSOR", "BINARY SCROLL CURSOR", "NO SCROLL CURSOR"])
  const fetches = (count: number): Exchange[] => random.many(count, () => query(random.pick(jumps)))
  const end = query(random.chance(0.8) ? "COMMIT" : "ROLLBACK")
  return [
    query("BEGIN"),
    query(`DECLARE c2 ${kind}${isHeld ? " WITH HOLD" : ""} FOR ${inner(read(undefined))}`),
    ...fetches(random.between(1, 6)),
    end,
    ...(isHeld ? [...fetches(3), query("CLOSE ALL")] : []),
  ]
}
