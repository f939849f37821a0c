import { deepEqual, equal, match, ok } from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { after, before, describe, it } from "node:test"
import { callTreatment } from "../../src/policy/catalogue-calls.ts"
import { isForbiddenFunction } from "../../src/policy/forbidden-functions.ts"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../support/frontend-encoder.ts"
import {
  type BackendMessage,
  columnNames,
  errors,
  textRows,
  type WireClient,
} from "../support/wire-client.ts"
import { openFunctions, refusedRelations, tenantCases } from "./introspection-cases.ts"
import {
  type IntrospectionServers,
  startIntrospectionServers,
  tenantWords,
  vaultWords,
} from "./introspection-servers.ts"

const lines = (messages: readonly BackendMessage[]): readonly string[] =>
  textRows(messages).map((row) => row.map((value) => value ?? "").join("|"))

const ask = async (client: WireClient, sql: string): Promise<readonly string[]> => {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  if (error !== undefined) throw new Error(`${sql}: ${error["C"]} ${error["M"]}`)
  return lines(messages)
}

const allText = (messages: readonly BackendMessage[]): string =>
  messages.map(({ body }) => body.toString("latin1")).join("\n")

/** Names of relations in both system schemas, as the server itself has them. */
const systemRelations = `
  SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') ORDER BY 1`

/** Functions that a client can call and that take or give an oid or a type that names objects. */
const namingFunctions = `
  WITH naming AS (SELECT ARRAY['oid', 'regclass', 'regtype', 'regnamespace', 'regproc', 'regprocedure']::regtype[]::oid[] AS types)
  SELECT DISTINCT p.proname FROM pg_proc p, naming
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
    AND (p.proargtypes::oid[] && types OR COALESCE(p.proallargtypes, '{}') && types OR p.prorettype = ANY (types))
    AND NOT p.proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[] ORDER BY 1`

const family = [
  String.raw`\d`,
  String.raw`\d main.*`,
  String.raw`\d+ main.customers`,
  String.raw`\d main.orders`,
  String.raw`\d+ main.paid`,
  String.raw`\d+ main.events`,
  String.raw`\d main.customers_pkey`,
  String.raw`\dt+ main.*`,
  String.raw`\dv+ main.*`,
  String.raw`\di+ main.*`,
  String.raw`\dm+ main.*`,
  String.raw`\ds main.*`,
  String.raw`\dn+`,
  String.raw`\df main.*`,
  String.raw`\dT main.*`,
  String.raw`\dp main.*`,
  String.raw`\du`,
  String.raw`\dx`,
]

function psql(uri: string, command: string): string {
  const { stdout, stderr } = spawnSync("psql", ["-X", uri, "-c", command], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C.UTF-8", PSQLRC: "/dev/null" },
  })
  return `${stdout}${stderr}`
}

describe("introspection of PostgreSQL by readers who may not see everything", () => {
  let servers: IntrospectionServers
  let all: WireClient
  let narrow: WireClient
  let tenant: WireClient
  let oids: Readonly<Record<string, string>>

  before(async () => {
    servers = await startIntrospectionServers()
    ;[all, narrow, tenant] = await Promise.all([
      servers.as("all"),
      servers.as("narrow"),
      servers.as("tenant"),
    ])
    const [found] = await ask(
      all,
      "SELECT 'vault.topsecret'::regclass::oid, 'vault.topsecret'::regtype::oid, 'main.customers_zssn_idx'::regclass::oid",
    )
    const [hidden = "", row = "", zssn = ""] = (found ?? "").split("|")
    oids = { $hidden: hidden, $row: row, $zssn: zssn }
  })
  after(() => servers.stop())

  const withOids = (text: string): string =>
    text.replaceAll(/\$(?:hidden|row|zssn)/g, (name) => oids[name] ?? "")

  for (const [user, words] of [
    ["narrow", vaultWords],
    ["tenant", tenantWords],
  ] as const)
    it(`no relation of the system's shows ${user} a hidden name, and an unknown one is refused`, async () => {
      const client = user === "narrow" ? narrow : tenant
      const refused: string[] = []
      for (const name of await ask(all, systemRelations)) {
        const messages = await client.query(query(`SELECT * FROM ${name}`))
        const [error] = errors(messages)
        // What everybody is refused is said before a policy is asked.
        if (error !== undefined) {
          ok(["42501", "0A000"].includes(error["C"] ?? ""), `${name}: ${error["C"]} ${error["M"]}`)
          refused.push(name)
        }
        ok(!words.test(allText(messages)), `${name} shows ${words.exec(allText(messages))?.[0]}`)
      }
      const sequences = "pg_catalog.pg_sequences"
      deepEqual(
        refused.filter((name) => name !== sequences),
        refusedRelations.filter((name) => name !== sequences),
      )
    })

  it("the same relations show those names to who may read everything", async () => {
    const showing: string[] = []
    for (const name of await ask(all, systemRelations)) {
      const messages = await all.query(query(`SELECT * FROM ${name}`))
      if (tenantWords.test(allText(messages))) showing.push(name)
    }
    for (const name of [
      "attribute",
      "class",
      "constraint",
      "description",
      "policy",
      "proc",
      "views",
    ])
      ok(showing.includes(`pg_catalog.pg_${name}`), `pg_${name} shows nothing`)
    for (const name of ["columns", "tables", "check_constraints", "key_column_usage", "views"])
      ok(showing.includes(`information_schema.${name}`), `${name} shows nothing`)
  })

  it("every function that takes or gives an oid is guarded, refused, or known to be harmless", async () => {
    const names = await ask(all, namingFunctions)
    ok(names.length > 200)
    deepEqual(
      names
        .filter((name) => !isForbiddenFunction(name) && callTreatment(name).kind === "open")
        .toSorted(),
      openFunctions.toSorted(),
    )
  })

  for (const [title, sql, expected] of tenantCases)
    it(`${title}: ${sql}`, async () => {
      const asked = withOids(sql)
      const answers = [
        await tenant.query(query(asked)),
        await tenant.query(parse(asked), bind(), describeMessage("portal"), execute(), sync),
      ]
      for (const messages of answers) {
        const [error] = errors(messages)
        if ("refused" in expected) {
          equal(error?.["C"], expected.refused, error?.["M"])
          ok(!/zssn/.test(error?.["M"] ?? ""))
        } else {
          equal(error?.["M"], undefined)
          deepEqual(lines(messages).toSorted(), expected.map(withOids).toSorted())
        }
      }
    })

  it("output columns keep the names that PostgreSQL gives them", async () => {
    const sql =
      "SELECT c.oid::regclass, 'main.orders'::regclass, pg_typeof(1), to_regclass('x'), format_type(23, NULL), CASE WHEN true THEN 1::regtype END FROM pg_class c LIMIT 0"
    deepEqual(columnNames(await tenant.query(query(sql))), columnNames(await all.query(query(sql))))
  })

  it("neither COPY, cursors, EXECUTE nor parameters are a way round", async () => {
    const ways = [
      ["COPY pg_class TO STDOUT"],
      ["COPY pg_catalog.pg_attribute (attname) TO STDOUT"],
      ["COPY (SELECT relname, $hidden::regclass FROM pg_class) TO STDOUT"],
      [
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT relname FROM pg_class",
        "FETCH ALL FROM c",
        "ROLLBACK",
      ],
      ["PREPARE p (regclass) AS SELECT $1", "EXECUTE p ('$hidden')", "DEALLOCATE p"],
      ["PREPARE p (regclass) AS SELECT $1::text", "EXECUTE p ($hidden)", "DEALLOCATE p"],
      ["PREPARE p AS SELECT $1::regclass", "EXECUTE p ('$hidden')", "DEALLOCATE p"],
      ["TABLE pg_class"],
      ["WITH pg_class AS (SELECT 1) SELECT c.relname FROM pg_catalog.pg_class AS c"],
      ["SELECT relname FROM ONLY pg_class"],
      ["SELECT c::text FROM pg_class c"],
      ["SELECT row_to_json(c) FROM pg_class c"],
      ["SET search_path = vault", "SELECT 'topsec' || 'ret'::regclass", "RESET search_path"],
    ]
    for (const way of ways)
      for (const sql of way) {
        const text = allText(await tenant.query(query(withOids(sql))))
        // The client is told what it has set.
        if (sql.startsWith("SET ")) continue
        ok(
          !tenantWords.test(text.replaceAll(sql, "")),
          `${sql} shows ${tenantWords.exec(text)?.[0]}`,
        )
      }
    // regclass, its array, regtype
    for (const type of [2205, 2210, 2206]) {
      const sql = "SELECT $1"
      const value = type === 2210 ? `{${oids["$hidden"]}}` : (oids["$hidden"] ?? "")
      const messages = await tenant.query(
        parse(sql, { types: [type] }),
        bind({ values: [value] }),
        describeMessage("portal"),
        execute(),
        sync,
      )
      equal(errors(messages)[0]?.["C"], "42501")
      const open = await all.query(
        parse(sql, { types: [type] }),
        bind({ values: [value] }),
        execute(),
        sync,
      )
      equal(errors(open).length, 0)
    }
  })

  it("readers with different grants never share an answer; equal ones do", async () => {
    const sql = "SELECT relname FROM pg_class WHERE relname ~ 'topsecret|zssn'"
    for (let round = 0; round < 2; round += 1) {
      equal((await ask(all, sql)).length > 3, true)
      deepEqual(await ask(tenant, sql), [])
      deepEqual(
        (await ask(narrow, sql)).toSorted(),
        ["customers_zssn_idx", "customers_zssn_stats"].slice(0, 1),
      )
    }
    match((await ask(all, "SHOW sluice.last")).join(" "), /hit_l1|bypass/)
  })

  it("a relation that the gateway has not heard of yet is as hidden", async () => {
    await servers.postgres.run("CREATE TABLE vault.topsecret_two (keyhole integer)")
    deepEqual(await ask(tenant, "SELECT relname FROM pg_class WHERE relname ~ 'secret'"), [])
    deepEqual(await ask(tenant, "SELECT attname FROM pg_attribute WHERE attname ~ 'keyhole'"), [])
  })

  it("psql shows a tenant what it may read, and nothing else", () => {
    const uri = servers.uri("tenant")
    for (const command of family) {
      const printed = psql(uri, command)
      ok(!/ERROR/.test(printed), `${command}: ${printed}`)
      ok(!tenantWords.test(printed), `${command}: ${printed}`)
    }
    match(psql(uri, String.raw`\d main.customers`), /email {2}\| text.*\n note/)
    match(psql(uri, String.raw`\d main.orders`), /"orders_customer_fkey" FOREIGN KEY/)
    match(psql(uri, String.raw`\d+ main.paid`), /View definition:\n SELECT id,/)
    match(psql(uri, String.raw`\dt+ main.orders`), /8192 bytes \| what was bought/)
    for (const name of [
      "vault.topsecret",
      "main.denied_topsecret",
      "main.copied",
      "main.closed_low",
    ])
      match(
        psql(uri, String.raw`\d ${name}`).replaceAll(name, "it"),
        /^Did not find any relation named "it"\.\n$/,
      )
  })

  it("psql prints the same as PostgreSQL for who may read everything", () => {
    for (const command of family)
      equal(psql(servers.uri("all"), command), psql(servers.postgres.superuserUri, command))
  })
})
