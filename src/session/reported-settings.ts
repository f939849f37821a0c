import { parameterStatus } from "../wire/backend-messages.ts"
import type { Output } from "./output.ts"
import { allSettings } from "./setting-table.ts"
import type { SessionSettings } from "./settings.ts"

const names = allSettings()
  .filter((rule) => rule.isReported)
  .map((rule) => rule.name)
const namesWithPath = [...names, "search_path"]

/** ParameterStatus: tells the client what a SET, a ROLLBACK or a RESET has changed since it was told last (PostgreSQL manual, 54.2.7). */
export class ReportedSettings {
  readonly #settings: SessionSettings
  readonly #names: readonly string[]
  /** What the client knows: the values at the last report, one object until something is set. */
  #told: ReadonlyMap<string, string>

  /** `reportsPath`: PostgreSQL 18 reports search_path as well, and so do we where the warehouse does. */
  constructor(settings: SessionSettings, reportsPath: boolean) {
    this.#settings = settings
    this.#names = reportsPath ? namesWithPath : names
    this.#told = settings.values
  }

  report(output: Output): void {
    const { values } = this.#settings
    const told = this.#told
    if (values === told) return
    this.#told = values
    for (const name of this.#names) {
      const value = values.get(name.toLowerCase()) ?? ""
      if (value !== told.get(name.toLowerCase())) output.write(parameterStatus(name, value))
    }
  }
}
