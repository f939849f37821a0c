import type { Identity } from "../core/identity.ts"
import type { Policy } from "../policy/policy.ts"

/** Where claims come from that a login does not bring. */
export interface ClaimSource {
  /**
   * The identity with the claims that hold now; itself where none are looked up for it, or these are with it already. A
   * promise only when the warehouse has to be asked. Fails with 42501 `claims_unavailable`.
   */
  of(identity: Identity, policy: Policy): Identity | Promise<Identity>
}
