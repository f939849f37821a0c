import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { errors } from "../../support/wire-client.ts"
import { ask, Pair } from "./support.ts"

describe("facts of a session that writes", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      users: { writer: "writing" },
      config: `roles: { everything: { relations: { allow: ["*"] } }, writing: { relations: { allow: ["*"] }, write: true } }`,
    })
    await pair.postgres.run(
      "CREATE TABLE lab.audit (who name, pid int, seen text); GRANT ALL ON SCHEMA lab TO PUBLIC; GRANT ALL ON lab.audit TO PUBLIC",
    )
  })
  after(() => pair.stop())

  it("are its own in what it writes and reads, and calls in what it defines", async () => {
    const other = await pair.through()
    await ask(other, "SELECT 'private to reader', n FROM lab.counter")
    const writer = await pair.through({ user: "writer" })
    await ask(
      writer,
      "INSERT INTO lab.audit SELECT current_user, pg_backend_pid(), string_agg(DISTINCT usename, ',') FROM pg_stat_activity",
    )
    deepEqual(await ask(writer, "SELECT who, pid, seen, session_user || '' FROM lab.audit"), [
      ["writer", String(writer.processId), "writer", "writer"],
    ])
    await ask(writer, "CREATE VIEW lab.whoami AS SELECT current_user AS who")
    equal(
      (await pair.postgres.run("SELECT pg_get_viewdef('lab.whoami'::regclass) AS d"))[0]?.["d"],
      " SELECT CURRENT_USER AS who;",
    )
    const [error] = errors(await writer.query(query("SELECT 1, pg_terminate_backend(1)")))
    equal(error?.["C"], "42501")
    writer.destroy()
    other.destroy()
  })
})
