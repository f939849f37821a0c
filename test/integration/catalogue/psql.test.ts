import { equal, match, ok } from "node:assert/strict"
import { execFileSync, spawnSync } from "node:child_process"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import { Client } from "pg"
import { startTwins, type Twins } from "./twins.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))

/** PostgreSQL with the same tables prints the same, to the last blank. */
const sameOutput = [
  String.raw`\d`,
  String.raw`\d orders`,
  String.raw`\d+ orders`,
  String.raw`\d customers`,
  String.raw`\d "Odd Name"`,
  String.raw`\d paid`,
  String.raw`\d counter`,
  String.raw`\d sales.*`,
  String.raw`\d pg_class`,
  String.raw`\dt+`,
  String.raw`\dt sales.*`,
  String.raw`\dv`,
  String.raw`\dv+`,
  String.raw`\dm`,
  String.raw`\di`,
  String.raw`\di+`,
  String.raw`\ds`,
  String.raw`\ds+`,
  String.raw`\dn`,
  String.raw`\df`,
  String.raw`\df format_type`,
  String.raw`\da avg`,
  String.raw`\dT`,
  String.raw`\dT int*`,
  String.raw`\do =`,
  String.raw`\dC`,
  String.raw`\dD`,
  String.raw`\dA`,
  String.raw`\dAc btree`,
  String.raw`\dx`,
  String.raw`\dy`,
  String.raw`\dd`,
  String.raw`\encoding`,
]

/** What the shadow says otherwise, and why. */
const ownOutput: readonly (readonly [command: string, pattern: RegExp])[] = [
  // DuckDB's text of the view, not PostgreSQL's way of printing it.
  [String.raw`\d+ paid`, /View definition:\nSELECT id, amount FROM main\.orders WHERE paid;/],
  [String.raw`\sv paid`, /^CREATE OR REPLACE VIEW main\.paid AS\nSELECT id, amount FROM/],
  // No role but the client's own.
  [String.raw`\du`, /-\n reader {4}\|\s+\| ?\{?\}?\s*\n*$/],
  // Options of foreign servers may hold passwords: policy wants a grant by name, on every engine.
  [String.raw`\des`, /^ERROR: {2}permission denied for table pg_foreign_server/],
  // psql 15 and 16 ask for columns that PostgreSQL 17 renamed; here both names are there.
  [String.raw`\l`, /^ warehouse \| pg_warehouse \| UTF8/m],
  [String.raw`\dO`, /List of collations\n.*\n.*\n\(0 rows\)/],
]

/** What psql of PostgreSQL 15 and of 18 asks for with \l and \dO. */
const renamedColumns: readonly (readonly [psql: number, sql: string])[] = [
  [15, "SELECT d.datname, d.daticulocale, d.datlocprovider FROM pg_catalog.pg_database d"],
  [18, "SELECT d.datname, d.datlocale, d.daticurules FROM pg_catalog.pg_database d"],
  [15, "SELECT c.collname, c.colliculocale FROM pg_catalog.pg_collation c WHERE collname = 'C'"],
  [18, "SELECT c.collname, c.colllocale, c.collicurules FROM pg_collation c WHERE collname = 'C'"],
]

function psql(uri: string, command: string): string {
  const { stdout, stderr } = spawnSync("psql", ["-X", "-q", uri, "-c", command], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C.UTF-8", PGCONNECT_TIMEOUT: "30" },
    timeout: 60_000,
  })
  return stdout + stderr
}

describe("psql over a DuckDB warehouse", () => {
  let twins: Twins

  before(async () => {
    execFileSync("scripts/install-debian.sh", ["psql"], { cwd: root, stdio: "inherit" })
    twins = await startTwins()
  })

  after(() => twins?.stop())

  for (const command of sameOutput)
    it(`prints for ${command} what it prints over PostgreSQL`, () => {
      const expected = psql(twins.postgres.uri, command)
      ok(expected.length > 0)
      equal(psql(twins.gateway.uri, command), expected)
    })

  for (const [command, pattern] of ownOutput)
    it(`prints for ${command} what is true of the warehouse`, () => {
      match(psql(twins.gateway.uri, command), pattern)
    })

  for (const [version, sql] of renamedColumns)
    it(`answers psql ${version}'s "${sql.slice(0, 40)}..."`, async () => {
      const client = new Client({ connectionString: twins.gateway.uri })
      await client.connect()
      try {
        ok((await client.query(sql)).rows.length > 0)
      } finally {
        await client.end()
      }
    })
})
