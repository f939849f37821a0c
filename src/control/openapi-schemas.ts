/** Components of the OpenAPI document (openapi.ts), as JSON Schema 2020-12. */

const text = { type: "string" } as const
const count = { type: "integer", minimum: 0 } as const
const moment = { type: "string", format: "date-time" } as const
const list = (items: object) => ({ type: "array", items })

function closed(properties: Readonly<Record<string, object>>, required?: readonly string[]) {
  return {
    type: "object",
    properties,
    required: required ?? Object.keys(properties),
    additionalProperties: false,
  }
}

const name = {
  type: "string",
  minLength: 1,
  maxLength: 1_024,
  description:
    "A relation as any producer writes it: schema.name, database.schema.name, quoted parts, or a URI whose path ends so.",
}

const source = closed(
  {
    kind: { type: "string", maxLength: 256, description: "Tool that calls: airflow, dbt, ..." },
    job: { type: "string", maxLength: 256 },
    run_id: { type: "string", maxLength: 256 },
  },
  ["kind"],
)

const itemKinds = {
  relation: name,
  schema: { ...name, description: "All relations of a schema." },
  glob: { ...name, description: "* for any run, ? for one character, over schema.name." },
  tag: { ...name, description: "A name of control.tags." },
}

const oneItem = Object.entries(itemKinds).map(([kind, schema]) => closed({ [kind]: schema }))

const invalidatedItem = {
  resolved: list(text),
  dependents: { ...list(text), description: "Views over them, which are cold now too." },
  entries: { ...count, description: "Results in this instance's memory that depended on it." },
}

export const schemas = {
  InvalidationRequest: closed(
    {
      items: { ...list({ oneOf: oneItem }), minItems: 1, maxItems: 1_000 },
      mode: {
        enum: ["hard", "soft"],
        default: "hard",
        description:
          "hard: no read that starts after the answer sees older data. soft: results from before may be served for max_stale_seconds while they are made anew in the background.",
      },
      max_stale_seconds: {
        type: "number",
        exclusiveMinimum: 0,
        maximum: 86_400,
        default: 300,
        description: "Only with mode soft. A later hard invalidation ends it at once.",
      },
      warm: { const: false, description: "Not served yet." },
      dry_run: {
        type: "boolean",
        default: false,
        description: "Counts what would become cold, and changes nothing.",
      },
      wait: {
        enum: ["cluster", "none"],
        default: "cluster",
        description:
          "cluster: answered when every live instance has confirmed or its lease has ended. none: as soon as the tokens are stored.",
      },
      timeout_seconds: { type: "number", exclusiveMinimum: 0, maximum: 60, default: 5 },
      source,
      warehouse: { type: "string", description: "One of the configured ones. Default: all." },
    },
    ["items"],
  ),
  Invalidation: closed({
    id: text,
    status: { enum: ["applied", "pending", "dry_run"] },
    applied_at: moment,
    items: list({
      oneOf: Object.keys(itemKinds).map((kind) => closed({ [kind]: text, ...invalidatedItem })),
    }),
    unmatched: { ...list(text), description: "Items that named nothing known. No error." },
    instances: closed({ known: count, confirmed: count, lease_expired: count }),
  }),
  Invalidations: closed({ invalidations: list({ $ref: "#/components/schemas/Invalidation" }) }),
  Relations: closed({
    relations: list(
      closed({
        relation: text,
        invalidated_at: moment,
        invalidation: { ...text, description: "Id of the invalidation." },
        source,
        entries_then: { ...count, description: "Results in memory that depended on it then." },
        entries_now: { ...count, description: "Results in memory that depend on it now." },
      }),
    ),
  }),
  Status: closed({
    version: text,
    started_at: moment,
    uptime_seconds: count,
    warehouses: list(closed({ name: text, engine: text, up: { type: "boolean" } })),
    cache: closed({
      entries: count,
      bytes: count,
      bytes_max: count,
      hits: count,
      misses: count,
    }),
  }),
  Reload: closed({
    policies: closed(
      { status: { enum: ["none", "unchanged", "changed"] }, version: text, relations: count },
      ["status"],
    ),
  }),
  Health: closed({ status: { enum: ["ok", "starting", "not_ready"] } }),
  Readiness: closed(
    {
      status: { enum: ["ok", "not_ready"] },
      checks: list(closed({ name: text, ok: { type: "boolean" }, detail: text }, ["name", "ok"])),
    },
    ["status"],
  ),
  Problem: closed(
    {
      type: { ...text, description: "The reason, as docs/ERRORS.md lists it." },
      title: text,
      status: { type: "integer", minimum: 400, maximum: 599 },
      detail: text,
      hint: text,
      instance: { ...text, description: "The request's id in the log." },
      errors: list(closed({ path: text, detail: text })),
    },
    ["type", "title", "status", "detail"],
  ),
} as const
