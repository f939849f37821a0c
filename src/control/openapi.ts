import type { FastifyInstance } from "fastify"
import { schemas } from "./openapi-schemas.ts"

type SchemaName = keyof typeof schemas

const json = (schema: SchemaName) => ({
  "application/json": { schema: { $ref: `#/components/schemas/${schema}` } },
})

const retryAfter = {
  "Retry-After": { description: "Seconds to wait.", schema: { type: "integer", minimum: 1 } },
}

function answer(description: string, schema: SchemaName) {
  return { description, content: json(schema) }
}

function problem(description: string, headers?: object) {
  return {
    description,
    ...(headers === undefined ? {} : { headers }),
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  }
}

const refusals = {
  "401": problem("No bearer token, or none that is configured."),
  "403": problem("The token lacks the scope."),
  "429": problem("More calls a minute than the token may make.", retryAfter),
}

function parameter(name: string, description: string, schema: object) {
  return { name, in: "query", required: false, description, schema }
}

const limit = parameter("limit", "How many at most.", {
  type: "integer",
  minimum: 1,
  maximum: 1_000,
  default: 100,
})

/** A GET that needs a token of this scope. */
function reading(
  operationId: string,
  scope: string,
  rest: {
    readonly summary: string
    readonly parameters?: readonly object[]
    readonly responses: Readonly<Record<string, object>>
  },
) {
  const { responses, ...others } = rest
  return {
    get: {
      operationId,
      ...others,
      security: [{ bearer: [] }],
      "x-scope": scope,
      responses: { ...responses, ...refusals },
    },
  }
}

function probe(
  operationId: string,
  summary: string,
  failure: string | undefined,
  schema: SchemaName,
) {
  const responses = {
    "200": answer("Yes.", schema),
    ...(failure === undefined ? {} : { "503": answer(failure, schema) }),
  }
  return { get: { operationId, summary, security: [], responses } }
}

const invalidate = {
  operationId: "invalidate",
  summary: "Say that relations have new data. Call it after the load has been committed.",
  security: [{ bearer: [] }],
  "x-scope": "invalidate",
  parameters: [
    {
      name: "Idempotency-Key",
      in: "header",
      required: false,
      description:
        "Guards against a mix-up: the same key with another body within ten minutes is 409. A repeated call is performed again, because it may follow a later load.",
      schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
    },
  ],
  requestBody: { required: true, content: json("InvalidationRequest") },
  responses: {
    "200": answer(
      "Applied, or counted in a dry run. No later read gets older data.",
      "Invalidation",
    ),
    "202": {
      ...answer("Stored, and not yet confirmed by every instance in time.", "Invalidation"),
      headers: { Location: { description: "Where to look again.", schema: { type: "string" } } },
    },
    "400": problem("Malformed body or key; `errors` lists every fault with its path."),
    ...refusals,
    "409": problem("The Idempotency-Key belongs to another body."),
    "413": problem("More than 1000 items, or a body above control.bodyBytesMax."),
    "415": problem("The body is not application/json, or compressed."),
    "503": problem("Nothing was stored; repeat the call.", retryAfter),
  },
}

/** The HTTP interface as OpenAPI 3.1. A test compares it with the routes, and answers with its schemas. */
export const openapi = {
  openapi: "3.1.1",
  info: {
    title: "Sluice control interface",
    version: "1",
    description: "Invalidation, freshness, status, health and metrics. docs/operations/ has more.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/" }],
  paths: {
    "/v1/invalidations": {
      post: invalidate,
      ...reading("listInvalidations", "read", {
        summary: "Invalidations that this instance has performed, oldest first.",
        parameters: [
          parameter("since", "RFC 3339, or milliseconds since 1970.", { type: "string" }),
          limit,
        ],
        responses: {
          "200": answer("A list.", "Invalidations"),
          "400": problem("A bad parameter."),
        },
      }),
    },
    "/v1/invalidations/{id}": reading("getInvalidation", "read", {
      summary: "One invalidation, to see whether all instances have confirmed it.",
      parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
      responses: { "200": answer("It.", "Invalidation"), "404": problem("Unknown or forgotten.") },
    }),
    "/v1/relations": reading("listRelations", "read", {
      summary:
        "When relations were last invalidated, by whom, and what depends on them; the latest first.",
      parameters: [
        parameter("name", "A relation, as an invalidation names it.", { type: "string" }),
        limit,
      ],
      responses: { "200": answer("A list.", "Relations"), "400": problem("A bad parameter.") },
    }),
    "/-/reload": {
      post: {
        operationId: "reload",
        summary: "Read policies and certificate files again, as SIGHUP does.",
        security: [{ bearer: [] }],
        "x-scope": "admin",
        responses: {
          "200": answer("What became of the policies.", "Reload"),
          "422": problem(
            "The policies have a fault, and those before stay in force; `errors` lists each with its line.",
          ),
          ...refusals,
        },
      },
    },
    "/v1/status": reading("status", "read", {
      summary: "Version, warehouses, cache.",
      responses: { "200": answer("The status.", "Status") },
    }),
    "/v1/openapi.json": {
      get: {
        operationId: "openapi",
        summary: "This document.",
        security: [],
        responses: {
          "200": {
            description: "OpenAPI 3.1.",
            content: { "application/json": { schema: { type: "object" } } },
          },
        },
      },
    },
    "/metrics": reading("metrics", "metrics", {
      summary: "Prometheus metrics. Without a token where control.metricsPublic is set.",
      responses: {
        "200": {
          description: "The text format.",
          content: { "text/plain": { schema: { type: "string" } } },
        },
      },
    }),
    "/livez": probe("livez", "Does the event loop turn?", undefined, "Health"),
    "/readyz": probe(
      "readyz",
      "May traffic come? ?verbose lists the checks.",
      "Not yet.",
      "Readiness",
    ),
    "/startupz": probe("startupz", "Are the listeners open?", "Not yet.", "Health"),
  },
  components: {
    securitySchemes: {
      bearer: { type: "http", scheme: "bearer", description: "A token of control.tokens." },
    },
    schemas,
  },
} as const

/** Public: it tells nothing that the documentation does not. */
export function openapiRoute(app: FastifyInstance): void {
  const body = JSON.stringify(openapi)
  app.get("/v1/openapi.json", { config: { scope: "public" } }, (_request, reply) =>
    reply.type("application/json").send(body),
  )
}
