import { resolve as resolvePath } from "node:path"
import type {
  Configuration,
  ControlToken,
  IdentityConfiguration,
  IdentityKey,
  UserConfiguration,
  WarehouseConfiguration,
} from "./configuration.ts"
import type { PoliciesFile } from "./policies-file.ts"
import type { ParsedPolicies } from "./policies-schema.ts"
import type { KeyPath, Problem } from "./problems.ts"
import { resolveRedis } from "./resolve-redis.ts"
import { resolveSealing } from "./resolve-shared.ts"
import { rolesWithLimits } from "./role-limits.ts"
import type { ParsedConfiguration } from "./schema.ts"
import { trimSecret } from "./substitute.ts"

export type ResolveOptions = {
  /** Relative paths in the file start here: the file's own folder. */
  readonly baseDirectory: string
  readonly readFile: (path: string) => string
  /** The section `policies` with its way back to lines. */
  readonly inlinePolicies: (policies: ParsedPolicies) => PoliciesFile
}

/** Collects secrets from their files and problems by their path. Values are never part of a message. */
class Resolver {
  readonly problems: Problem[] = []
  readonly #options: ResolveOptions

  constructor(options: ResolveOptions) {
    this.#options = options
  }

  report(path: KeyPath, message: string): void {
    this.problems.push({ path, message })
  }

  absolute(path: string): string {
    return resolvePath(this.#options.baseDirectory, path)
  }

  /** Reports a file that cannot be read, now rather than at the first login. */
  readable(path: KeyPath, file: string): string {
    const absolute = this.absolute(file)
    this.#read(path, absolute)
    return absolute
  }

  readableIfGiven(key: string, file: string | undefined): string | undefined {
    return file === undefined ? undefined : this.readable(["listen", "tls", key], file)
  }

  /** The value of `key`, or of the file that `<key>File` names; one of them, not both. */
  secret(path: KeyPath, key: string, values: Secret): string | undefined {
    const { inline, file } = values
    if (inline !== undefined && file !== undefined) {
      this.report([...path, `${key}File`], `stands beside ${key}; keep one of them`)
      return undefined
    }
    if (file === undefined) return inline
    const text = this.#read([...path, `${key}File`], this.absolute(file))
    if (text === undefined) return undefined
    const secret = trimSecret(text)
    if (secret === "") this.report([...path, `${key}File`], "names an empty file")
    return secret === "" ? undefined : secret
  }

  requiredSecret(path: KeyPath, key: string, values: Secret): string | undefined {
    if (values.inline === undefined && values.file === undefined)
      this.report([...path, key], `is required (or ${key}File)`)
    return this.secret(path, key, values)
  }

  #read(path: KeyPath, file: string): string | undefined {
    try {
      return this.#options.readFile(file)
    } catch (cause) {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"
      this.report(path, `cannot read ${file}: ${code}`)
      return undefined
    }
  }
}

type Secret = { readonly inline: string | undefined; readonly file: string | undefined }
type ParsedPostgres = Extract<ParsedConfiguration["warehouses"][string], { engine: "postgres" }>

function passwordOf(resolver: Resolver, path: KeyPath, parsed: ParsedPostgres): string | undefined {
  const { password, passwordFile } = parsed
  return resolver.secret(path, "password", { inline: password, file: passwordFile })
}

/** With the password in its place, when it is kept apart. */
function warehouseUri(
  resolver: Resolver,
  path: KeyPath,
  parsed: { readonly uri?: string | undefined; readonly uriFile?: string | undefined },
  password: string | undefined,
): string {
  const text = resolver.requiredSecret(path, "uri", { inline: parsed.uri, file: parsed.uriFile })
  if (text === undefined) return ""
  const where = [...path, parsed.uri === undefined ? "uriFile" : "uri"]
  const uri = checkedUri(resolver, where, text)
  if (uri === undefined || password === undefined) return uri === undefined ? "" : text
  if (uri.password !== "") resolver.report(where, "has a password of its own beside the one given")
  uri.password = encodeURIComponent(password)
  return uri.href
}

function replicasOf(
  resolver: Resolver,
  path: KeyPath,
  parsed: ParsedPostgres,
  password: string | undefined,
) {
  const names = new Set(["primary"])
  return parsed.replicas.map((replica, index) => {
    const { name } = replica
    const where = [...path, "replicas", index]
    if (names.has(name)) resolver.report([...where, "name"], "is used twice, or is primary")
    names.add(name)
    return { name, uri: warehouseUri(resolver, where, replica, password) }
  })
}

function checkedUri(resolver: Resolver, where: KeyPath, text: string): URL | undefined {
  const uri = URL.parse(text)
  if (uri === null || !/^postgres(ql)?:$/.test(uri.protocol)) {
    resolver.report(where, "must be a URI such as postgres://user@host:5432/database")
    return undefined
  }
  if (uri.username === "") resolver.report(where, "names no user")
  if (uri.pathname.length < 2) resolver.report(where, "names no database")
  return uri
}

function writeUriOf(resolver: Resolver, path: KeyPath, parsed: ParsedPostgres): string | undefined {
  const { writeUri, writeUriFile } = parsed
  const text = resolver.secret(path, "writeUri", { inline: writeUri, file: writeUriFile })
  const where = [...path, writeUri === undefined ? "writeUriFile" : "writeUri"]
  if (text !== undefined) checkedUri(resolver, where, text)
  return text
}

function warehouses(resolver: Resolver, parsed: ParsedConfiguration) {
  const out: Record<string, WarehouseConfiguration> = Object.create(null)
  for (const [name, warehouse] of Object.entries(parsed.warehouses)) {
    const databases = warehouse.databases ?? [name]
    if (warehouse.engine === "duckdb") {
      const path =
        warehouse.path === ":memory:" ? warehouse.path : resolver.absolute(warehouse.path)
      out[name] = { ...warehouse, path, databases }
      continue
    }
    const {
      uri: _uri,
      uriFile: _uriFile,
      password: _password,
      passwordFile: _file,
      writeUri: _writeUri,
      writeUriFile: _writeUriFile,
      replicas: _replicas,
      ...rest
    } = warehouse
    const password = passwordOf(resolver, ["warehouses", name], warehouse)
    out[name] = {
      ...rest,
      databases,
      uri: warehouseUri(resolver, ["warehouses", name], warehouse, password),
      replicas: replicasOf(resolver, ["warehouses", name], warehouse, password),
      writeUri: writeUriOf(resolver, ["warehouses", name], warehouse),
    }
  }
  return out
}

/** SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, keys of 32 bytes in base64 (PostgreSQL's pg_authid.rolpassword); at most ten million iterations. */
const verifierForm =
  /^SCRAM-SHA-256\$(?:[1-9]\d{0,6}|10000000):(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/

function users(resolver: Resolver, parsed: ParsedConfiguration) {
  const out: Record<string, UserConfiguration> = Object.create(null)
  for (const [name, user] of Object.entries(parsed.users)) {
    const path = ["users", name]
    const { verifier: inline, verifierFile: file, databases, ...rest } = user
    const secret = { inline, file }
    const verifier =
      (user.auth === "certificate"
        ? resolver.secret(path, "verifier", secret)
        : resolver.requiredSecret(path, "verifier", secret)) ?? ""
    if (user.auth === "certificate" && verifier !== "")
      resolver.report([...path, "auth"], "certificate has no use for a verifier; keep one of them")
    if (verifier !== "" && !verifierForm.test(verifier))
      resolver.report(
        [...path, inline === undefined ? "verifierFile" : "verifier"],
        "is no SCRAM-SHA-256 verifier; `sluice verifier` makes one from a password",
      )
    out[name] = { ...rest, verifier, databases }
  }
  return out
}

function tokens(resolver: Resolver, parsed: ParsedConfiguration): ControlToken[] {
  return parsed.control.tokens.map((token, index) => {
    const path = ["control", "tokens", index]
    const { sha256: inline, sha256File: file, ...rest } = token
    const sha256 = (resolver.requiredSecret(path, "sha256", { inline, file }) ?? "").toLowerCase()
    if (sha256 !== "" && !/^[0-9a-f]{64}$/.test(sha256))
      resolver.report([...path, "sha256File"], "does not hold 64 hexadecimal digits")
    return { ...rest, sha256 }
  })
}

type ParsedIdentity = NonNullable<ParsedConfiguration["identity"]>

/** One key from one place: public keys for EdDSA and RS256, a secret for HS256. */
function identityKey(
  resolver: Resolver,
  path: KeyPath,
  parsed: ParsedIdentity["keys"][number],
): IdentityKey {
  const { algorithm } = parsed
  const [wanted, other] =
    algorithm === "HS256" ? (["secret", "publicKey"] as const) : (["publicKey", "secret"] as const)
  for (const key of [other, `${other}File`] as const)
    if (parsed[key] !== undefined)
      resolver.report([...path, key], `is not for ${algorithm}, which takes ${wanted}`)
  const inline = parsed[wanted]
  const file = parsed[`${wanted}File`]
  const text = resolver.requiredSecret(path, wanted, { inline, file }) ?? ""
  const from =
    file === undefined
      ? ({ kind: "text", text } as const)
      : ({ kind: "file", path: resolver.absolute(file) } as const)
  return { kid: parsed.kid, algorithm, from }
}

function identity(
  resolver: Resolver,
  parsed: ParsedConfiguration["identity"],
): IdentityConfiguration | undefined {
  if (parsed === undefined) return undefined
  const { keys: parsedKeys, jwksFile, ...rest } = parsed
  const keys = parsedKeys.map((key, index) =>
    identityKey(resolver, ["identity", "keys", index], key),
  )
  if (jwksFile !== undefined) {
    const path = resolver.readable(["identity", "jwksFile"], jwksFile)
    keys.push({ kid: undefined, algorithm: "JWKS", from: { kind: "file", path } })
  }
  return { ...rest, keys }
}

/** Reads what other files hold and makes paths absolute. The configuration is only good when `problems` is empty. */
export function resolveConfiguration(
  parsed: ParsedConfiguration,
  options: ResolveOptions,
): { readonly configuration: Configuration; readonly problems: readonly Problem[] } {
  const resolver = new Resolver(options)
  const { policies, ...sections } = parsed
  if (policies !== undefined && parsed.policiesFile !== undefined)
    resolver.report(["policies"], "does not go together with policiesFile")
  const { tls, loginSecret: inline, loginSecretFile: file, ...listen } = parsed.listen
  const loginSecret = resolver.secret(["listen"], "loginSecret", { inline, file })
  const configuration: Configuration = {
    ...sections,
    listen: {
      ...listen,
      ...(loginSecret === undefined ? {} : { loginSecret }),
      ...(tls === undefined
        ? {}
        : {
            tls: {
              ...tls,
              certFile: resolver.readable(["listen", "tls", "certFile"], tls.certFile),
              keyFile: resolver.readable(["listen", "tls", "keyFile"], tls.keyFile),
              clientCaFile: resolver.readableIfGiven("clientCaFile", tls.clientCaFile),
              clientCrlFile: resolver.readableIfGiven("clientCrlFile", tls.clientCrlFile),
            },
          }),
    },
    control: { ...parsed.control, tokens: tokens(resolver, parsed) },
    warehouses: warehouses(resolver, parsed),
    users: users(resolver, parsed),
    cache: {
      ...parsed.cache,
      shared: {
        ...parsed.cache.shared,
        sealing: resolveSealing(resolver, parsed.cache.shared.sealing),
      },
    },
    policiesFile:
      parsed.policiesFile === undefined
        ? undefined
        : resolver.readable(["policiesFile"], parsed.policiesFile),
    inlinePolicies: policies === undefined ? undefined : options.inlinePolicies(policies),
    roles: rolesWithLimits(parsed),
    identity: identity(resolver, parsed.identity),
    redis: resolveRedis(resolver, parsed.redis),
  }
  return { configuration, problems: resolver.problems }
}
