/** What stands under a key of the shared tier at one moment. */
export type Found =
  /** A value, and for how long the store will still keep it. */
  | { readonly kind: "value"; readonly value: Buffer; readonly ttlMs: number }
  /** Nothing was there, and the asker holds the flight now: it must `put` or `leave`. */
  | { readonly kind: "leading" }
  /** Another instance holds the flight. */
  | { readonly kind: "busy" }
  /** Nothing is there, and nobody is to be waited for: who ran it last could not share it. */
  | { readonly kind: "alone" }

export type FlightClaim = {
  /** Unique for each claim. */
  readonly owner: string
  /** The claim ends by itself after so long, in case that its holder has died. */
  readonly leaseMs: number
}

/**
 * Values and flights of the shared tier by key name. Each call is atomic for its key and touches no other. Every call may
 * reject; then nothing is known of what it did, and nothing that it may have done can make an answer wrong.
 */
export interface SharedStore {
  /** The value, or else the flight for the asker if it is free. */
  find(name: string, claim: FlightClaim): Promise<Found>
  /** Stores the value and ends the owner's flight. */
  put(
    name: string,
    value: Buffer,
    options: { readonly ttlMs: number; readonly owner: string },
  ): Promise<void>
  /** Takes the value away; a flight stays. */
  remove(name: string): Promise<void>
  /** Ends the owner's flight without a value: followers take it over, or for `aloneMs` run by themselves. */
  leave(name: string, options: { readonly owner: string; readonly aloneMs: number }): Promise<void>
  /** Prolongs the owner's flight; false when it has lost it. */
  extend(name: string, claim: FlightClaim): Promise<boolean>
  close(): void
}

/** What a store rejects with. An answer of the store that is an error (`refused`) shows that the store is there. */
export class SharedStoreError extends Error {
  override readonly name = "SharedStoreError"
  readonly kind: "timeout" | "unreachable" | "refused"

  constructor(kind: SharedStoreError["kind"], cause: unknown) {
    super(`the shared tier's store: ${kind}`, { cause })
    this.kind = kind
  }
}
