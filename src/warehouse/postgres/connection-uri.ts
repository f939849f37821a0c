import { readFileSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { DialTarget } from "./dial.ts"

type UriParts = Omit<DialTarget, "name" | "applicationName" | "startupSettings">

const sslModes = new Set(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
const knownParameters = new Set(["sslmode", "sslrootcert", "sslcert", "sslkey", "host"])

const emptyHost = /^(postgres(?:ql)?:\/\/[^@/?]*@)(?=[/?]|$)/

function invalid(message: string, cause?: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_configuration",
    message,
    ...(cause === undefined ? {} : { cause }),
  })
}

function readPem(path: string, parameter: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw invalid(`the file named by ${parameter} cannot be read: ${path}`, error)
  }
}

/**
 * libpq's meanings (PostgreSQL manual, 32.19): `prefer` (the default) and `require` encrypt without checking who answers,
 * `verify-ca` checks the certificate's issuer, `verify-full` its name too. As in libpq, `require` with `sslrootcert` is
 * `verify-ca`.
 */
function tlsOptions(mode: string, query: URLSearchParams): ConnectionOptions | undefined {
  if (mode === "disable" || mode === "allow") return undefined
  const rootPath = query.get("sslrootcert")
  const certificatePath = query.get("sslcert")
  const keyPath = query.get("sslkey")
  const isVerified = mode.startsWith("verify") || (mode === "require" && rootPath !== null)
  return {
    rejectUnauthorized: isVerified,
    ...(rootPath === null || rootPath === "system" ? {} : { ca: readPem(rootPath, "sslrootcert") }),
    ...(certificatePath === null ? {} : { cert: readPem(certificatePath, "sslcert") }),
    ...(keyPath === null ? {} : { key: readPem(keyPath, "sslkey") }),
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  }
}

/**
 * A connection URI as libpq spells it (PostgreSQL manual, 32.1.1.2), with one host; `?host=/folder` is a Unix socket.
 * Throws `invalid_configuration`, never with the password in its text.
 */
export function parseConnectionUri(uri: string): UriParts {
  let url: URL
  try {
    // libpq allows a user without a host (`//user@/db?host=/folder`), the URL standard does not.
    url = new URL(uri.replace(emptyHost, "$1localhost"))
  } catch {
    throw invalid("a warehouse URI does not parse; expected postgresql://user@host:5432/database")
  }
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    throw invalid(`a warehouse URI begins with postgresql:, not ${url.protocol}`)
  }
  const query = url.searchParams
  for (const name of query.keys()) {
    if (!knownParameters.has(name)) throw invalid(`unknown parameter "${name}" in a warehouse URI`)
  }
  const mode = query.get("sslmode") ?? "prefer"
  if (!sslModes.has(mode)) throw invalid(`unknown sslmode "${mode}" in a warehouse URI`)
  const user = decodeURIComponent(url.username)
  if (user === "") throw invalid("a warehouse URI names no user")
  const host = query.get("host") ?? (decodeURIComponent(url.hostname) || "localhost")
  const isSocketFile = host.startsWith("/")
  return {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    user,
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    tls: isSocketFile ? undefined : tlsOptions(mode, query),
    isTlsOptional: mode === "prefer",
  }
}
