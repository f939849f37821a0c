import { deepEqual, equal, match, notEqual, rejects } from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import {
  closeRedis,
  openRedis,
  type RedisClient,
  redialRedis,
} from "../../../src/cache/redis/connection.ts"
import type { RedisSettings, RedisTarget } from "../../../src/core/redis.ts"
import { startRedis } from "../../support/redis-server.ts"
import { startCluster, startSentinels, until } from "../../support/redis-topology.ts"
import { nodeOf, settingsOf } from "./settings.ts"

async function opened(
  settings: RedisSettings,
  use: (client: RedisClient, errors: readonly string[]) => Promise<void>,
): Promise<void> {
  const errors: string[] = []
  const client = openRedis(settings, {
    name: "test",
    events: { error: (error) => errors.push(error.message) },
  })
  try {
    await use(client, errors)
  } finally {
    closeRedis(client)
  }
}

const answering = (client: RedisClient): Promise<unknown> =>
  until("an answer", () =>
    client.call("SET", "{t}:k", "v").then(
      () => true,
      () => undefined,
    ),
  )

describe("a connection to one Redis", () => {
  it("fails at once without Redis, and works by itself when Redis comes", async () => {
    const server = await startRedis()
    await server.kill()
    await opened(settingsOf(server), async (client, errors) => {
      await rejects(client.call("PING"))
      await until("a refused connection", () => (errors.length > 0 ? true : undefined))
      await server.start()
      await answering(client)
      equal(await client.call("GET", "{t}:k"), "v")
    })
    await server.stop()
  })

  it("gives a command up after its time-out when Redis is frozen, and goes on when it wakes", async () => {
    const server = await startRedis()
    await opened(settingsOf(server), async (client) => {
      await answering(client)
      server.pause()
      await rejects(client.call("PING"), /timed out/)
      server.resume()
      await answering(client)
    })
    await server.stop()
  })

  it("can be dialled anew by hand", async () => {
    const server = await startRedis()
    await opened(settingsOf(server), async (client) => {
      await answering(client)
      const before = await client.call("CLIENT", "ID")
      redialRedis(client)
      await answering(client)
      notEqual(await client.call("CLIENT", "ID"), before)
    })
    await server.stop()
  })

  it("logs in as an ACL user whose password is read from its file again at every connection", async () => {
    const server = await startRedis({
      settings: [["user", "sluice", "on", ">first", "~*", "+@all"]],
    })
    const path = join(server.folder, "password")
    writeFileSync(path, "wrong\n")
    const settings = settingsOf(
      { kind: "single", node: nodeOf(server) },
      { username: "sluice", password: { kind: "file", path } },
    )
    await opened(settings, async (client, errors) => {
      await until("a refused login", () => errors.find((text) => text.includes("WRONGPASS")))
      writeFileSync(path, "first\n")
      await answering(client)
      equal(await client.call("ACL", "WHOAMI"), "sluice")
      await server.command("ACL", "SETUSER", "sluice", "resetpass", ">second")
      writeFileSync(path, "second\n")
      await server.command("CLIENT", "KILL", "USER", "sluice")
      await answering(client)
    })
    await server.stop()
  })
})

describe("a connection behind sentinels", () => {
  it("follows the master when it fails over", async () => {
    const topology = await startSentinels(1)
    after(() => topology.stop())
    const target: RedisTarget = {
      kind: "sentinel",
      name: topology.name,
      nodes: topology.sentinels.map(nodeOf),
      username: undefined,
      password: { kind: "none" },
      isTls: false,
    }
    await opened(settingsOf(target), async (client) => {
      await answering(client)
      // Told to disconnect while it asks for the master, as by sentinels that announce a failover just then.
      let isEnded = false
      client.once("connecting", () => client.disconnect(true))
      client.once("end", () => {
        isEnded = true
      })
      redialRedis(client)
      await until("the client to give up", () => (isEnded ? true : undefined))
      await answering(client)
      await topology.master.kill()
      await until("another master", async () =>
        (await topology.current()) === topology.master ? undefined : true,
      )
      await answering(client)
      const replication = String(await client.call("INFO", "replication"))
      match(replication, /role:master/)
    })
  })
})

describe("a connection to a cluster", () => {
  it("finds the node of every key", async () => {
    const cluster = await startCluster()
    after(() => cluster.stop())
    const nodes = cluster.masters.slice(0, 1).map(nodeOf)
    await opened(settingsOf({ kind: "cluster", nodes }), async (client) => {
      await answering(client)
      const keys = ["{a}:1", "{b}:1", "{c}:1", "{d}:1", "{e}:1"]
      for (const key of keys) await client.call("SET", key, key)
      deepEqual(await Promise.all(keys.map((key) => client.call("GET", key))), keys)
      const owners = await Promise.all(keys.map((key) => cluster.ownerOf(key)))
      equal(new Set(owners).size > 1, true)
    })
  })
})
