import { everythingWritten, nothingWritten, type Written } from "../../pipeline/direct.ts"

/**
 * What prepared statements and portals of a session that writes change when they are run, by name. A statement that was prepared
 * before the session wrote is a read, or its Parse would have begun the writing.
 */
export class WrittenNames {
  readonly #namesMax: number
  readonly #prepared = new Map<string, Written>()
  readonly #portals = new Map<string, Written>()
  /** What a name that is not kept writes. */
  #unknown: Written = nothingWritten

  /** `namesMax`: names of each kind; beyond it nothing can be told apart any more, and what is not known writes everything. */
  constructor(namesMax: number) {
    this.#namesMax = namesMax
  }

  ofStatement(name: string): Written {
    return this.#prepared.get(name) ?? this.#unknown
  }

  ofPortal(name: string): Written {
    return this.#portals.get(name) ?? this.#unknown
  }

  prepare(name: string, written: Written): void {
    this.#keep(this.#prepared, name, written)
  }

  bind(portal: string, statement: string): void {
    this.#keep(this.#portals, portal, this.ofStatement(statement))
  }

  close(target: "statement" | "portal", name: string): void {
    if (target === "statement") this.#prepared.delete(name)
    else this.#portals.delete(name)
  }

  /** The end of a transaction ends its portals. */
  closePortals(): void {
    this.#portals.clear()
  }

  #keep(names: Map<string, Written>, name: string, written: Written): void {
    if (names.size >= this.#namesMax && !names.has(name)) this.#unknown = everythingWritten
    else names.set(name, written)
  }
}
