/** What is taken from a token's payload, and within which bounds. */
export type ClaimRules = {
  /** Claims by name, or by a path with dots (`realm_access.roles`). */
  readonly userClaim: string
  readonly rolesClaim: string
  /** For tokens without the roles claim; empty = such tokens are refused. */
  readonly rolesDefault: readonly string[]
  /** Roles by values of the roles claim; undefined = a value is the role's own name. */
  readonly roleMap: ReadonlyMap<string, readonly string[]> | undefined
  /** Names of configured roles; others in a token are passed over. */
  readonly rolesKnown: Pick<ReadonlySet<string>, "has">
  /** Bytes of one claim as JSON. */
  readonly claimBytesMax: number
}

/** Length of a user's name in a token or a startup packet that names somebody else than a configured user. */
export const userCharsMax = 255
const rolesMax = 64

/** What the operator is told; the client learns that its token was refused. */
export class ClaimProblem extends Error {
  override readonly name = "ClaimProblem"
}

type Payload = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Payload {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function claimAt(payload: Payload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path]
  let value: unknown = payload
  for (const step of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return undefined
    value = value[step]
  }
  return value
}

/** Control characters would let a name break a line of a log, or end a text on the wire. */
export function isSoundName(name: string): boolean {
  return name !== "" && name.length <= userCharsMax && !/\p{Cc}/u.test(name)
}

function frozen(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) frozen(inner)
}

/** User, roles and frozen claims of a verified payload. Throws a {@link ClaimProblem}. */
export function readClaims(
  payload: Payload,
  rules: ClaimRules,
): { readonly user: string; readonly roles: readonly string[]; readonly claims: Payload } {
  for (const [name, value] of Object.entries(payload))
    if (Buffer.byteLength(JSON.stringify(value) ?? "") > rules.claimBytesMax)
      throw new ClaimProblem(`claim "${name}" is larger than ${rules.claimBytesMax} bytes`)
  const user = claimAt(payload, rules.userClaim)
  if (typeof user !== "string" || !isSoundName(user))
    throw new ClaimProblem(
      `claim "${rules.userClaim}" is no name of 1 to ${userCharsMax} printable characters`,
    )
  const roles = readRoles(claimAt(payload, rules.rolesClaim), rules)
  frozen(payload)
  return { user, roles, claims: payload }
}

function readRoles(claim: unknown, rules: ClaimRules): readonly string[] {
  const { rolesClaim, rolesDefault, rolesKnown, roleMap } = rules
  if (claim === undefined) {
    if (rolesDefault.length > 0) return rolesDefault
    throw new ClaimProblem(`the token has no claim "${rolesClaim}"`)
  }
  const names: unknown = typeof claim === "string" ? [claim] : claim
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new ClaimProblem(`claim "${rolesClaim}" is no list of names`)
  if (names.length > rolesMax)
    throw new ClaimProblem(`claim "${rolesClaim}" names more than ${rolesMax} roles`)
  const meant = roleMap === undefined ? names : names.flatMap((name) => roleMap.get(name) ?? [])
  const known = [...new Set(meant)].filter((name) => rolesKnown.has(name))
  if (known.length > 0) return known
  throw new ClaimProblem(`claim "${rolesClaim}" names no role of the configuration`)
}
