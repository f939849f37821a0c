import { parameterStatus } from "../wire/backend-messages.ts"
import type { Output } from "./output.ts"
import { allSettings } from "./setting-table.ts"
import type { SessionSettings } from "./settings.ts"

const reported: ReadonlyMap<string, string> = new Map(
  allSettings()
    .filter((rule) => rule.isReported)
    .map((rule) => [rule.name.toLowerCase(), rule.name]),
)
const reportedWithPath: ReadonlyMap<string, string> = new Map([
  ...reported,
  ["search_path", "search_path"],
])

/** ParameterStatus: tells the client what a SET, a ROLLBACK or a RESET has changed since it was told last (PostgreSQL manual, 54.2.7). */
export class ReportedSettings {
  readonly #settings: SessionSettings
  readonly #names: ReadonlyMap<string, string>
  /** What the client knows: the values at the last report, one object until something is set. */
  #told: ReadonlyMap<string, string>

  /** `reportsPath`: PostgreSQL 18 reports search_path as well, and so do we where the warehouse does. */
  constructor(settings: SessionSettings, reportsPath: boolean) {
    this.#settings = settings
    this.#names = reportsPath ? reportedWithPath : reported
    this.#told = settings.values
    settings.takeChanged()
  }

  report(output: Output): void {
    const changed = this.#settings.takeChanged()
    const { values } = this.#settings
    const told = this.#told
    if (values === told) return
    this.#told = values
    for (const lowerCase of changed) {
      const name = this.#names.get(lowerCase)
      const value = values.get(lowerCase) ?? ""
      if (name !== undefined && value !== told.get(lowerCase))
        output.write(parameterStatus(name, value))
    }
  }
}
