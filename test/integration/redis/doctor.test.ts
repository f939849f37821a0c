import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, describe, it } from "node:test"
import { examineRedis, type Finding } from "../../../src/cache/redis/examine.ts"
import type { RedisSettings } from "../../../src/core/redis.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { startCluster, startReplicated, startSentinels } from "../../support/redis-topology.ts"
import { nodeOf, settingsOf } from "./settings.ts"

const settings = (server: TestRedis, more: Partial<RedisSettings> = {}) =>
  settingsOf(server, { commandTimeoutMs: 1_000, leaseMs: 2_000, ...more })

const about = (findings: readonly Finding[], subject: string): Finding | undefined =>
  findings.find((finding) => finding.subject === subject)

const bad = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ level }) => level !== "ok").map(({ subject, level }) => `${subject} ${level}`)

describe("sluice doctor", () => {
  it("finds nothing wrong with a plain Redis, and leaves no instance behind", async () => {
    const server = await startRedis()
    after(() => server.stop())
    const findings = await examineRedis(settings(server))
    deepEqual(bad(findings), [])
    ok(findings.length >= 8)
    equal(await server.command("HLEN", "{sluice}:instances"), 0)
  })

  const servers = [
    {
      title: "an eviction policy that may drop control keys",
      settings: [
        ["maxmemory-policy", "allkeys-lru"],
        ["maxmemory", "100mb"],
      ],
      subject: "eviction",
      level: "problem",
      mend: /volatile-lru/,
    },
    {
      title: "memory that fills up without eviction",
      settings: [["maxmemory", "100mb"]],
      subject: "eviction",
      level: "warning",
      mend: /volatile-lru/,
    },
    {
      title: "a bounded memory with volatile eviction",
      settings: [
        ["maxmemory", "100mb"],
        ["maxmemory-policy", "volatile-lru"],
      ],
      subject: "eviction",
      level: "ok",
      mend: undefined,
    },
  ] as const
  for (const { title, settings: lines, subject, level, mend } of servers)
    it(`judges ${title}: ${level}`, async () => {
      const server = await startRedis({ settings: lines })
      after(() => server.stop())
      const finding = about(await examineRedis(settings(server)), subject)
      equal(finding?.level, level)
      if (mend === undefined) equal(finding?.mend, undefined)
      else match(finding?.mend ?? "", mend)
    })

  it("tells that nothing listens", async () => {
    const server = await startRedis()
    await server.stop()
    const [finding] = await examineRedis(settings(server, { connectTimeoutMs: 300 }))
    equal(finding?.subject, "connection")
    match(finding?.found ?? "", /ECONNREFUSED/)
  })

  it("tells of a wrong password, and of every permission that is missing", async () => {
    const rights =
      "+eval +info +time +hmget +hget +hset +hlen +hdel +hgetall +hincrby +del +llen +lrange +rpush +ltrim +publish +subscribe +ping"
    const all = rights.split(" ")
    const server = await startRedis({
      settings: [["user", "sluice", "on", ">pw", "~{sluice}:*", "&{sluice}:*", ...all]],
    })
    after(() => server.stop())
    const asUser = (password: string) =>
      examineRedis(
        settings(server, {
          username: "sluice",
          password: { kind: "text", text: password },
          connectTimeoutMs: 500,
        }),
      )
    match((await asUser("no"))[0]?.found ?? "", /WRONGPASS/)
    deepEqual(bad(await asUser("pw")), [], "what the documentation lists is enough")
    for (const missing of ["-eval", "-hset", "-rpush", "-publish", "-subscribe", "-info"]) {
      await server.command("ACL", "SETUSER", "sluice", missing)
      const findings = await asUser("pw")
      ok(
        findings.some(({ mend }) => mend?.includes("ACL SETUSER") === true),
        `${missing}: ${JSON.stringify(findings)}`,
      )
      await server.command("ACL", "SETUSER", "sluice", missing.replace("-", "+"))
    }
  })

  it("counts replicas against replicasMin, and refuses a replica in place of a master", async () => {
    const { master, replicas } = await startReplicated(1)
    after(() => Promise.all([master, ...replicas].map((server) => server.stop())))
    const [replica] = replicas
    ok(replica !== undefined)
    deepEqual(bad(await examineRedis(settings(master, { replicasMin: 1 }))), [])
    const few = await examineRedis(settings(master, { replicasMin: 2 }))
    equal(about(few, "replicas")?.level, "problem")
    ok((await examineRedis(settings(replica))).some(({ level }) => level === "problem"))
  })

  it("asks every sentinel", async () => {
    const topology = await startSentinels(1)
    after(() => topology.stop())
    const target = {
      kind: "sentinel",
      name: topology.name,
      nodes: topology.sentinels.map(nodeOf),
      username: undefined,
      password: { kind: "none" },
      isTls: false,
    } as const
    deepEqual(bad(await examineRedis(settingsOf(target, { replicasMin: 1, leaseMs: 2_000 }))), [])
    const loose = await examineRedis(settingsOf(target, { leaseMs: 2_000 }))
    deepEqual(bad(loose), ["replicas warning"])
    const other = await examineRedis(
      settingsOf({ ...target, name: "other" }, { connectTimeoutMs: 300 }),
    )
    ok(other.filter(({ mend }) => mend?.includes("redis.sentinel.name")).length === 3)
  })

  it("sees whether a cluster is whole, and that it is one", async () => {
    const cluster = await startCluster()
    after(() => cluster.stop())
    const [first] = cluster.masters
    ok(first !== undefined)
    const target = { kind: "cluster", nodes: [nodeOf(first)] } as const
    const findings = await examineRedis(settingsOf(target, { leaseMs: 2_000 }))
    deepEqual(bad(findings), [])
    match(about(findings, "cluster")?.found ?? "", /state ok, 16384 of 16384 slots, 3 nodes/)
    match(about(await examineRedis(settings(first)), "cluster")?.mend ?? "", /redis\.cluster/)
  })
})
