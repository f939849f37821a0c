import { Client } from "pg"

/**
 * What Npgsql sends by hand, because its runtime is not at hand: four statements in one simple Query when it loads its
 * types, and DISCARD ALL in front of the next question when its pool hands a connection out again. Output as in report.py.
 */

const loadTypes = `SELECT version();

SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typnotnull, typ.typelem AS elemtypoid
  FROM pg_type AS typ LEFT JOIN pg_class AS cls ON cls.oid = typ.typrelid
  WHERE typ.typtype IN ('b', 'r', 'm', 'e', 'd') AND typ.oid < 4000) AS t
JOIN pg_namespace AS ns ON ns.oid = t.typnamespace
ORDER BY t.oid;

SELECT typ.oid, att.attname, att.atttypid
FROM pg_type AS typ
JOIN pg_namespace AS ns ON ns.oid = typ.typnamespace
JOIN pg_class AS cls ON cls.oid = typ.typrelid
JOIN pg_attribute AS att ON att.attrelid = typ.typrelid
WHERE typ.typtype = 'c' AND cls.relkind = 'c' AND att.attnum > 0 AND NOT att.attisdropped
ORDER BY typ.oid, att.attnum;

SELECT pg_type.oid, enumlabel
FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
ORDER BY oid, enumsortorder;`

type Answer = { readonly command: string; readonly rows: unknown[] }
type Check = readonly [name: string, run: (client: Client) => Promise<unknown>]

const checks: readonly Check[] = [
  [
    "types are loaded by four statements in one query",
    async (client) => {
      const answers = (await client.query(loadTypes)) as unknown as Answer[]
      return answers.map(({ command, rows }) => [command, rows])
    },
  ],
  [
    "discard all stands before the next question",
    async (client) => {
      await client.query("SET timezone = 'Asia/Tokyo'")
      const answers = (await client
        .query("DISCARD ALL; SHOW timezone")
        .catch(({ code, message }: { code: string; message: string }) => [
          code,
          message,
        ])) as unknown[]
      await client.query("DISCARD ALL")
      const { rows } = await client.query("SHOW timezone")
      return [answers.map(String), rows]
    },
  ],
]

const uri = process.argv[2] ?? ""
for (const [name, run] of checks) {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 10_000 })
  client.on("error", () => {})
  let outcome: { readonly ok: boolean; readonly got: unknown }
  try {
    await client.connect()
    outcome = { ok: true, got: await run(client) }
  } catch (error) {
    outcome = { ok: false, got: String(error) }
  }
  await client.end().catch(() => {})
  process.stdout.write(`${JSON.stringify({ name, ...outcome })}\n`)
}
