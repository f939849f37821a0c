import { deepEqual, equal, match, ok } from "node:assert/strict"
import { writeFile } from "node:fs/promises"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { query } from "../support/frontend-encoder.ts"
import { errors, textRows, type WireClient } from "../support/wire-client.ts"
import { policies, startTenants, type Tenants } from "./tenants.ts"

const ask = async (client: WireClient, sql: string): Promise<(string | null)[][]> => {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  if (error !== undefined) throw new Error(`${error["C"]} ${error["M"]} ${error["H"] ?? ""}`)
  return textRows(messages)
}

const refusal = async (client: WireClient, sql: string): Promise<string> => {
  const [error] = errors(await client.query(query(sql)))
  return `${error?.["C"]} ${error?.["M"]} ${error?.["H"] ?? ""}`
}

const outcome = async (client: WireClient): Promise<string | null | undefined> =>
  (await ask(client, "SHOW sluice.last"))[0]?.join(" ").match(/hit_l1|miss|bypass|coalesced/)?.[0]

const customers = "SELECT customer FROM sales.orders ORDER BY id"

for (const engine of ["postgres", "duckdb"] as const)
  describe(`readers with and without claims on ${engine}`, () => {
    let tenants: Tenants
    before(async () => {
      tenants = await startTenants(engine)
    })
    after(() => tenants.stop())

    it("equal filters share a cached result and different ones never do", async () => {
      const [ann, twin, bob, boss] = await Promise.all(
        ["ann", "twin", "bob", "boss"].map((user) => tenants.as(user)),
      )
      if (ann === undefined || twin === undefined || bob === undefined || boss === undefined)
        throw new Error("somebody is missing")
      // The default path begins with a schema of the user's own name, which is part of every key.
      for (const client of [ann, twin, bob, boss]) await ask(client, "SET search_path = sales")
      equal((await ask(ann, customers)).length, 3)
      equal(await outcome(ann), "miss")
      equal((await ask(bob, customers)).length, 5)
      equal(await outcome(bob), "miss")
      equal((await ask(boss, customers)).length, 8)
      equal(await outcome(boss), "miss")
      // "1" and 1 are one claim of type int8.
      deepEqual(await ask(twin, customers), [["Ada"], ["Alan"], ["Ann"]])
      equal(await outcome(twin), "hit_l1")
      for (const [client, count] of [
        [ann, 3],
        [bob, 5],
        [boss, 8],
      ] as const) {
        equal((await ask(client, customers)).length, count)
        equal(await outcome(client), "hit_l1")
      }
    })

    it("a role without filters sees everything as it is", async () => {
      const boss = await tenants.as("boss")
      deepEqual(await ask(boss, "SELECT email FROM sales.orders WHERE id = 1"), [
        ["ada@one.example"],
      ])
      equal((await ask(boss, "SELECT ssn FROM sales.orders")).length, 8)
    })

    for (const user of ["nobody", "nulls", "wrong"])
      it(`a claim that is missing, null or of another type refuses: ${user}`, async () => {
        const client = await tenants.as(user)
        match(
          await refusal(client, customers),
          /^42501 permission denied for table orders.*claim "org_id"/,
        )
        match(await refusal(client, "SELECT * FROM sales.invoices"), /^42501 .*claim "login"/)
        deepEqual(await ask(client, "SELECT count(*) FROM sales.open"), [["3"]])
      })

    for (const user of ["crafty", "slash"])
      it(`a claim that looks like SQL is a value: ${user}`, async () => {
        deepEqual(await ask(await tenants.as(user), "SELECT * FROM sales.invoices"), [])
      })

    it("who has a policy may not write", async () => {
      const writer = await tenants.as("writer")
      match(await refusal(writer, "INSERT INTO sales.open VALUES (9, 'x')"), /^25006 /)
      equal((await ask(writer, customers)).length, 3)
    })

    it("an invalidation of the mapping table makes the answers that read it cold", async () => {
      const ann = await tenants.as("ann")
      await ask(ann, "SELECT text_of FROM sales.invoices")
      await ask(ann, "SELECT text_of FROM sales.invoices")
      equal(await outcome(ann), "hit_l1")
      const response = await fetch(new URL("/v1/invalidations", tenants.gateway.controlUrl), {
        method: "POST",
        headers: {
          authorization: `Bearer ${tenants.gateway.token}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ items: [{ relation: "sales.org_map" }], wait: "cluster" }),
      })
      ok(response.ok)
      await ask(ann, "SELECT text_of FROM sales.invoices")
      equal(await outcome(ann), "miss")
    })

    it("a changed file holds for sessions that are open; a bad one changes nothing", async () => {
      const ann = await tenants.as("ann")
      equal((await ask(ann, customers)).length, 3)
      const reloaded = async (text: string, seen: RegExp): Promise<void> => {
        const from = tenants.gateway.output().length
        await writeFile(tenants.policiesFile, text)
        tenants.gateway.signal("SIGHUP")
        for (let wait = 0; wait < 200; wait += 1) {
          if (seen.test(tenants.gateway.output().slice(from))) return
          await sleep(25)
        }
        throw new Error(`no ${seen} in ${tenants.gateway.output().slice(from)}`)
      }
      await reloaded(
        policies.replace('filter: "org_id = :org_id"', 'filter: "org_id = :nowhere"'),
        /policies\.yaml:10:.*uses :nowhere.*the old ones stay in force/,
      )
      equal((await ask(ann, customers)).length, 3)
      await reloaded(
        policies.replace('filter: "org_id = :org_id"', 'filter: "org_id = :org_id AND id < 3"'),
        /read the policies again/,
      )
      deepEqual(await ask(ann, customers), [["Ada"], ["Alan"]])
      await reloaded(
        policies.replace('filter: "org_id = :org_id"', 'filter: "orgid = :org_id"'),
        /read the policies again/,
      )
      match(await refusal(ann, customers), /^42501 .*does not fit/)
      await reloaded(policies, /read the policies again/)
      equal((await ask(ann, customers)).length, 3)
    })
  })
