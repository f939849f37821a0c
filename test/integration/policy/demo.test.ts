import { deepEqual, equal, match } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { textRows, WireClient } from "../../support/wire-client.ts"

describe("the demo's two users", () => {
  let gateway: RunningGateway
  before(async () => {
    gateway = await startGateway({})
  })
  after(() => gateway.stop())

  const ask = async (user: string, sql: string): Promise<(string | null)[][]> => {
    const { port, password } = gateway
    const client = await WireClient.connect({ port, user, password, database: "demo" })
    const rows = textRows(await client.query(query(sql)))
    client.destroy()
    return rows
  }

  it("are told of", () => match(gateway.output(), /psql "postgresql:\/\/ann:/))

  it("ask the same and see what is theirs", async () => {
    const sql = "SELECT DISTINCT tenant_id FROM retail.customers ORDER BY 1"
    deepEqual(await ask("demo", sql), [["1"], ["2"], ["3"], ["4"], ["5"]])
    deepEqual(await ask("ann", sql), [["2"]])
    deepEqual(await ask("ann", "SELECT DISTINCT email FROM retail.customers"), [["c***"]])
    equal((await ask("ann", "SELECT DISTINCT tenant_id FROM retail.sales")).length, 1)
  })
})
