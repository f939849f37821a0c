import { GatewayError, type GatewayErrorInit } from "../core/errors.ts"
import type { PackedStatement } from "./packed-statement.ts"

/** What the parse worker answers: errors lose their class on the way and get it back on this side. */
export type WorkerReply =
  | { readonly kind: "parsed"; readonly statements: readonly PackedStatement[] }
  | { readonly kind: "failed"; readonly error: GatewayErrorInit }

export function packError(error: GatewayError): GatewayErrorInit {
  const { sqlState, reason, message, severity, detail, hint, position, safeToRetry } = error
  return {
    sqlState,
    reason,
    message,
    severity,
    safeToRetry,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(position === undefined ? {} : { position }),
  }
}

export function unpackError(init: GatewayErrorInit): GatewayError {
  return new GatewayError(init)
}
