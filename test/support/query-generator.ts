import { Expressions, orderableTypes, type ParameterSink } from "./query-generator-expressions.ts"
import type { Random } from "./query-generator-random.ts"
import {
  type ColumnType,
  dims,
  facts,
  factsSummary,
  factsView,
  odd,
  parts,
  type Table,
} from "./query-generator-schema.ts"

/** A read whose answer is fully determined: rows in a total order, nothing volatile. */
export type GeneratedRead = { readonly sql: string; readonly columnCount: number }

export type ReadOptions = {
  /** Write table names without their schema, for a session whose search_path finds them. */
  readonly isBare: boolean
  readonly parameters: ParameterSink | undefined
}

type Source = { readonly text: string; readonly alias: string; readonly table: Table }

const allTypes: readonly ColumnType[] = [...orderableTypes, "json"]
/** Types whose sums and averages are asked for. */
const summable: readonly ColumnType[] = ["int4", "int8", "numeric", "int2", "interval"]

/** Makes reads over the schema of query-generator-schema.ts. */
export class QueryGenerator {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  read(options: ReadOptions): GeneratedRead {
    const made = this.#random.weighted<() => GeneratedRead>([
      [16, () => this.#rows(options)],
      [8, () => this.#join(options)],
      [14, () => this.#aggregate(options)],
      [8, () => this.#window(options)],
      [8, () => this.#cte(options)],
      [8, () => this.#setOperation(options)],
      [6, () => this.#semiJoin(options)],
      [5, () => this.#lateral(options)],
      [5, () => this.#distinct(options)],
      [8, () => this.#values(options)],
      [4, () => this.#series(options)],
      [4, () => this.#whole(options)],
      [6, () => this.#chart(options)],
    ])()
    return this.#random.chance(0.1) ? { ...made, sql: this.#respelled(made.sql) } : made
  }

  /** The same question in other words: comments and white space that a cache key must not see. */
  #respelled(sql: string): string {
    return this.#random.pick([
      `/* superset: dashboard=12 */ ${sql}`,
      `${sql} -- trailing`,
      `  ${sql}\n\t`,
      `${sql};`,
      `-- Ünïcode first\n${sql}`,
    ])
  }

  #source(options: ReadOptions, alias: string, among?: readonly Table[]): Source {
    const table = this.#random.pick(
      among ?? [facts, facts, facts, dims, parts, factsView, factsSummary, odd],
    )
    const canBeBare = options.isBare && (table === facts || table === dims)
    const name = canBeBare ? table.bare : table.qualified
    return { text: `${name} AS ${alias}`, alias, table }
  }

  #scope(sources: readonly Source[], options: ReadOptions): Expressions {
    const columns = sources.flatMap((source) =>
      source.table.columns.map((column) => ({
        sql: `${source.alias}.${column.name}`,
        type: column.type,
      })),
    )
    return new Expressions(this.#random, columns, options.parameters)
  }

  #keys(sources: readonly Source[]): string[] {
    return sources.flatMap((source) => source.table.key.map((key) => `${source.alias}.${key}`))
  }

  #outputs(make: (index: number) => string, most = 5): string[] {
    const count = this.#random.between(1, most)
    const labels = ["", "", " AS x", ' AS "Mixed Label"', ' AS "ünï""q"', " AS count", " alias"]
    return this.#random.many(count, (index) => `${make(index)}${this.#random.pick(labels)}`)
  }

  #where(scope: Expressions): string {
    return this.#random.chance(0.6) ? ` WHERE ${scope.condition(2)}` : ""
  }

  #limit(options: ReadOptions): string {
    const count = (value: number): string =>
      options.parameters !== undefined && this.#random.chance(0.5)
        ? options.parameters.take("int8")
        : String(value)
    return this.#random.weighted<() => string>([
      [5, () => ""],
      [3, () => ` LIMIT ${count(this.#random.pick([0, 1, 5, 10, 1000]))}`],
      [1, () => ` LIMIT 10 OFFSET ${count(3)}`],
      [1, () => " OFFSET 2 ROWS FETCH NEXT 5 ROWS ONLY"],
      [0.5, () => " LIMIT ALL OFFSET 1"],
    ])()
  }

  /** By a plain column now and then, and always by the keys: an expression could be a constant, which ORDER BY refuses. */
  #rowOrder(scope: Expressions, sources: readonly Source[]): string {
    const keys = this.#keys(sources)
    const column = this.#random.chance(0.3) ? scope.column("text") : undefined
    return ` ORDER BY ${[...(column === undefined ? [] : [column]), ...keys].join(", ")}`
  }

  #ordinals(count: number): string {
    const list = Array.from({ length: count }, (_, index) => index + 1)
    const direction = this.#random.pick(["", " DESC", " NULLS FIRST"])
    return ` ORDER BY ${list.map((ordinal) => `${ordinal}${direction}`).join(", ")}`
  }

  #rows(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f")
    const scope = this.#scope([source], options)
    const outputs = this.#outputs(() => scope.any(2, allTypes), 7)
    return {
      sql: `SELECT ${outputs.join(", ")} FROM ${source.text}${this.#where(scope)}${this.#rowOrder(scope, [source])}${this.#limit(options)}`,
      columnCount: outputs.length,
    }
  }

  /** `SELECT *`: every column of a table, in every output format. */
  #whole(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f")
    const scope = this.#scope([source], options)
    return {
      sql: `SELECT * FROM ${source.text}${this.#where(scope)} ORDER BY ${this.#keys([source]).join(", ")}${this.#limit(options)}`,
      columnCount: source.table.columns.length,
    }
  }

  #join(options: ReadOptions): GeneratedRead {
    const left = this.#source(options, "f", [facts])
    const right = this.#source(options, "d", [dims])
    const scope = this.#scope([left, right], options)
    const kind = this.#random.pick(["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT OUTER JOIN"])
    const outputs = this.#outputs(() => scope.any(2, allTypes))
    return {
      sql: `SELECT ${outputs.join(", ")} FROM ${left.text} ${kind} ${right.text} ON d.id = f.dim${this.#where(scope)} ORDER BY f.id, d.id${this.#limit(options)}`,
      columnCount: outputs.length,
    }
  }

  #aggregateCall(scope: Expressions, key: string): string {
    const call = this.#random.pick<() => string>([
      () => "count(*)",
      () => `COUNT(DISTINCT ${scope.any(0)})`,
      () => `sum(${scope.of(this.#random.pick(summable), 1)})`,
      () => `avg(${scope.of(this.#random.pick(summable), 1)})`,
      () => `min(${scope.of("text", 1)})`,
      () => `max(${scope.of(this.#random.pick(["date", "timestamptz", "int8"]), 1)})`,
      () => `bool_or(${scope.condition(1)})`,
      () => `string_agg(${scope.of("text", 1)}, ',' ORDER BY ${key})`,
      () => `array_agg(${scope.of("int4", 1)} ORDER BY ${key} DESC)`,
      () => `jsonb_agg(${scope.any(0)} ORDER BY ${key})`,
      () => `stddev(${scope.of("int4", 1)})`,
      () => `percentile_cont(0.5) WITHIN GROUP (ORDER BY ${scope.of("int4", 1)})`,
      () => `mode() WITHIN GROUP (ORDER BY ${scope.of("varchar", 0)})`,
      () => `sum(CASE WHEN ${scope.condition(1)} THEN 1 ELSE 0 END)`,
      () => `corr(${scope.of("int4", 0)}, ${scope.of("int2", 0)})`,
    ])()
    const canFilter = !call.startsWith("sum(CASE")
    return canFilter && this.#random.chance(0.25)
      ? `${call} FILTER (WHERE ${scope.condition(1)})`
      : call
  }

  #aggregate(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f")
    // Grouping expressions stand twice in the text; parameters would make two different ones.
    const plain = this.#scope([source], { ...options, parameters: undefined })
    const scope = this.#scope([source], options)
    const key = this.#keys([source])[0] ?? "1"
    const groups = this.#random.many(this.#random.between(0, 3), () => plain.any(1))
    const calls = this.#random.many(this.#random.between(1, 3), () =>
      this.#aggregateCall(scope, key),
    )
    const outputs = [...groups, ...calls]
    const having = this.#random.chance(0.2) ? " HAVING count(*) > 1" : ""
    return {
      sql: `SELECT ${outputs.join(", ")} FROM ${source.text}${this.#where(scope)}${this.#grouping(groups)}${having}${this.#ordinals(outputs.length)}${this.#limit(options)}`,
      columnCount: outputs.length,
    }
  }

  #grouping(groups: readonly string[]): string {
    if (groups.length === 0) return ""
    const numbers = groups.map((_, index) => String(index + 1)).join(", ")
    const list = groups.join(", ")
    return this.#random.weighted<string>([
      [4, ` GROUP BY ${numbers}`],
      [2, ` GROUP BY ${list}`],
      [1, ` GROUP BY ROLLUP (${list})`],
      [1, ` GROUP BY CUBE (${list})`],
      [1, ` GROUP BY GROUPING SETS ((${list}), (${groups[0] ?? ""}), ())`],
    ])
  }

  #window(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f")
    const scope = this.#scope([source], options)
    const keys = this.#keys([source]).join(", ")
    const window = `(PARTITION BY ${scope.column("int4") ?? keys} ORDER BY ${keys})`
    const calls = this.#outputs(() =>
      this.#random.pick<() => string>([
        () => `row_number() OVER ${window}`,
        () =>
          `sum(${scope.of("numeric", 1)}) OVER (ORDER BY ${keys} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)`,
        () => `lag(${scope.of("text", 1)}) OVER ${window}`,
        () => `first_value(${scope.of("date", 0)}) OVER (w ROWS UNBOUNDED PRECEDING)`,
        () => "ntile(4) OVER w",
        () => "percent_rank() OVER w",
        () => `count(*) FILTER (WHERE ${scope.condition(1)}) OVER w`,
      ])(),
    )
    return {
      sql: `SELECT ${keys}, ${calls.join(", ")} FROM ${source.text}${this.#where(scope)} WINDOW w AS (PARTITION BY ${scope.column("text") ?? keys} ORDER BY ${keys}) ORDER BY ${keys}${this.#limit(options)}`,
      columnCount: calls.length + this.#keys([source]).length,
    }
  }

  #cte(options: ReadOptions): GeneratedRead {
    const inner = this.#source(options, "f", [facts, dims])
    const scope = this.#scope([inner], options)
    // The name is that of a real table on purpose: the CTE must win where it is visible, and only there.
    const name = this.#random.pick(["facts", "dims", "m", '"Facts"', '"Quoted ""Cte"'])
    const body = `SELECT f.id AS id, ${scope.of("text", 1)} AS label, ${scope.of("numeric", 1)} AS value FROM ${inner.text}${this.#where(scope)}`
    const outer = this.#random.pick<() => GeneratedRead>([
      () => ({
        sql: `WITH ${name} AS (${body}) SELECT * FROM ${name} ORDER BY id`,
        columnCount: 3,
      }),
      () => ({
        sql: `WITH ${name} AS MATERIALIZED (${body}) SELECT count(*), max(label), sum(value) FROM ${name}`,
        columnCount: 3,
      }),
      () => ({
        sql: `WITH ${name} (a, b, c) AS (${body}), two AS (SELECT a, c FROM ${name} WHERE a < 20) SELECT x.a, x.b, y.c, z.id FROM ${name} x JOIN two y USING (a) LEFT JOIN lab.dims z ON z.id = x.a ORDER BY 1, 4`,
        columnCount: 4,
      }),
      () => ({
        sql: `SELECT o.id, (WITH ${name} AS (${body}) SELECT count(*) FROM ${name} WHERE id <= o.id) AS n FROM lab.dims o ORDER BY o.id`,
        columnCount: 2,
      }),
      () => ({
        sql: `WITH RECURSIVE ${name} (n, label) AS (SELECT 1, 'r'::text UNION ALL SELECT n + 1, label || n FROM ${name} WHERE n < ${this.#random.between(2, 7)}) SELECT * FROM ${name} ORDER BY n`,
        columnCount: 2,
      }),
    ])()
    return outer
  }

  #setOperation(options: ReadOptions): GeneratedRead {
    const types = this.#random.many(this.#random.between(1, 3), () =>
      this.#random.pick(orderableTypes),
    )
    const branch = (alias: string): string => {
      const source = this.#source(options, alias)
      const scope = this.#scope([source], options)
      return `SELECT ${types.map((type) => `(${scope.of(type, 1)})`).join(", ")} FROM ${source.text}${this.#where(scope)}`
    }
    const operator = (): string =>
      this.#random.pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"])
    const body = this.#random.chance(0.3)
      ? `(${branch("a")} ${operator()} ${branch("b")}) ${operator()} ${branch("c")}`
      : `${branch("a")} ${operator()} ${branch("b")}`
    return {
      sql: `${body}${this.#ordinals(types.length)}${this.#limit(options)}`,
      columnCount: types.length,
    }
  }

  #semiJoin(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f", [facts])
    const inner = this.#source(options, "q", [dims, parts])
    const scope = this.#scope([source], options)
    const within = this.#scope([inner], options)
    const test = this.#random.pick<() => string>([
      () => `f.dim IN (SELECT q.id FROM ${inner.text} WHERE ${within.condition(1)})`,
      () => `f.dim NOT IN (SELECT q.id FROM ${inner.text} WHERE q.id < 6)`,
      () => `EXISTS (SELECT 1 FROM ${inner.text} WHERE q.id = f.dim AND ${within.condition(1)})`,
      () => `f.id > ANY (SELECT q.id FROM ${inner.text})`,
      () => `f.i4 < ALL (SELECT q.id FROM ${inner.text} WHERE ${within.condition(1)})`,
      () => `(f.dim, f.b) IN (SELECT q.id, true FROM ${inner.text})`,
    ])()
    const outputs = this.#outputs(() => scope.any(1, allTypes), 4)
    return {
      sql: `SELECT ${outputs.join(", ")} FROM ${source.text} WHERE ${test} ORDER BY f.id${this.#limit(options)}`,
      columnCount: outputs.length,
    }
  }

  #lateral(options: ReadOptions): GeneratedRead {
    const outer = this.#source(options, "d", [dims])
    const inner = this.#source(options, "f", [facts])
    const scope = this.#scope([outer, inner], options)
    const join = this.#random.pick(["CROSS JOIN LATERAL", "LEFT JOIN LATERAL"])
    const on = join.startsWith("LEFT") ? " ON true" : ""
    return {
      sql: `SELECT d.id, d.name, x.* FROM ${outer.text} ${join} (SELECT f.id AS fid, ${scope.any(1, allTypes)} AS y FROM ${inner.text} WHERE f.dim = d.id ORDER BY f.id DESC LIMIT 3) x${on} ORDER BY d.id, x.fid`,
      columnCount: 4,
    }
  }

  #distinct(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "f")
    const scope = this.#scope([source], options)
    const keys = this.#keys([source])
    if (this.#random.chance(0.5)) {
      const by = scope.column("text") ?? keys[0] ?? "1"
      return {
        sql: `SELECT DISTINCT ON (${by}) ${by}, ${scope.any(1, allTypes)} FROM ${source.text} ORDER BY ${by}, ${keys.join(", ")}`,
        columnCount: 2,
      }
    }
    const outputs = this.#random.many(this.#random.between(1, 3), () => scope.any(1))
    return {
      sql: `SELECT DISTINCT ${outputs.join(", ")} FROM ${source.text}${this.#where(scope)}${this.#ordinals(outputs.length)}${this.#limit(options)}`,
      columnCount: outputs.length,
    }
  }

  /** No table at all: constants, VALUES. */
  #values(options: ReadOptions): GeneratedRead {
    const scope = new Expressions(this.#random, [], options.parameters)
    if (this.#random.chance(0.7)) {
      const outputs = this.#outputs(() => scope.any(2, allTypes), 6)
      return { sql: `SELECT ${outputs.join(", ")}`, columnCount: outputs.length }
    }
    const types = this.#random.many(2, () => this.#random.pick(orderableTypes))
    const row = (): string => `(${types.map((type) => scope.literal(type)).join(", ")})`
    const rows = this.#random.many(this.#random.between(1, 4), row).join(", ")
    return this.#random.pick([
      { sql: `VALUES ${rows}`, columnCount: 2 },
      { sql: `SELECT * FROM (VALUES ${rows}) AS v(a, b) ORDER BY 1, 2`, columnCount: 2 },
    ])
  }

  #series(options: ReadOptions): GeneratedRead {
    const source = this.#source(options, "p", [parts])
    return this.#random.pick<GeneratedRead>([
      {
        sql: `SELECT g.d::date AS d, coalesce(sum(p.amount), 0) AS amount FROM generate_series('2024-01-01'::date, '2024-01-${this.#random.between(10, 28)}'::date, interval '1 day') AS g(d) LEFT JOIN ${source.text} ON p.day = g.d::date GROUP BY 1 ORDER BY 1`,
        columnCount: 2,
      },
      {
        sql: `SELECT n, n * ${this.#random.between(1, 5)} AS m, repeat('x', n) FROM generate_series(1, ${this.#random.pick([0, 3, 300])}) AS n ORDER BY n`,
        columnCount: 3,
      },
      {
        sql: "SELECT f.id, t.tag, t.ord FROM lab.facts f, unnest(f.at) WITH ORDINALITY AS t(tag, ord) ORDER BY 1, 3",
        columnCount: 3,
      },
    ])
  }

  /** The shapes that a BI client sends all day. */
  #chart(options: ReadOptions): GeneratedRead {
    const unit = this.#random.pick(["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"])
    const from = this.#random.pick(["2024-01-01", "2024-06-01"])
    return this.#random.pick<GeneratedRead>([
      {
        sql: `SELECT\n  DATE_TRUNC('${unit}', day) AS day,\n  SUM(amount) AS "SUM(amount)"\nFROM lab.parts\nWHERE\n  day >= TO_DATE('${from}', 'YYYY-MM-DD') AND day < TO_DATE('2025-06-01', 'YYYY-MM-DD')\nGROUP BY\n  DATE_TRUNC('${unit}', day)\nORDER BY "SUM(amount)" DESC, 1\nLIMIT 10000`,
        columnCount: 2,
      },
      {
        sql: `SELECT name AS name, COUNT(*) AS "COUNT(*)" FROM (SELECT * FROM ${options.isBare ? "facts" : "lab.facts"} f JOIN ${options.isBare ? "dims" : "lab.dims"} d ON d.id = f.dim) AS virtual_table GROUP BY name ORDER BY "COUNT(*)" DESC, name LIMIT 100`,
        columnCount: 2,
      },
      {
        sql: `SELECT CASE WHEN qty < 3 THEN '<3' WHEN qty BETWEEN 3 AND 5 THEN '3-5' ELSE '6+' END AS band, count(*) FROM lab.parts WHERE day >= '${from}' GROUP BY 1 ORDER BY 1`,
        columnCount: 2,
      },
      {
        sql: `SELECT current_date - date '${from}' AS days, count(*) FROM lab.dims`,
        columnCount: 2,
      },
    ])
  }
}
