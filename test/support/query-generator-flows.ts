import { QueryGenerator } from "./query-generator.ts"
import { copied, type MakeRead, preparedBySql, scrolled } from "./query-generator-language.ts"
import type { Exchange, Flow, Step } from "./query-generator-messages.ts"
import { Parameters } from "./query-generator-parameters.ts"
import type { Random } from "./query-generator-random.ts"
import {
  byteSettings,
  failingStatements,
  sessionQuestions,
  volatileStatements,
  writingStatements,
} from "./query-generator-statements.ts"

function query(sql: string): Exchange {
  return [{ kind: "query", sql }]
}

const sync: Step = { kind: "sync" }

/** A statement that fails somewhere between Parse and Execute. */
function failing(sql: string): Step[] {
  return [
    { kind: "parse", name: "", sql, types: [] },
    { kind: "bind", portal: "", statement: "", formats: [], values: [], resultFormats: [] },
    { kind: "describe", target: "portal", name: "" },
    { kind: "execute", portal: "", rowsMax: 0 },
  ]
}

/** Execute of the portal that is read in pieces. */
function executeP(rowsMax: number): Step {
  return { kind: "execute", portal: "p", rowsMax }
}

/** Makes conversations of one session each, over the reads of query-generator.ts. */
export class FlowGenerator {
  readonly #random: Random
  readonly #reads: QueryGenerator
  /** Texts of the recent past, asked again under other settings and from other sessions. */
  readonly #recent: string[] = []
  readonly #recentMax = 60
  #made = 0

  constructor(random: Random) {
    this.#random = random
    this.#reads = new QueryGenerator(random)
  }

  readonly #read: MakeRead = (parameters) =>
    parameters === undefined ? this.#text() : this.#reads.read({ isBare: false, parameters }).sql

  next(): Flow {
    const [name, exchanges] = this.#random.weighted<() => [string, Exchange[]]>([
      [30, () => ["simple", this.#simple()]],
      [14, () => ["settings", this.#settings()]],
      [22, () => ["extended", this.#extendedOnce()]],
      [8, () => ["prepared", this.#prepared()]],
      [5, () => ["portal", this.#portal()]],
      [4, () => ["pipeline", this.#pipeline()]],
      [8, () => ["transaction", this.#transaction()]],
      [4, () => ["cursor", this.#cursor()]],
      [4, () => ["sql-prepared", preparedBySql(this.#random, this.#read)]],
      [4, () => ["copy", copied(this.#random, this.#read)]],
      [4, () => ["scroll", scrolled(this.#random, this.#read)]],
      [5, () => ["errors", this.#errors()]],
      [5, () => ["multi", this.#multi()]],
      [2, () => ["session", this.#session()]],
      [0.6, () => ["volatile", [query(this.#random.pick(volatileStatements))]]],
      [1, () => ["writes", [query(this.#random.pick(writingStatements))]]],
    ])()
    this.#made += 1
    return { name: `${name} ${this.#made}`, exchanges }
  }

  #text(isBare = false): string {
    if (!isBare && this.#recent.length > 0 && this.#random.chance(0.3))
      return this.#random.pick(this.#recent)
    const { sql } = this.#reads.read({ isBare, parameters: undefined })
    if (!isBare) this.#remember(sql)
    return sql
  }

  #remember(sql: string): void {
    if (this.#recent.length < this.#recentMax) this.#recent.push(sql)
    else this.#recent[this.#random.int(this.#recentMax)] = sql
  }

  #simple(): Exchange[] {
    return this.#random.many(this.#random.between(1, 3), () => query(this.#text()))
  }

  #setting(): { readonly name: string; readonly sql: string } {
    const [name, values] = this.#random.pick(byteSettings)
    const value = this.#random.pick(values)
    const spelled = this.#random.pick([name, name.toLowerCase(), name.toUpperCase()])
    const isPlain = !value.includes(",") && !/^-?\d+$/.test(value) && value.startsWith("'")
    if (isPlain && this.#random.chance(0.2))
      return { name, sql: `SELECT set_config('${name}', ${value}, false)` }
    if (name === "TimeZone" && this.#random.chance(0.4))
      return { name, sql: `SET TIME ZONE ${value}` }
    return { name, sql: `SET ${spelled} ${this.#random.pick(["=", "TO"])} ${value}` }
  }

  #settings(): Exchange[] {
    const chosen = this.#random.many(this.#random.between(1, 2), () => this.#setting())
    const isBare = chosen.at(-1)?.name === "search_path"
    const reads = this.#random.many(this.#random.between(1, 3), () => query(this.#text(isBare)))
    const questions = this.#random.chance(0.3)
      ? [query(`SHOW ${this.#random.pick(chosen).name}`)]
      : []
    const undo = this.#random.chance(0.5)
      ? chosen.map(({ name }) => query(`RESET ${name}`))
      : [query("RESET ALL")]
    return [...chosen.map(({ sql }) => query(sql)), ...reads, ...questions, ...undo]
  }

  #resultFormats(columnCount: number): readonly number[] {
    return this.#random.weighted<() => readonly number[]>([
      [5, () => []],
      [2, () => [0]],
      [3, () => [1]],
      [1.5, () => this.#random.many(columnCount, () => this.#random.int(2))],
      [0.1, () => this.#random.many(columnCount + 1, () => 0)],
    ])()
  }

  #parse(name: string): {
    readonly parse: Step
    readonly bind: (portal: string, isFresh: boolean) => Step
  } {
    const parameters = new Parameters(this.#random)
    const isPlain = this.#random.chance(0.35)
    const read = this.#reads.read({ isBare: false, parameters: isPlain ? undefined : parameters })
    const hasTypes = parameters.types.some((oid) => oid !== 0) || this.#random.chance(0.5)
    return {
      parse: { kind: "parse", name, sql: read.sql, types: hasTypes ? parameters.types : [] },
      bind: (portal, isFresh) => ({
        kind: "bind",
        portal,
        statement: name,
        ...parameters.bind(isFresh),
        resultFormats: this.#resultFormats(read.columnCount),
      }),
    }
  }

  /** One round trip, as most drivers do for a statement that they see once. */
  #extendedOnce(): Exchange[] {
    const { parse, bind } = this.#parse("")
    const describe: readonly Step[] = this.#random.pick<readonly Step[]>([
      [],
      [{ kind: "describe", target: "portal", name: "" }],
      [{ kind: "describe", target: "portal", name: "" }, { kind: "flush" }],
    ])
    const statementFirst: readonly Step[] = this.#random.chance(0.25)
      ? [{ kind: "describe", target: "statement", name: "" }]
      : []
    const whole: Exchange = [
      parse,
      ...statementFirst,
      bind("", false),
      ...describe,
      { kind: "execute", portal: "", rowsMax: this.#random.chance(0.1) ? 3 : 0 },
      sync,
    ]
    return [whole]
  }

  /** Parse and Describe first, then several Binds, as asyncpg and pgjdbc do. */
  #prepared(): Exchange[] {
    const name = this.#random.pick(["s1", "S_2", "with space"])
    const { parse, bind } = this.#parse(name)
    const first: Exchange = [parse, { kind: "describe", target: "statement", name }, sync]
    const runs = this.#random.many(
      this.#random.between(1, 3),
      (index): Exchange => [
        bind("", index > 0),
        ...(this.#random.chance(0.5)
          ? [{ kind: "describe", target: "portal", name: "" } as const]
          : []),
        { kind: "execute", portal: "", rowsMax: 0 },
        sync,
      ],
    )
    const again: Exchange[] = this.#random.chance(0.2) ? [[parse, sync]] : []
    return [first, ...runs, ...again, [{ kind: "close", target: "statement", name }, sync]]
  }

  /** A portal read in pieces, inside a transaction so that it outlives Sync. */
  #portal(): Exchange[] {
    const { parse, bind } = this.#parse("sp")
    const pieces = this.#random.many(
      this.#random.between(1, 4),
      (): Exchange => [executeP(this.#random.pick([1, 2, 7, 50, 0])), sync],
    )
    return [
      query("BEGIN"),
      [
        parse,
        bind("p", false),
        { kind: "describe", target: "portal", name: "p" },
        executeP(2),
        sync,
      ],
      ...pieces,
      [
        { kind: "close", target: "portal", name: "p" },
        { kind: "close", target: "statement", name: "sp" },
        sync,
      ],
      query(this.#random.pick(["COMMIT", "ROLLBACK"])),
    ]
  }

  /** Several statements before one Sync; an error in the middle makes the server skip the rest. */
  #pipeline(): Exchange[] {
    const steps = this.#random.many(this.#random.between(2, 4), (): Step[] => {
      if (this.#random.chance(0.15)) return failing(this.#random.pick(failingStatements))
      const { parse, bind } = this.#parse("")
      return [parse, bind("", false), { kind: "execute", portal: "", rowsMax: 0 }]
    })
    return [[...steps.flat(), sync], query("SELECT 1")]
  }

  #transaction(): Exchange[] {
    const begin = this.#random.pick([
      "BEGIN",
      "begin",
      "START TRANSACTION",
      "BEGIN READ ONLY",
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
    ])
    const body = this.#random.many(this.#random.between(1, 4), (): Exchange[] =>
      this.#random.weighted<() => Exchange[]>([
        [5, () => [query(this.#text())]],
        [2, () => this.#extendedOnce()],
        [2, () => [query(this.#setting().sql)]],
        [2, () => [query(this.#setting().sql.replace(/^SET (?!TIME ZONE)/, "SET LOCAL "))]],
        [
          1,
          () => [
            query("SAVEPOINT a"),
            query(this.#setting().sql),
            query(this.#text()),
            query("ROLLBACK TO SAVEPOINT a"),
          ],
        ],
        [
          1,
          () => [
            query("SAVEPOINT b"),
            query(this.#random.pick(failingStatements)),
            query("ROLLBACK TO b"),
            query("RELEASE b"),
          ],
        ],
        [0.5, () => [query(this.#random.pick(failingStatements))]],
        [0.5, () => [query("SHOW TimeZone")]],
        [0.2, () => [query("BEGIN")]],
      ])(),
    )
    const isUndone = this.#random.chance(0.6)
    return [
      query(begin),
      ...body.flat(),
      query(isUndone ? "ROLLBACK" : this.#random.pick(["COMMIT", "END"])),
      query(this.#text()),
      query("RESET ALL"),
    ]
  }

  #cursor(): Exchange[] {
    const fetches = this.#random.many(this.#random.between(1, 4), () =>
      query(
        this.#random.pick([
          "FETCH c1",
          "FETCH FORWARD 3 FROM c1",
          "FETCH 10 IN c1",
          "MOVE 2 FROM c1",
          "FETCH ALL FROM c1",
          "FETCH FORWARD 1024 FROM c1",
        ]),
      ),
    )
    return [
      query("BEGIN"),
      query(
        `DECLARE "c1" CURSOR ${this.#random.pick(["", "WITHOUT HOLD ", "NO SCROLL "])}FOR ${this.#text().replace(/;\s*$/, "")}`,
      ),
      ...fetches,
      ...(this.#random.chance(0.5) ? [query('CLOSE "c1"')] : []),
      query(this.#random.pick(["COMMIT", "ROLLBACK"])),
    ]
  }

  #errors(): Exchange[] {
    const sql = this.#random.pick(failingStatements)
    if (this.#random.chance(0.6)) return [query(sql)]
    return [[...failing(sql), sync]]
  }

  #multi(): Exchange[] {
    const statements = this.#random.many(this.#random.between(2, 4), () =>
      this.#random.weighted<() => string>([
        [
          6,
          () =>
            this.#text()
              .replace(/;\s*$/, "")
              .replace(/ -- trailing$/, ""),
        ],
        [1, () => this.#random.pick(failingStatements.slice(0, 8))],
        [1, () => "SET TimeZone = 'Asia/Tokyo'"],
        [1, () => "SHOW TimeZone"],
        [0.5, () => ""],
        [0.5, () => "BEGIN; SELECT 1; COMMIT"],
      ])(),
    )
    return [query(statements.join(";\n")), query("ROLLBACK"), query("RESET ALL")]
  }

  #session(): Exchange[] {
    return this.#random.many(2, () => query(this.#random.pick(sessionQuestions)))
  }
}
