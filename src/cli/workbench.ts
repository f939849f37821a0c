import type { Configuration } from "../config/configuration.ts"
import { nearestName } from "../config/nearest-name.ts"
import { GatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { noParameters } from "../core/parameters.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import { createLog } from "../observe/log.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { onlyOne } from "../pipeline/explain.ts"
import type { Question } from "../pipeline/question.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { settingRule, valuesOfText } from "../session/setting-table.ts"
import { SessionSettings } from "../session/settings.ts"
import { type Built, buildRooms } from "./build-rooms.ts"

/** Who asks: a configured user, roles and claims in place of the user's own, or roles alone. */
export type Asker = {
  readonly user?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly claims?: Readonly<Record<string, unknown>> | undefined
}

/** The name of somebody of whom only roles and claims are known. */
const nobody = "somebody"

export type Place = {
  /** A database name of the configuration; left out: the first one. */
  readonly database?: string | undefined
  readonly searchPath?: string | undefined
}

/** The rooms of a configuration without a listener, and questions to put to them as a session would. */
export class Workbench {
  readonly built: Built
  readonly #configuration: Configuration

  private constructor(configuration: Configuration, built: Built) {
    this.#configuration = configuration
    this.built = built
  }

  /** Connects to nothing yet. Throws as the policies' and the configuration's readers do. */
  static async open(configuration: Configuration): Promise<Workbench> {
    const log = createLog({ level: "error", format: "pretty" })
    return new Workbench(configuration, await buildRooms(configuration, log))
  }

  /** The rooms of a database, with their catalogue read. */
  async rooms(database: string | undefined): Promise<Rooms> {
    const { rooms } = this.#route(database)
    if (rooms.catalog.current() === undefined) await rooms.catalog.refreshNow()
    return rooms
  }

  /** The question that a session of this identity would ask. Throws for names that the configuration does not have. */
  async question(sql: string, asker: Asker, place: Place): Promise<Question> {
    const route = this.#route(place.database)
    const rooms = await this.rooms(place.database)
    const identity = this.#identity(asker)
    const settings = new SessionSettings(route.defaults(), identity.user, rooms.mayHaveSchema)
    const searchPath = settingRule("search_path")
    if (place.searchPath !== undefined && searchPath !== undefined) {
      const values = valuesOfText(searchPath, place.searchPath)
      settings.set(searchPath, searchPath.canonical(values, settings.view), false)
    }
    return {
      statement: onlyOne(await statementsOf(sql, rooms)),
      parseMs: 0,
      parameters: noParameters,
      resultFormats: [],
      protocol: "simple",
      identity,
      database: place.database ?? this.#firstDatabase(),
      settings: settings.view,
      caching: "on",
      statementTimeoutMs: 0,
      transaction: undefined,
      abort: new AbortScope(),
    }
  }

  /** Settings of a session that has set nothing. */
  settings(rooms: Rooms): SettingsView {
    const route = [...this.built.routes.values()].find((one) => one.rooms === rooms)
    return new SessionSettings(route?.defaults() ?? new Map(), nobody).view
  }

  close(): Promise<void> {
    return this.built.close()
  }

  #firstDatabase(): string {
    return [...this.built.routes.keys()][0] ?? ""
  }

  #route(database = this.#firstDatabase()) {
    const route = this.built.routes.get(database)
    if (route === undefined) throw notConfigured("database", database, this.built.routes.keys())
    return route
  }

  #identity({ user, roles, claims }: Asker): Identity {
    const { users, roles: configured } = this.#configuration
    const record = user === undefined ? undefined : users[user]
    if (user !== undefined && record === undefined && roles === undefined)
      throw notConfigured("user", user, Object.keys(users))
    const unknown = roles?.find((role) => !Object.hasOwn(configured, role))
    if (unknown !== undefined) throw notConfigured("role", unknown, Object.keys(configured))
    return {
      user: user ?? nobody,
      roles: roles ?? record?.roles ?? [],
      claims: claims ?? record?.claims ?? {},
    }
  }
}

function notConfigured(what: string, name: string, known: Iterable<string>): GatewayError {
  const near = nearestName(name, [...known])
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_configuration",
    message: `${what} "${name}" is not in the configuration`,
    ...(near === undefined ? {} : { hint: `Did you mean "${near}"?` }),
  })
}
