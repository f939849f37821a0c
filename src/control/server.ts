import { TextDecoder } from "node:util"
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify"
import { type ErrorReason, GatewayError, toGatewayError } from "../core/errors.ts"
import { allowedMethods } from "./allowed-methods.ts"
import { Authenticator, mayUse, type Scope } from "./authenticate.ts"
import { CallBudget, tooManyCalls } from "./call-budget.ts"
import { healthRoutes } from "./health-routes.ts"
import { invalidationRoutes } from "./invalidation-routes.ts"
import { openapiRoute } from "./openapi.ts"
import type { ControlOptions } from "./options.ts"
import { controlError, problemOf, sendProblem } from "./problem.ts"
import { relationRoutes } from "./relation-routes.ts"
import { reloadRoute } from "./reload-route.ts"

declare module "fastify" {
  interface FastifyContextConfig {
    /** Who may call the route. A route without one is refused to everybody. */
    scope?: Scope | "public"
  }
  interface FastifyRequest {
    /** Name of the token that authenticated the call; empty on public routes. */
    callerName: string
  }
}

const headerBytesMax = 16 * 1024
/** From the first byte to the end of the body: a slow sender must not hold a connection for ever. */
const requestTimeoutMs = 30_000
const keepAliveTimeoutMs = 72_000
const urlLengthMax = 2_048

/** Nothing here is for a browser to show, keep or guess the type of. */
const answerHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
}

/**
 * The HTTP control surface as an application without a listener: the composition root listens. The Host header is never
 * read and there are no cookies, so that neither a web page nor DNS rebinding can act for somebody: all that changes or
 * tells anything needs the Authorization header.
 */
export function createControl(options: ControlOptions): FastifyInstance {
  const authenticator = new Authenticator(options.tokens)
  const budget = new CallBudget(options.steadyMs ?? (() => performance.now()))
  const app = fastify({
    logger: false,
    trustProxy: false,
    bodyLimit: options.bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    routerOptions: { maxParamLength: urlLengthMax },
    http: { maxHeaderSize: headerBytesMax },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(reply.headers(answerHeaders), httpError(error), idOf(request))
    },
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.end(unreadable(error.code))
    },
  })
  app.decorateRequest("callerName", "")
  app.addHook("onRequest", (request, reply, done) => {
    void reply.headers(answerHeaders)
    if (request.url.length > urlLengthMax)
      done(controlError("invalid_parameter", `the URL is longer than ${urlLengthMax}`))
    else if (request.is404) done()
    else done(authorize({ authenticator, budget }, request, reply))
  })
  acceptJsonOnly(app)
  app.setNotFoundHandler((request, reply) => {
    const methods = allowedMethods(request.url)
    if (methods.length === 0)
      return sendProblem(reply, controlError("not_found", "no such path"), idOf(request))
    void reply.header("allow", methods.join(", "))
    if (request.method === "OPTIONS") return reply.code(204).send()
    const error = controlError("method_not_allowed", `the path takes ${methods.join(", ")}`)
    return sendProblem(reply, error, idOf(request))
  })
  app.setErrorHandler((thrown, request, reply) => {
    const error = httpError(thrown)
    const { status } = problemOf(error, undefined)
    if (status >= 500)
      options.log.error("control call failed", { error, request: idOf(request), status })
    return sendProblem(reply, error, idOf(request))
  })
  healthRoutes(app, options, authenticator)
  invalidationRoutes(app, options)
  relationRoutes(app, options)
  openapiRoute(app)
  reloadRoute(app, options)
  return app
}

/** Before the body is read: nobody without a token makes the gateway take a megabyte. */
function authorize(
  { authenticator, budget }: { readonly authenticator: Authenticator; readonly budget: CallBudget },
  request: FastifyRequest,
  reply: FastifyReply,
): GatewayError | undefined {
  const { scope } = request.routeOptions.config
  if (scope === "public") return undefined
  const caller = authenticator.callerOf(request.headers.authorization)
  if (caller === undefined) {
    const isPresented = request.headers.authorization !== undefined
    void reply.header(
      "www-authenticate",
      `Bearer realm="sluice"${isPresented ? ', error="invalid_token"' : ""}`,
    )
    return controlError("unauthorized", "a bearer token in the Authorization header is required")
  }
  request.callerName = caller.name
  const waitSeconds = budget.take(caller.name, caller.callsPerMinuteMax)
  if (waitSeconds !== undefined) {
    void reply.header("retry-after", String(waitSeconds))
    return tooManyCalls(caller.callsPerMinuteMax)
  }
  if (scope !== undefined && mayUse(caller, scope)) return undefined
  void reply.header(
    "www-authenticate",
    `Bearer realm="sluice", error="insufficient_scope", scope="${scope ?? "admin"}"`,
  )
  return controlError("forbidden", `the token lacks the scope ${scope ?? "admin"}`)
}

function acceptJsonOnly(app: FastifyInstance): void {
  const utf8 = new TextDecoder("utf-8", { fatal: true })
  const parseJson = app.getDefaultJsonParser("error", "error")
  app.removeAllContentTypeParsers()
  app.addHook("preParsing", (request, _reply, payload, done) => {
    const encoding = request.headers["content-encoding"] ?? "identity"
    if (encoding === "identity") done(null, payload)
    else done(controlError("unsupported_media_type", "the body must not be compressed"))
  })
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    let text: string
    try {
      text = utf8.decode(Buffer.isBuffer(body) ? body : Buffer.from(body))
    } catch {
      done(controlError("malformed_body", "the body is not UTF-8"))
      return
    }
    void parseJson(request, text, done)
  })
}

const reasonByFastifyCode: ReadonlyMap<string, ErrorReason> = new Map([
  ["FST_ERR_CTP_BODY_TOO_LARGE", "body_too_large"],
  ["FST_ERR_CTP_INVALID_MEDIA_TYPE", "unsupported_media_type"],
  ["FST_ERR_CTP_EMPTY_TYPE", "unsupported_media_type"],
])

const messageByReason: ReadonlyMap<ErrorReason, string> = new Map([
  ["body_too_large", "the body is larger than control.bodyBytesMax"],
  ["unsupported_media_type", "the body must be application/json"],
])

/** Anything thrown on the way, as an error of ours. What the framework says of a 4xx is a malformed request. */
function httpError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError || !(thrown instanceof Error)) return toGatewayError(thrown)
  const { code, statusCode = 500 } = thrown as Partial<FastifyError>
  if (thrown instanceof SyntaxError && statusCode === 400)
    return controlError("malformed_body", "the body is no JSON, or has a forbidden key")
  if (statusCode >= 500) return toGatewayError(thrown)
  const reason = reasonByFastifyCode.get(code ?? "") ?? "malformed_body"
  return controlError(reason, messageByReason.get(reason) ?? "the request is malformed")
}

function idOf(request: FastifyRequest): string {
  return `urn:sluice:request:${request.id}`
}

const statusByHttpError: ReadonlyMap<string, string> = new Map([
  ["HPE_HEADER_OVERFLOW", "431 Request Header Fields Too Large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "408 Request Timeout"],
])

/** The answer to bytes that never became a request; written to the socket, because there is no reply to send it by. */
function unreadable(code: string): string {
  const statusLine = statusByHttpError.get(code) ?? "400 Bad Request"
  const body = JSON.stringify({
    type: "malformed_body",
    title: statusLine.slice(4),
    status: Number(statusLine.slice(0, 3)),
    detail: "the bytes are no HTTP request that is taken here",
  })
  const head = [
    `HTTP/1.1 ${statusLine}`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ]
  return `${head.join("\r\n")}\r\n\r\n${body}`
}
