import { deepEqual, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { Watch } from "../../support/watch.ts"
import type { WireClient } from "../../support/wire-client.ts"
import { Pair } from "../session/support.ts"
import { messageBytesMax, sessionCases } from "./session-cases.ts"
import { summary } from "./summary.ts"

async function ending(client: WireClient, bytes: readonly Buffer[]): Promise<string[]> {
  client.socket.end(Buffer.concat([...bytes]))
  const lines = summary(await client.readUntilClosed())
  deepEqual(client.unparsed.length, 0, "the answer ended within a message")
  client.destroy()
  return lines
}

/** `T` and `D` alone stand for any message of that type. */
function matches(line: string, pattern: string): boolean {
  return line === pattern || (pattern.length === 1 && line.startsWith(`${pattern} `))
}

describe("a hostile session", () => {
  let pair: Pair
  let watch: Watch
  before(async () => {
    pair = await Pair.start({
      config: `listen: { host: 127.0.0.1, port: 0, messageBytesMax: ${messageBytesMax} }`,
    })
    watch = new Watch(pair.gateway, "warehouse", pair.postgres)
    await watch.begin()
  })
  after(() => pair.stop())

  for (const { title, bytes, differs } of sessionCases)
    it(`that sends ${title} is answered as it should be and leaves nothing behind`, async () => {
      const direct = await ending(await pair.direct(), bytes)
      for (const round of ["first time", "second time"]) {
        const lines = await ending(await pair.through(), bytes)
        if (differs === undefined) deepEqual({ round, lines }, { round, lines: direct })
        else {
          ok(
            lines.length === differs.answer.length &&
              lines.every((each, index) => matches(each, differs.answer[index] ?? "")),
            lines.join("\n"),
          )
          ok(direct.join("\n") !== lines.join("\n"), "it does not differ any more")
        }
      }
      await watch.isUnharmed()
    })

  it("costs no memory for good, however often all of it is repeated", async () => {
    const round = async (): Promise<number> => {
      for (const { bytes } of sessionCases) await ending(await pair.through(), bytes)
      return watch.residentBytes
    }
    await round()
    const startBytes = await round()
    await round()
    await round()
    const growth = (await round()) - startBytes
    ok(growth < 48 * 1024 ** 2, `${Math.round(growth / 1024 ** 2)} MiB in three rounds`)
    await watch.isUnharmed()
  })
})
