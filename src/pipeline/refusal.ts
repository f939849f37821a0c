import { GatewayError } from "../core/errors.ts"
import type { Verdict } from "../policy/judge.ts"

/** Policy's refusal as the client hears it. Nothing has reached a warehouse. */
export function refusal(verdict: Extract<Verdict, { kind: "refused" }>): GatewayError {
  return new GatewayError({
    sqlState: verdict.sqlState,
    reason: verdict.reason,
    message: verdict.message,
    safeToRetry: true,
    ...(verdict.hint === undefined ? {} : { hint: verdict.hint }),
  })
}
