import { parameterStatus } from "../wire/backend-messages.ts"
import type { Output } from "./output.ts"
import { allSettings, type SettingRule } from "./setting-table.ts"
import type { SessionSettings } from "./settings.ts"

/** ParameterStatus: tells the client what a SET, a ROLLBACK or a RESET has changed since it was told last (PostgreSQL manual, 54.2.7). */
export class ReportedSettings {
  readonly #settings: SessionSettings
  readonly #rules: readonly SettingRule[]
  readonly #told = new Map<string, string>()
  /** The values compared last; a change makes a new object. */
  #compared: ReadonlyMap<string, string>

  /** `reportsPath`: PostgreSQL 18 reports search_path as well, and so do we where the warehouse does. */
  constructor(settings: SessionSettings, reportsPath: boolean) {
    this.#settings = settings
    this.#rules = allSettings().filter(
      (rule) => rule.isReported || (reportsPath && rule.name === "search_path"),
    )
    for (const { name } of this.#rules) this.#told.set(name, settings.get(name))
    this.#compared = settings.values
  }

  report(output: Output): void {
    if (this.#settings.values === this.#compared) return
    this.#compared = this.#settings.values
    for (const { name } of this.#rules) {
      const value = this.#settings.get(name)
      if (this.#told.get(name) === value) continue
      this.#told.set(name, value)
      output.write(parameterStatus(name, value))
    }
  }
}
