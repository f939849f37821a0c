import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { ask, lastOutcome, Pair } from "./support.ts"

const roles = `roles:
  everything: { relations: { allow: ["*"] } }
`

describe("answers of different users", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ config: roles, users: { ann: "everything", twin: "everything" } })
  })
  after(() => pair.stop())

  it("are shared by all who may read the same, though each has a search_path of their own name", async () => {
    const [ann, twin] = [await pair.through({ user: "ann" }), await pair.through({ user: "twin" })]
    await ask(ann, "SELECT n FROM lab.counter")
    equal(await lastOutcome(ann), "miss")
    await ask(twin, "SELECT n FROM lab.counter")
    equal(await lastOutcome(twin), "hit_l1")
    deepEqual(await ask(ann, "SHOW search_path"), [['"$user", public']])
    ann.destroy()
    twin.destroy()
  })

  it("stay apart as soon as one of them has a schema of that name", async () => {
    await pair.postgres.run(
      "CREATE SCHEMA ann; CREATE TABLE ann.own (n int); INSERT INTO ann.own VALUES (1); CREATE TABLE public.own (n int); INSERT INTO public.own VALUES (2); GRANT USAGE ON SCHEMA ann TO public",
    )
    await pair.invalidate("ann.own")
    const [ann, twin] = [await pair.through({ user: "ann" }), await pair.through({ user: "twin" })]
    for (let round = 0; round < 2; round += 1) {
      deepEqual(await ask(twin, "SELECT n FROM own"), [["2"]])
      deepEqual(await ask(ann, "SELECT n FROM own"), [["1"]])
    }
    ann.destroy()
    twin.destroy()
  })

  it("follow a schema that is made while they are connected", async () => {
    const twin = await pair.through({ user: "twin" })
    deepEqual(await ask(twin, "SELECT n FROM own"), [["2"]])
    await pair.postgres.run(
      "CREATE SCHEMA twin; CREATE TABLE twin.own (n int); INSERT INTO twin.own VALUES (3); GRANT USAGE ON SCHEMA twin TO public",
    )
    await pair.invalidate("twin.own")
    deepEqual(await ask(twin, "SELECT n FROM own"), [["3"]])
    twin.destroy()
  })
})
