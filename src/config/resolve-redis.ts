import type {
  RedisNode,
  RedisPassword,
  RedisSettings,
  RedisTarget,
  RedisTls,
} from "../core/redis.ts"
import type { KeyPath } from "./problems.ts"
import type { ParsedConfiguration } from "./schema.ts"

type Parsed = NonNullable<ParsedConfiguration["redis"]>

/** What this file needs of the resolver in resolve.ts. */
export type RedisResolver = {
  report(path: KeyPath, message: string): void
  absolute(path: string): string
  readable(path: KeyPath, file: string): string
  secret(
    path: KeyPath,
    key: string,
    values: { readonly inline: string | undefined; readonly file: string | undefined },
  ): string | undefined
}

const here = "redis"
const portDefault = 6379
const portMax = 65_535

function nodeOf(resolver: RedisResolver, path: KeyPath, text: string): RedisNode {
  const at = text.lastIndexOf(":")
  const port = Number(text.slice(at + 1))
  if (port < 1 || port > portMax) resolver.report(path, `has no port from 1 to ${portMax}`)
  return { host: text.slice(0, at).replace(/^\[(.*)\]$/, "$1"), port }
}

function nodesOf(resolver: RedisResolver, path: KeyPath, texts: readonly string[]): RedisNode[] {
  return texts.map((text, index) => nodeOf(resolver, [...path, index], text))
}

type UriParts = {
  readonly target: RedisTarget
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number | undefined
  readonly isTls: boolean
}

/** A part of the URI without its escapes; undefined when it is empty. One that is wrongly escaped is taken as it is. */
function decoded(part: string): string | undefined {
  if (part === "") return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function uriParts(resolver: RedisResolver, path: KeyPath, text: string): UriParts | undefined {
  const uri = URL.parse(text)
  if (uri === null || !["redis:", "rediss:"].includes(uri.protocol) || uri.hostname === "") {
    resolver.report(path, "must be a URI such as redis://user@host:6379/0")
    return undefined
  }
  if (uri.search !== "" || uri.hash !== "")
    resolver.report(path, "has parameters; they are keys of their own here")
  const database = uri.pathname.replace(/^\//, "")
  if (!/^\d{0,4}$/.test(database)) resolver.report(path, "names no database by its number")
  const node = {
    host: uri.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: uri.port === "" ? portDefault : Number(uri.port),
  }
  return {
    target: { kind: "single", node },
    username: decoded(uri.username),
    password: decoded(uri.password),
    database: database === "" ? undefined : Number(database),
    isTls: uri.protocol === "rediss:",
  }
}

/** A password in a file is read now, so that a wrong path is told at once, and again at every connection. */
function passwordOf(
  resolver: RedisResolver,
  path: KeyPath,
  values: { readonly inline: string | undefined; readonly file: string | undefined },
): RedisPassword {
  const text = resolver.secret(path, "password", values)
  if (values.file !== undefined) return { kind: "file", path: resolver.absolute(values.file) }
  return text === undefined ? { kind: "none" } : { kind: "text", text }
}

function tlsOf(
  resolver: RedisResolver,
  parsed: Parsed["tls"],
  isTls: boolean,
): RedisTls | undefined {
  if (parsed === undefined) return isTls ? {} : undefined
  const { caFile, certFile, keyFile, serverName } = parsed
  if ((certFile === undefined) !== (keyFile === undefined))
    resolver.report(
      [here, "tls", certFile === undefined ? "certFile" : "keyFile"],
      "is required: a certificate and its key go together",
    )
  const file = (key: string, path: string | undefined) =>
    path === undefined ? undefined : resolver.readable([here, "tls", key], path)
  return {
    caFile: file("caFile", caFile),
    certFile: file("certFile", certFile),
    keyFile: file("keyFile", keyFile),
    serverName,
  }
}

function targetOf(
  resolver: RedisResolver,
  parsed: Parsed,
  uri: UriParts | undefined,
): RedisTarget | undefined {
  const { sentinel, cluster } = parsed
  if (sentinel !== undefined) {
    const { name, nodes, username, password: inline, passwordFile: file, tls } = sentinel
    const path = [here, "sentinel"]
    const password = passwordOf(resolver, path, { inline, file })
    return {
      kind: "sentinel",
      name,
      nodes: nodesOf(resolver, [...path, "nodes"], nodes),
      username,
      password,
      isTls: tls,
    }
  }
  if (cluster !== undefined)
    return { kind: "cluster", nodes: nodesOf(resolver, [here, "cluster", "nodes"], cluster.nodes) }
  return uri?.target
}

function checkPlaces(resolver: RedisResolver, parsed: Parsed): void {
  const { uri, uriFile, sentinel, cluster } = parsed
  const isUri = uri !== undefined || uriFile !== undefined
  const places = [isUri, sentinel !== undefined, cluster !== undefined].filter(Boolean).length
  if (places === 0) resolver.report([here, "uri"], "is required (or uriFile, sentinel, cluster)")
  if (places > 1)
    resolver.report(
      [here, cluster === undefined ? "sentinel" : "cluster"],
      "stands beside another place of Redis; keep one of uri, sentinel, cluster",
    )
  if (cluster !== undefined && parsed.database !== 0)
    resolver.report([here, "database"], "must be 0 with a cluster, which has only one")
}

/** Where Redis is and how to log in there. Undefined: none is configured, or its place is a reported problem. */
export function resolveRedis(
  resolver: RedisResolver,
  parsed: Parsed | undefined,
): RedisSettings | undefined {
  if (parsed === undefined) return undefined
  checkPlaces(resolver, parsed)
  const { uri: inline, uriFile: file, password, passwordFile } = parsed
  const uriText = resolver.secret([here], "uri", { inline, file })
  const uriPath = [here, inline === undefined ? "uriFile" : "uri"]
  const uri = uriText === undefined ? undefined : uriParts(resolver, uriPath, uriText)
  const target = targetOf(resolver, parsed, uri)
  if (uri?.password !== undefined && (password ?? passwordFile) !== undefined)
    resolver.report(
      [here, password === undefined ? "passwordFile" : "password"],
      "stands beside a password in the URI; keep one of them",
    )
  if (uri?.username !== undefined && parsed.username !== undefined)
    resolver.report([here, "username"], "stands beside a user in the URI; keep one of them")
  if (uri?.database !== undefined && parsed.database !== 0 && uri.database !== parsed.database)
    resolver.report([here, "database"], "is another one than in the URI")
  if (parsed.commandTimeoutMs * 2 > parsed.leaseMs)
    resolver.report([here, "commandTimeoutMs"], "is longer than half of redis.leaseMs")
  if (target === undefined) return undefined
  return {
    target,
    username: parsed.username ?? uri?.username,
    password: passwordOf(resolver, [here], {
      inline: password ?? uri?.password,
      file: passwordFile,
    }),
    tls: tlsOf(resolver, parsed.tls, uri?.isTls === true),
    database: uri?.database ?? parsed.database,
    keyPrefix: parsed.keyPrefix,
    commandTimeoutMs: parsed.commandTimeoutMs,
    connectTimeoutMs: parsed.connectTimeoutMs,
    leaseMs: parsed.leaseMs,
    replicasMin: parsed.replicasMin,
  }
}
