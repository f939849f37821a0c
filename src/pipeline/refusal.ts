import { GatewayError } from "../core/errors.ts"
import type { Verdict } from "../policy/judge.ts"

/** Policy's refusal as the client hears it, at Bind, where PostgreSQL checks permissions. Nothing has reached a warehouse. */
export function refusal(verdict: Extract<Verdict, { kind: "refused" }>): GatewayError {
  return new GatewayError({
    sqlState: verdict.sqlState,
    reason: verdict.reason,
    message: verdict.message,
    safeToRetry: true,
    stage: "bind",
    ...(verdict.hint === undefined ? {} : { hint: verdict.hint }),
  })
}
