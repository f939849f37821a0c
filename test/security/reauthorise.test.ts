import { equal, match } from "node:assert/strict"
import { readFile, writeFile } from "node:fs/promises"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { bind, copyData, execute, parse, query, sync } from "../support/frontend-encoder.ts"
import { makeToken, secretKey } from "../support/tokens.ts"
import {
  ConnectionClosed,
  errors,
  LoginRefused,
  textRows,
  type WireClient,
} from "../support/wire-client.ts"
import { startTenants, type Tenants } from "./tenants.ts"

const secretText = "a shared secret of at least 32 bytes"
const signer = secretKey(secretText, "hs")

const sections = `identity:
  audience: sluice
  requireTls: false
  clockSkewMs: 0
  rolesClaim: groups
  roleMap: { staff: [tenant], "cn=bosses,dc=x": [boss, tenant] }
  keys: [{ kid: hs, algorithm: HS256, secret: "${secretText}" }]
`

const policies = `
claims:
  org_id: { type: int8 }
  login: { type: text }
  mapped: { type: text }
claimsFrom:
  query: "SELECT m.org_id, m.login AS mapped FROM sales.org_map m WHERE m.login = :user"
  ttlMs: 1h
relations:
  sales.orders:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss, writer]
  sales.invoices:
    rowFilters: [{ name: both, filter: "org_id = :org_id AND :mapped IN ('ann', 'sam')" }]
    unfilteredRoles: [boss, writer]
`

const token = (claims: object): string =>
  makeToken(
    {
      sub: "ann",
      groups: ["staff"],
      aud: "sluice",
      exp: Math.floor(Date.now() / 1000) + 300,
      ...claims,
    },
    signer,
  )

async function outcomeOf(client: WireClient, sql: string): Promise<string> {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  return error === undefined
    ? JSON.stringify(textRows(messages))
    : `${error["C"]} ${error["M"]} ${error["H"] ?? ""}`
}

const count = "SELECT count(*) FROM sales.orders"

/** The answer, and whether the cache gave it. */
async function counted(client: WireClient): Promise<string> {
  const outcome = await outcomeOf(client, count)
  const last = /hit_l1|miss|bypass|coalesced/.exec(await outcomeOf(client, "SHOW sluice.last"))?.[0]
  return `${outcome} ${last ?? ""}`
}

/** The message that ends a session, for what is sent next. */
async function lastWords(client: WireClient, sql = count): Promise<string> {
  client.send(query(sql))
  for (;;) {
    const message = await client.read().catch((thrown: unknown) => {
      if (thrown instanceof ConnectionClosed) return undefined
      throw thrown
    })
    if (message === undefined) return "closed"
    const [error] = errors([message])
    if (error !== undefined) return `${error["S"]} ${error["C"]} ${error["M"]}`
    if (message.type === "Z") return "went on"
  }
}

async function rowsOf(client: WireClient, bytes: Buffer): Promise<string> {
  const messages = await client.query(bytes)
  return errors(messages)[0]?.["C"] ?? JSON.stringify(textRows(messages))
}

/** Takes everything but one relation from the tenants' role. */
function revoke(text: string): string {
  return text.replace(
    'tenant: { relations: { allow: ["*"]',
    'tenant: { relations: { allow: ["sales.open"]',
  )
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`what a session may see is judged again at every statement on ${engine}`, () => {
    let tenants: Tenants
    before(async () => {
      tenants = await startTenants(engine, {
        policies,
        sections,
        moreUsers: {
          superset: { roles: ["tenant"], claims: {}, identity: "optional" },
          // Not in the mapping table, and in it.
          zoe: { roles: ["tenant"], claims: { login: "zoe" } },
          sam: { roles: ["tenant"], claims: { org_id: 2 } },
          leaver: { roles: ["boss"], claims: {} },
          scribe: { roles: ["writer"], claims: { org_id: 1 } },
        },
        moreSeed: "INSERT INTO sales.org_map VALUES ('sam', 1), ('double', 1), ('double', 2);",
      })
    })
    after(() => tenants.stop())

    const runSql = async (sql: string): Promise<void> => {
      await tenants.postgres?.run(sql)
    }

    const withToken = (claims: object): Promise<WireClient> =>
      tenants.as("superset", { options: `-c sluice.identity=${token(claims)}` })

    const hangUp = async (seen: RegExp): Promise<void> => {
      const from = tenants.gateway.output().length
      tenants.gateway.signal("SIGHUP")
      for (let wait = 0; wait < 200; wait += 1) {
        if (seen.test(tenants.gateway.output().slice(from))) return
        await sleep(25)
      }
      throw new Error(`no ${seen} in ${tenants.gateway.output().slice(from)}`)
    }

    /** Changes the configuration file, and back afterwards. */
    const whileChanged = async (
      change: (text: string) => string,
      work: () => Promise<void>,
    ): Promise<void> => {
      const { configFile } = tenants.gateway
      const former = await readFile(configFile, "utf8")
      await writeFile(configFile, change(former))
      try {
        await hangUp(/read the policies again|took over users/)
        await work()
      } finally {
        await writeFile(configFile, former)
        await hangUp(/read the policies again|took over users/)
      }
    }

    const whilePolicies = async (text: string, work: () => Promise<void>): Promise<void> => {
      await writeFile(tenants.policiesFile, text)
      try {
        await hangUp(/read the policies again/)
        await work()
      } finally {
        await writeFile(tenants.policiesFile, policies)
        await hangUp(/read the policies again/)
      }
    }

    const invalidate = async (): Promise<void> => {
      const response = await fetch(new URL("/v1/invalidations", tenants.gateway.controlUrl), {
        method: "POST",
        headers: {
          authorization: `Bearer ${tenants.gateway.token}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ items: [{ relation: "sales.org_map" }] }),
      })
      equal(response.status, 200)
    }

    it("claims are looked up where the login does not bring them, and its own win", async () => {
      const looked = await withToken({ sub: "bob" })
      equal(await outcomeOf(looked, count), '[["5"]]')
      const brought = await withToken({ sub: "bob", org_id: 1 })
      equal(await outcomeOf(brought, count), '[["3"]]')
      const sam = await tenants.as("sam")
      equal(await outcomeOf(sam, count), '[["5"]]')
      // Of two claims the login brings one, of another value than the query gives.
      equal(await outcomeOf(sam, "SELECT id FROM sales.invoices"), '[["2"]]')
      equal(await outcomeOf(brought, "SELECT id FROM sales.invoices"), "[]")
    })

    it("a user whom the query does not know, or knows twice, is refused", async () => {
      match(await outcomeOf(await tenants.as("zoe"), count), /^42501 .*claim "org_id"/)
      const double = await withToken({ sub: "double" })
      match(await outcomeOf(double, count), /^42501 .*could not be looked up/)
      match(tenants.gateway.output(), /several rows for one user/)
      const sly = await withToken({ sub: "x' OR '1'='1" })
      match(await outcomeOf(sly, count), /^42501 .*claim "org_id"/)
    })

    it("a statement that needs no claim asks for none", async () => {
      const double = await withToken({ sub: "double" })
      equal(await outcomeOf(double, "SELECT 1"), '[["1"]]')
    })

    it("roles come from a map of the claim's values, and what is not in it gives none", async () => {
      equal(await outcomeOf(await withToken({ groups: ["cn=bosses,dc=x"] }), count), '[["8"]]')
      for (const groups of [["boss"], ["tenant"], ["other"], []])
        equal(
          await withToken({ groups }).then(
            () => "let in",
            (thrown: unknown) => (thrown instanceof LoginRefused ? thrown.fields["C"] : "?"),
          ),
          "28000",
        )
    })

    if (engine === "postgres")
      it("an invalidation of the mapping table ends what was looked up; until then it holds", async () => {
        const ann = await withToken({})
        await outcomeOf(ann, "SET search_path = sales")
        equal(await counted(ann), '[["3"]] miss')
        equal(await counted(ann), '[["3"]] hit_l1')
        await runSql("UPDATE sales.org_map SET org_id = 2 WHERE login = 'ann'")
        equal(await counted(ann), '[["3"]] hit_l1')
        await invalidate()
        match(await counted(ann), /^\[\["5"\]\] /)
        await runSql("DELETE FROM sales.org_map WHERE login = 'ann'")
        await invalidate()
        match(await outcomeOf(ann, count), /^42501 .*claim "org_id"/)
        await runSql("INSERT INTO sales.org_map VALUES ('ann', 1)")
        // That there is nothing is remembered, too.
        match(await outcomeOf(ann, count), /^42501 .*claim "org_id"/)
        await invalidate()
        match(await counted(ann), /^\[\["3"\]\] /)
        await runSql("ALTER TABLE sales.org_map RENAME COLUMN login TO name")
        await invalidate()
        // The entry is there; it must not be used when nobody can tell what is true now.
        match(await outcomeOf(ann, count), /^42501 .*could not be looked up/)
        await runSql("ALTER TABLE sales.org_map RENAME COLUMN name TO login")
        match(await counted(ann), /^\[\["3"\]\] /)
      })

    it("what was looked up holds for ttlMs at most", async () => {
      await whilePolicies(policies.replace("1h", "200ms"), async () => {
        const bob = await withToken({ sub: "bob" })
        equal(await outcomeOf(bob, count), '[["5"]]')
        if (tenants.postgres === undefined) return
        await runSql("UPDATE sales.org_map SET org_id = 1 WHERE login = 'bob'")
        await sleep(250)
        equal(await outcomeOf(bob, count), '[["3"]]')
        await runSql("UPDATE sales.org_map SET org_id = 2 WHERE login = 'bob'")
        await sleep(250)
        equal(await outcomeOf(bob, count), '[["5"]]')
      })
    })

    it("a changed policy stops hits of open sessions, prepared statements among them", async () => {
      const sam = await tenants.as("sam")
      await sam.query(Buffer.concat([parse(count, { name: "p" }), sync]))
      const run = async (): Promise<string> => {
        const messages = await sam.query(Buffer.concat([bind({ statement: "p" }), execute(), sync]))
        return errors(messages)[0]?.["C"] ?? JSON.stringify(textRows(messages))
      }
      equal(await run(), '[["5"]]')
      equal(await run(), '[["5"]]')
      await whilePolicies(
        policies.replace("org_id = :org_id", "org_id = :org_id AND id < 13"),
        async () => {
          equal(await run(), '[["2"]]')
        },
      )
      equal(await run(), '[["5"]]')
    })

    it("rows of cursors and portals are given out while the policies still give the same ones", async () => {
      const narrowed = policies.replace("org_id = :org_id", "org_id = :org_id AND id < 13")
      const sql = "SELECT id FROM sales.orders ORDER BY id"
      const open = async (): Promise<readonly [WireClient, WireClient]> => {
        const cursor = await tenants.as("sam")
        await outcomeOf(cursor, "BEGIN")
        await outcomeOf(cursor, `DECLARE c CURSOR WITH HOLD FOR ${sql}`)
        await outcomeOf(cursor, "COMMIT")
        equal(await outcomeOf(cursor, "FETCH 1 FROM c"), '[["11"]]')
        const portal = await tenants.as("sam")
        await outcomeOf(portal, "BEGIN")
        const first = Buffer.concat([parse(sql), bind({ portal: "p" }), execute("p", 1), sync])
        equal(await rowsOf(portal, first), '[["11"]]')
        return [cursor, portal]
      }
      const next = Buffer.concat([execute("p", 1), sync])
      const [cursor, portal] = await open()
      // Another relation's policy is none of theirs.
      await whilePolicies(
        `${policies}  sales.open: { deniedColumns: [{ columns: [id] }] }\n`,
        async () => {
          equal(await outcomeOf(cursor, "FETCH 1 FROM c"), '[["12"]]')
          equal(await rowsOf(portal, next), '[["12"]]')
        },
      )
      await whilePolicies(narrowed, async () => {
        match(await outcomeOf(cursor, "FETCH 1 FROM c"), /^42501 .*have changed/)
        equal(await rowsOf(portal, next), "42501")
      })
      const [second, other] = await open()
      await whileChanged(revoke, async () => {
        match(
          await outcomeOf(second, "FETCH 1 FROM c"),
          /^42501 permission denied for table orders/,
        )
        equal(await rowsOf(other, next), "42501")
      })
      const [third] = await open()
      await whileChanged(
        (text) => text.replace(/^ {2}sam:.*\n/m, ""),
        async () => match(await lastWords(third, "FETCH 1 FROM c"), /^FATAL 28000 .*removed/),
      )
    })

    if (engine === "postgres")
      it("a session that writes ends when a policy begins to hide rows from its user, in the middle of COPY too", async () => {
        await runSql("GRANT INSERT ON sales.open TO reader")
        const governed = policies.replace("[boss, writer]", "[boss]")
        const writes = await tenants.as("scribe")
        equal(await outcomeOf(writes, "BEGIN; INSERT INTO sales.open VALUES (77, 'w')"), "[]")
        const copies = await tenants.as("scribe")
        await outcomeOf(copies, "BEGIN")
        copies.send(query("COPY sales.open FROM STDIN"))
        while ((await copies.read()).type !== "G");
        copies.send(copyData(Buffer.from("78\tw\n")))
        await whilePolicies(governed, async () => {
          match(
            await lastWords(writes, "SELECT customer FROM sales.orders"),
            /^FATAL 57P01 .*may not write/,
          )
          copies.send(copyData(Buffer.from("79\tw\n")))
          match(await lastWords(copies, "SELECT 1"), /^FATAL 57P01 .*may not write/)
          const reads = await tenants.as("scribe")
          equal(await outcomeOf(reads, count), '[["3"]]')
          match(await outcomeOf(reads, "INSERT INTO sales.open VALUES (80, 'w')"), /^25006 /)
        })
        const boss = await tenants.as("boss")
        equal(await outcomeOf(boss, "SELECT count(*) FROM sales.open WHERE id > 70"), '[["0"]]')
      })

    it("a revoked grant stops hits at once", async () => {
      const sam = await tenants.as("sam")
      equal(await outcomeOf(sam, count), '[["5"]]')
      equal(await outcomeOf(sam, count), '[["5"]]')
      await sam.query(Buffer.concat([parse(count, { name: "p" }), sync]))
      await whileChanged(revoke, async () => {
        match(await outcomeOf(sam, count), /^42501 permission denied for table orders/)
        match(await outcomeOf(sam, `COPY (${count}) TO STDOUT`), /^42501 /)
        match(await outcomeOf(sam, `BEGIN; DECLARE c CURSOR FOR ${count}`), /^42501 /)
        await outcomeOf(sam, "ROLLBACK")
        const messages = await sam.query(Buffer.concat([bind({ statement: "p" }), execute(), sync]))
        equal(errors(messages)[0]?.["C"], "42501")
        equal(await outcomeOf(sam, "SELECT count(*) FROM sales.open"), '[["3"]]')
      })
      equal(await outcomeOf(sam, count), '[["5"]]')
    })

    it("a user who was removed, or has other roles or claims, is ended at the next statement", async () => {
      const changes: readonly ((text: string) => string)[] = [
        (text) => text.replace(/^ {2}leaver:.*\n/m, ""),
        (text) => text.replace(/^( {2}leaver:.*)"boss"/m, '$1"tenant"'),
        (text) => text.replace(/^( {2}leaver:.*)"claims":\{\}/m, '$1"claims":{"org_id":1}'),
        (text) =>
          text.replace(/^( {2}leaver:.*)"claims":\{\}/m, '$1"claims":{},"databases":["warehouse"]'),
      ]
      for (const [index, change] of changes.entries()) {
        const leaver = await tenants.as("leaver")
        const sam = await tenants.as("sam")
        equal(await outcomeOf(leaver, count), '[["8"]]')
        await whileChanged(change, async () => {
          const words = await lastWords(leaver)
          if (index === 3) equal(words, "went on")
          else match(words, /^FATAL 28000 terminating connection because its login was changed/)
          equal(await outcomeOf(sam, count), '[["5"]]')
        })
      }
    })

    it("sessions of tokens end with the account that brought them", async () => {
      const ann = await withToken({ sub: "bob" })
      equal(await outcomeOf(ann, count), '[["5"]]')
      await whileChanged(
        (text) => text.replace(/^ {2}superset:.*\n/m, ""),
        async () => match(await lastWords(ann), /^FATAL 28000 /),
      )
    })

    it("a configuration with a fault changes nothing", async () => {
      const sam = await tenants.as("sam")
      const { configFile } = tenants.gateway
      const former = await readFile(configFile, "utf8")
      await writeFile(configFile, former.replace(/^roles:$/m, "rolls:"))
      await hangUp(/cannot use the new configuration/)
      equal(await outcomeOf(sam, count), '[["5"]]')
      await writeFile(configFile, former)
    })

    it("an expired token ends the session at its next statement, hit or not", async () => {
      const brief = await withToken({ sub: "bob", exp: Math.floor(Date.now() / 1000) + 2 })
      equal(await outcomeOf(brief, count), '[["5"]]')
      await sleep(2_500)
      match(await lastWords(brief), /^FATAL 28000 .*token has expired/)
    })
  })
