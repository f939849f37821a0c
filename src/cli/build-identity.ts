import type { Configuration } from "../config/configuration.ts"
import { KeyRing } from "../identity/key-ring.ts"
import type { VerificationKey } from "../identity/keys.ts"
import { TokenVerifier } from "../identity/token-verifier.ts"
import type { Log } from "../observe/log.ts"
import type { TokenLogin } from "../session/identify.ts"

/** What checks tokens, with its keys read; undefined when the configuration takes none. Throws `invalid_configuration`. */
export function buildIdentity(
  configuration: Configuration,
  log: Log,
  /** Default: the roles of the configuration. */
  hasRole: (name: string) => boolean = (name) => Object.hasOwn(configuration.roles, name),
): (TokenLogin & { readonly keys: () => readonly VerificationKey[] }) | undefined {
  const { identity } = configuration
  if (identity === undefined) return undefined
  const ring = new KeyRing(identity.keys, () => performance.now(), {
    renewed: (kids) => log.info("identity keys were read anew", { kids }),
    kept: (problem) =>
      log.error("identity keys could not be read; the keys before stay in force", { problem }),
  })
  const { audience, issuer, userClaim, rolesClaim, roleMap, rolesDefault } = identity
  const { clockSkewMs, tokenBytesMax, claimBytesMax, afterExpiry } = identity
  const verifier = new TokenVerifier(
    ring,
    {
      audiences: [audience],
      issuer,
      userClaim,
      rolesClaim,
      rolesDefault,
      roleMap: roleMap === undefined ? undefined : new Map(Object.entries(roleMap)),
      rolesKnown: { has: hasRole },
      clockSkewMs,
      tokenBytesMax,
      claimBytesMax,
      afterExpiry,
    },
    () => Date.now(),
  )
  return { verifier, requiresTls: identity.requireTls, keys: () => ring.keys }
}
