import { createHash, randomUUID } from "node:crypto"
import { hostname } from "node:os"
import type { WarehouseConfiguration } from "../config/configuration.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { parseConnectionUri } from "../warehouse/postgres/connection-uri.ts"

/** Names and addresses that mean another machine on each machine. */
const localHost = /^(?:localhost$|127\.|::1$|\/)/i

/**
 * What tells a warehouse from others of the same name in the configuration of other instances. Two instances share its
 * answers only when they reach it by the same words: host, port, database, user. What is local to a machine (a loopback
 * address, a socket, a file) is taken for the same on one machine only, and what is in memory never.
 */
export function originOf(
  settings: WarehouseConfiguration,
): Pick<Rooms, "origin" | "sharesAnswers"> {
  if (settings.engine === "duckdb") {
    if (settings.path === ":memory:") return { origin: randomUUID(), sharesAnswers: false }
    return { origin: digest(["duckdb", hostname(), settings.path]), sharesAnswers: true }
  }
  const { host, port, database, user } = parseConnectionUri(settings.uri)
  const machine = localHost.test(host) ? hostname() : ""
  const parts = ["postgres", machine, host, String(port), database, user]
  return { origin: digest(parts), sharesAnswers: true }
}

function digest(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32)
}
