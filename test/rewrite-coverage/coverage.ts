import { Client } from "pg"
import { startTenants, type Tenants } from "../security/tenants.ts"
import { query } from "../support/frontend-encoder.ts"
import { superuser } from "../support/postgres-template.ts"
import { errors, textRows, WireClient } from "../support/wire-client.ts"

/** What became of one statement. `wrong`: its rows were not those of the tables that hold only what the policies show. */
export type Outcome =
  | { readonly kind: "rewritten"; readonly hasRows: boolean }
  | { readonly kind: "same error" }
  | { readonly kind: "refused" | "wrong"; readonly why: string }

export type Suite = {
  readonly name: string
  readonly seed: string
  readonly policies: string
  /** SQL that leaves of the seed what the policies show. */
  readonly byHand: string
}

/** A reader under policies, and somebody without any before a database that holds only what the reader may see. */
export class Coverage {
  readonly #tenants: Tenants
  readonly #reader: WireClient
  readonly #other: WireClient

  private constructor(tenants: Tenants, reader: WireClient, other: WireClient) {
    this.#tenants = tenants
    this.#reader = reader
    this.#other = other
  }

  static async start(suite: Suite): Promise<Coverage> {
    const { seed, policies } = suite
    const tenants = await startTenants("postgres", { seed, policies })
    const { postgres } = tenants
    if (postgres === undefined) throw new Error("there is no PostgreSQL")
    await postgres.run("CREATE DATABASE by_hand")
    const admin = new Client(postgres.superuserUri.replace(/\/[^/]*$/, "/by_hand"))
    await admin.connect()
    try {
      await admin.query(suite.seed)
      await admin.query(suite.byHand)
    } finally {
      await admin.end()
    }
    const { name: user, password } = superuser
    const { port } = postgres
    const other = await WireClient.connect({ port, user, password, database: "by_hand" })
    await other.query(query("SET TimeZone = 'UTC'; SET default_transaction_read_only = on"))
    const reader = await tenants.as("ann")
    await reader.query(query("SET TimeZone = 'UTC'"))
    return new Coverage(tenants, reader, other)
  }

  async stop(): Promise<void> {
    this.#other.destroy()
    await this.#tenants.stop()
  }

  async ask(sql: string): Promise<Outcome> {
    const got = await this.#reader.query(query(sql))
    const expected = await this.#other.query(query(sql))
    await this.#other.query(query("ROLLBACK"))
    const [error] = errors(got)
    const [expectedError] = errors(expected)
    if (error !== undefined) {
      if (error["C"] === expectedError?.["C"]) return { kind: "same error" }
      return {
        kind: "refused",
        why: `${error["C"]} ${(error["M"] ?? "").replaceAll(/"[^"]*"|(?<=function |relation )\S+/g, "...")}`,
      }
    }
    if (expectedError !== undefined)
      return {
        kind: "wrong",
        why: `answered, but by hand ${expectedError["C"]} ${expectedError["M"]}`,
      }
    const [rows, rowsByHand] = [got, expected].map((messages) =>
      textRows(messages).map((row) => JSON.stringify(row)),
    )
    if (rows?.toSorted().join("\n") === rowsByHand?.toSorted().join("\n"))
      return { kind: "rewritten", hasRows: rows !== undefined && rows.length > 0 }
    return {
      kind: "wrong",
      why: `${rows?.slice(0, 5).join(" ")} instead of ${rowsByHand?.slice(0, 5).join(" ")}`,
    }
  }
}
