import { type DestinationStream, destination, type Logger, pino } from "pino"
import { GatewayError } from "../core/errors.ts"
import { prettyDestination } from "./log-pretty.ts"
import { scrub } from "./scrub.ts"

export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace"
export type LogFields = Readonly<Record<string, unknown>>

/**
 * One logger for the process, a child for each room. Fields that can hold secrets are cut by name, passwords in URIs by
 * form, and the field `sql` appears at debug and trace only.
 */
export interface Log {
  fatal(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
  trace(message: string, fields?: LogFields): void
  /** For texts that are dear to make. */
  isEnabled(level: LogLevel): boolean
  child(room: string): Log
}

export type LogOptions = {
  readonly level: LogLevel
  readonly format: "json" | "pretty"
  /** Default: standard error, so that what a command prints for scripts stays alone on standard output. */
  readonly write?: (line: string) => void
}

const secretFields = [
  "password",
  "token",
  "authorization",
  "verifier",
  "sha256",
  "secret",
  "secretKey",
  "uri",
]

function describeError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown
  const { message, stack, cause } = thrown
  const own =
    thrown instanceof GatewayError ? describeGatewayError(thrown) : { stack: scrub(stack) }
  return {
    name: thrown.name,
    message: scrub(message),
    ...own,
    ...(cause === undefined ? {} : { cause: describeError(cause) }),
  }
}

/** The stack of an expected refusal tells nothing; that of a bug of ours is the point. `detail` may show row values. */
function describeGatewayError(error: GatewayError): LogFields {
  const { reason, sqlState } = error
  return reason === "invariant_violation"
    ? { reason, sqlState, stack: scrub(error.stack) }
    : { reason, sqlState }
}

class PinoLog implements Log {
  readonly #pino: Logger

  constructor(logger: Logger) {
    this.#pino = logger
  }

  fatal(message: string, fields?: LogFields): void {
    this.#pino.fatal(withoutSql(fields), scrub(message))
  }

  error(message: string, fields?: LogFields): void {
    this.#pino.error(withoutSql(fields), scrub(message))
  }

  warn(message: string, fields?: LogFields): void {
    this.#pino.warn(withoutSql(fields), scrub(message))
  }

  info(message: string, fields?: LogFields): void {
    this.#pino.info(withoutSql(fields), scrub(message))
  }

  debug(message: string, fields?: LogFields): void {
    this.#pino.debug(fields ?? {}, scrub(message))
  }

  trace(message: string, fields?: LogFields): void {
    this.#pino.trace(fields ?? {}, scrub(message))
  }

  isEnabled(level: LogLevel): boolean {
    return this.#pino.isLevelEnabled(level)
  }

  child(room: string): Log {
    return new PinoLog(this.#pino.child({ room }))
  }
}

function withoutSql(fields: LogFields | undefined): LogFields {
  if (fields === undefined) return {}
  if (!Object.hasOwn(fields, "sql")) return fields
  const { sql: _sql, ...rest } = fields
  return rest
}

function destinationFor(options: LogOptions): DestinationStream {
  const stream: DestinationStream =
    options.write === undefined ? destination({ fd: 2, sync: true }) : { write: options.write }
  return options.format === "pretty" ? prettyDestination(stream) : stream
}

export function createLog(options: LogOptions): Log {
  const logger = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      errorKey: "error",
      formatters: { level: (level) => ({ level }) },
      serializers: { error: describeError },
      redact: {
        paths: secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: "***",
      },
    },
    destinationFor(options),
  )
  return new PinoLog(logger)
}
