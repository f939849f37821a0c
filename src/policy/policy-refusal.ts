import { type Refusal, refused } from "./judge.ts"

/** A refusal on its way out of a rewrite. */
export class PolicyRefusal extends Error {
  override readonly name = "PolicyRefusal"
  readonly refusal: Refusal

  constructor(...parts: Parameters<typeof refused>) {
    super(parts[2])
    this.refusal = refused(...parts)
  }
}
