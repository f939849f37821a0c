import { type ErrorStage, GatewayError } from "../core/errors.ts"
import type { EarlyNotice } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import { bindComplete, parseComplete } from "../wire/backend-messages.ts"
import type { Delivery } from "./delivery.ts"
import type { NamedObjects, Portal, PreparedStatement } from "./named-objects.ts"

const none: readonly EarlyNotice[] = []

/**
 * What a client has asked of one statement and was not told yet: its Parse, a Bind of it, a Describe of that portal. They wait for
 * the message behind them, because only the warehouse knows whether a statement is sound, and a stored answer or the run itself
 * proves it without a round trip of its own.
 */
export class OwedReplies {
  readonly #delivery: Delivery
  readonly #objects: NamedObjects
  #parsed: PreparedStatement | undefined
  #bound: Portal | undefined
  #described: Portal | undefined

  constructor(delivery: Delivery, objects: NamedObjects) {
    this.#delivery = delivery
    this.#objects = objects
  }

  get isEmpty(): boolean {
    return this.portal === undefined && this.#parsed === undefined
  }

  get statement(): PreparedStatement | undefined {
    return this.#parsed
  }

  get portal(): Portal | undefined {
    return this.#bound ?? this.#described
  }

  get isDescriptionOwed(): boolean {
    return this.#described !== undefined
  }

  /** True when a Bind, or Describe, of this statement may follow what is owed. */
  continuesStatement(name: string): boolean {
    return this.portal === undefined && (this.#parsed === undefined || this.#parsed.name === name)
  }

  /** True when a Describe of this portal may follow. */
  continuesPortal(name: string): boolean {
    return this.#described === undefined && this.endsPortal(name)
  }

  /** True when an Execute of this portal settles all that is owed. */
  endsPortal(name: string): boolean {
    return this.isEmpty || this.portal?.name === name
  }

  oweParse(prepared: PreparedStatement): void {
    this.#parsed = prepared
  }

  oweBind(portal: Portal): void {
    this.#bound = portal
  }

  oweDescription(portal: Portal): void {
    this.#described = portal
  }

  /**
   * The warehouse or the cache has proven the statement: ParseComplete and BindComplete, each behind what was said of it. A
   * description is the caller's to send. What was said of a Parse or Bind that has its answer was said then.
   */
  acknowledge(notices: readonly EarlyNotice[] = none): void {
    if (this.#parsed !== undefined) this.#tell(notices, "parse")
    this.acknowledgeParse()
    if (this.#bound !== undefined) {
      this.#tell(notices, "bind")
      this.#delivery.output.write(bindComplete)
    }
    this.#tell(notices, undefined)
    this.forget()
  }

  #tell(notices: readonly EarlyNotice[], stage: ErrorStage | undefined): void {
    for (const notice of notices)
      if (notice.stage === stage) this.#delivery.tellNotice(notice.frame)
  }

  acknowledgeParse(): void {
    if (this.#parsed !== undefined) this.#delivery.output.write(parseComplete)
    this.#parsed = undefined
  }

  /**
   * Before an ErrorResponse: sends what PostgreSQL has sent when it raises this error, and drops what it would not have made. A
   * complaint about the text of a statement that was proven earlier (its table is gone since) comes at Bind.
   */
  refuse(thrown: unknown): void {
    const stage = thrown instanceof GatewayError ? thrown.stage : undefined
    const isUnparsed = stage === "parse" && this.#parsed !== undefined
    if (isUnparsed) this.#objects.closePrepared(this.#parsed?.name ?? "")
    else this.acknowledgeParse()
    if (this.#bound !== undefined) {
      if (stage === undefined) this.#delivery.output.write(bindComplete)
      else if (isUnparsed) this.#objects.closePortal(this.#bound.name)
      else this.#bound.isWithoutQuery = !isAboutFormats(thrown)
    }
    this.forget()
  }

  /** Nothing of it is sent any more. */
  forget(): void {
    this.#parsed = undefined
    this.#bound = undefined
    this.#described = undefined
  }
}

/**
 * The last thing that Bind looks at: then the portal has its query already (exec_bind_message, postgres.c). A parameter that does
 * not fit has the same SQLSTATE, and a CONTEXT that names it.
 */
function isAboutFormats(thrown: unknown): boolean {
  if (!(thrown instanceof GatewayError)) return false
  return thrown.sqlState === SqlState.ProtocolViolation && !thrown.fields?.has("W")
}
