import { hash } from "node:crypto"
import type { SettingsView } from "../core/settings.ts"
import { allSettings, type SettingRule, settingRule } from "./setting-table.ts"
import { quoteIdentifier, splitIdentifiers } from "./setting-values.ts"

/** Values that hold when nothing was set: the warehouse's own defaults over the table's. Shared by all sessions of a route. */
export type SettingDefaults = ReadonlyMap<string, string>

export function settingDefaults(warehouse: ReadonlyMap<string, string>): SettingDefaults {
  const known = new Map([...warehouse].map(([name, value]) => [name.toLowerCase(), value]))
  return new Map(
    allSettings().map((entry) => {
      const name = entry.name.toLowerCase()
      const isOwn = entry.scope === "local"
      return [name, isOwn ? entry.initial : (known.get(name) ?? entry.initial)]
    }),
  )
}

/** Views kept for reuse: sessions of one tool use the same few settings, and memo tables key on the digest. */
const viewsMax = 1_000
const views = new Map<string, SettingsView>()
/** Values longer than any tool's are not kept, so that nobody can fill the tables with them. */
const memoCharsMax = 8_192

/** `own`: the schema that "$user" means; undefined when there is none of that name, and then it means nothing. */
function viewOf(values: ReadonlyMap<string, string>, own: string | undefined): SettingsView {
  const text = JSON.stringify([
    own ?? null,
    ...[...values].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ])
  const known = views.get(text)
  if (known !== undefined) return known
  if (views.size >= viewsMax) views.clear()
  const searchPath = splitIdentifiers("search_path", values.get("search_path") ?? "").flatMap(
    (schema) => (schema === "$user" ? (own ?? []) : schema),
  )
  const changing = [...values].filter(
    ([name]) => name !== "search_path" && settingRule(name)?.scope === "bytes",
  )
  const bytesDigest = hash(
    "sha256",
    JSON.stringify([searchPath, changing.toSorted(([a], [b]) => (a < b ? -1 : 1))]),
  )
  const replayed = [...values].filter(([name]) => settingRule(name)?.scope !== "local")
  const view: SettingsView = {
    // "$user" is the client's name here, but the gateway's own role on the warehouse: what is replayed is what it means.
    values: new Map([...replayed, ["search_path", searchPath.map(quoteIdentifier).join(", ")]]),
    searchPath,
    bytesDigest,
  }
  if (text.length <= memoCharsMax) views.set(text, view)
  return view
}

/** What a session's settings amount to. Shared by all sessions that set the same over the same defaults; never changed. */
type Effective = { readonly values: ReadonlyMap<string, string>; readonly view: SettingsView }

/** By defaults, and by what was set over them: a few words, where the effective values are forty. */
const effectives = new WeakMap<SettingDefaults, Map<string, Effective>>()

function effectiveOf(defaults: SettingDefaults, layer: Layer, own: string | undefined): Effective {
  let known = effectives.get(defaults)
  if (known === undefined) {
    known = new Map()
    effectives.set(defaults, known)
  }
  const text = JSON.stringify([own ?? null, ...layer.session, 0, ...layer.local])
  const found = known.get(text)
  if (found !== undefined) return found
  const values = new Map([...defaults, ...layer.session, ...layer.local])
  const made = { values, view: viewOf(values, own) }
  if (known.size >= viewsMax) known.clear()
  if (text.length <= memoCharsMax) known.set(text, made)
  return made
}

/** One level of settings: what SET left, and what SET LOCAL laid over it until the transaction ends. */
type Layer = {
  readonly session: ReadonlyMap<string, string>
  readonly local: ReadonlyMap<string, string>
}

const nothing: ReadonlyMap<string, string> = new Map()
const nothingChanged: readonly string[] = []
/** What a server's own configuration sets comes before what a session has set (RESET ALL goes in this order). */
const configured = ["timezone", "datestyle"]
const nothingSet: Layer = { session: nothing, local: nothing }

/**
 * The virtual settings of one session with PostgreSQL's transactional semantics (manual, SET): ROLLBACK undoes a SET, SET
 * LOCAL ends with the transaction, ROLLBACK TO a savepoint undoes what came after it.
 */
export class SessionSettings {
  readonly #defaults: SettingDefaults
  readonly #user: string
  #layer: Layer = nothingSet
  /** What RESET goes back to: the values of the startup packet. */
  #startup: ReadonlyMap<string, string> = nothing
  #effective: Effective | undefined
  /** Whether the user's own schema existed when the effective settings were made. */
  #hadOwnSchema = true
  readonly #hasSchema: (schema: string) => boolean
  /** Names in the order in which they were changed first since they were taken last: ParameterStatus follows it. */
  #changed = new Set<string>()

  /**
   * `hasSchema`: whether the warehouse has a schema of a name. Where the user's own does not exist, "$user" is left out of what
   * statements are asked with, so that all such users share answers.
   */
  constructor(
    defaults: SettingDefaults,
    user: string,
    hasSchema: (schema: string) => boolean = () => true,
  ) {
    this.#defaults = defaults
    this.#user = user
    this.#hasSchema = hasSchema
  }

  /** Effective values of all settings of the table, by lower-case name. */
  get values(): ReadonlyMap<string, string> {
    return this.#current.values
  }

  get view(): SettingsView {
    return this.#current.view
  }

  get #current(): Effective {
    const hasOwn = this.#hasSchema(this.#user)
    if (this.#effective === undefined || hasOwn !== this.#hadOwnSchema) {
      this.#hadOwnSchema = hasOwn
      const own = hasOwn ? this.#user : undefined
      this.#effective = effectiveOf(this.#defaults, this.#layer, own)
    }
    return this.#effective
  }

  get(name: string): string {
    return this.values.get(name.toLowerCase()) ?? ""
  }

  /** `undefined` as value means DEFAULT. */
  set(entry: SettingRule, value: string | undefined, isLocal: boolean): void {
    const name = entry.name.toLowerCase()
    const chosen = value ?? this.#startup.get(name) ?? this.#defaults.get(name) ?? entry.initial
    this.#changed.add(name)
    if (isLocal) {
      this.#change({ ...this.#layer, local: new Map([...this.#layer.local, [name, chosen]]) })
      return
    }
    let { local } = this.#layer
    if (local.has(name)) local = new Map([...local].filter(([other]) => other !== name))
    this.#change({ session: new Map([...this.#layer.session, [name, chosen]]), local })
  }

  resetAll(): void {
    const { session, local } = this.#layer
    for (const name of [...configured, ...session.keys(), ...local.keys()]) this.#changed.add(name)
    this.#change({ session: this.#startup, local: nothing })
  }

  /** Called once, after the startup packet's settings were applied. */
  keepAsStartup(): void {
    this.#startup = this.#layer.session
  }

  /** What a server has to be told for the session to stand at `mark`, by canonical name: SET values, and SET LOCAL's over them. */
  told(mark: SettingsMark = this.mark()): ToldSettings {
    const { session, local } = mark as unknown as Layer
    return { session: this.#told(session), local: this.#told(local) }
  }

  /** The startup packet's values, as a server has to be told them. */
  get toldAtStartup(): ReadonlyMap<string, string> {
    return this.#told(this.#startup)
  }

  #told(values: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const told = [...values].filter(([name]) => settingRule(name)?.isTold === true)
    return new Map(
      told.map(([name, value]) => [name, name === "search_path" ? this.#ownPath(value) : value]),
    )
  }

  /** "$user" is the client's name here, but the gateway's own role on the warehouse. */
  #ownPath(path: string): string {
    return splitIdentifiers("search_path", path)
      .map((schema) => quoteIdentifier(schema === "$user" ? this.#user : schema))
      .join(", ")
  }

  /** A mark to go back to: at BEGIN, at SAVEPOINT, at the start of an implicit transaction. */
  mark(): SettingsMark {
    return this.#layer as unknown as SettingsMark
  }

  restore(mark: SettingsMark): void {
    const layer = mark as unknown as Layer
    if (layer === this.#layer) return
    this.#undo(this.#layer, layer)
    this.#change(layer)
  }

  /** PostgreSQL goes back through what was set from the last to the first (AtEOXact_GUC, guc.c). */
  #undo(from: Layer, to: Layer): void {
    for (const level of ["local", "session"] as const)
      for (const [name, value] of [...from[level]].toReversed())
        if (to[level].get(name) !== value) this.#changed.add(name)
    for (const level of ["local", "session"] as const)
      for (const name of to[level].keys()) if (!from[level].has(name)) this.#changed.add(name)
  }

  /** What may have changed since this was asked last, the latest first (ReportChangedGUCOptions, guc.c). */
  takeChanged(): readonly string[] {
    if (this.#changed.size === 0) return nothingChanged
    const names = [...this.#changed].toReversed()
    this.#changed = new Set()
    return names
  }

  /** The transaction ended well: SET stays, SET LOCAL goes. */
  endLocal(): void {
    const { session, local } = this.#layer
    if (local.size === 0) return
    for (const name of [...local.keys()].toReversed()) this.#changed.add(name)
    this.#change({ session, local: nothing })
  }

  #change(layer: Layer): void {
    this.#layer = layer
    this.#effective = undefined
  }
}

export type ToldSettings = {
  readonly session: ReadonlyMap<string, string>
  readonly local: ReadonlyMap<string, string>
}

/** Opaque: only SessionSettings looks inside. */
export type SettingsMark = { readonly __brand: "SettingsMark" }
