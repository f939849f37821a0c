import type { DirectConnection } from "../../core/direct.ts"
import type { Statement } from "../../core/statement.ts"
import { queryMessage } from "../../wire/frontend-encoder.ts"
import { backend, firstValues } from "./direct-messages.ts"
import { converse } from "./open.ts"

/** The schemas in force, as the warehouse has them; undefined when it cannot say. Nothing else may be under way. */
export async function askSearchPath(
  connection: DirectConnection,
): Promise<readonly string[] | undefined> {
  const schemas: string[] = []
  const text = "SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))"
  const error = await converse(connection, queryMessage(text), backend.readyForQuery, (frame) => {
    if (frame[0] === backend.dataRow) schemas.push(...firstValues(frame))
  })
  return error === undefined ? schemas : undefined
}

/**
 * The schemas that the warehouse looks unqualified names up in, as far as a session that writes knows them. A plain SET tells
 * them; what may change them in another way (a rollback, set_config, RESET) makes them unknown until the warehouse is asked.
 */
export class KnownSearchPath {
  #schemas: readonly string[] | undefined

  constructor(schemas: readonly string[]) {
    this.#schemas = schemas
  }

  get schemas(): readonly string[] | undefined {
    return this.#schemas
  }

  /** The warehouse has said so. */
  learned(schemas: readonly string[]): void {
    this.#schemas = schemas
  }

  forget(): void {
    this.#schemas = undefined
  }

  /** A statement is being sent. */
  after({ class: statementClass, text }: Statement): void {
    switch (statementClass.kind) {
      case "transaction":
        if (statementClass.command.kind !== "begin") this.#schemas = undefined
        return
      case "session": {
        const { command } = statementClass
        if (command.kind === "set" && command.name.toLowerCase() === "search_path")
          this.#schemas = command.values?.includes("$user") === true ? undefined : command.values
        else if (changesSettings.has(command.kind)) this.#schemas = undefined
        return
      }
      default:
        // A function of a user's may carry a SET of its own, which ends with it; set_config is the one that stays.
        if (/set_config/i.test(text)) this.#schemas = undefined
    }
  }
}

const changesSettings: ReadonlySet<string> = new Set(["reset", "reset_all", "discard", "facts"])
