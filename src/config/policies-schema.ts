import { z } from "zod"
import { durationMs, flag, integer } from "./fields.ts"

/** The shape of the file that `policiesFile` names. Strict everywhere: a misspelt key must not leave rows unfiltered. */

const roles = (description: string) =>
  z.array(z.string("must be text").min(1)).meta({ description })

const sql = (description: string) =>
  z
    .string("must be text; put it in quotes")
    .min(1, "must not be empty")
    .max(16_384, "is longer than 16384 characters")
    .meta({ description })

const namePart = String.raw`(?:[^\s."*?]+|"(?:[^"]|"")+")`
const relationKey = z
  .string()
  .regex(new RegExp(`^${namePart}\\.${namePart}$`), 'must be "schema.name"')

const column = z.string("must be text").min(1, "must not be empty")

const relation = z
  .strictObject({
    rowFilters: z
      .array(
        z.strictObject({
          name: z.string("must be text").min(1, "must not be empty"),
          filter: sql("Predicate over the relation's columns; :name stands for a claim."),
          roles: roles("Roles it is for; default: all.").min(1, "must name a role").optional(),
          kind: z.enum(["permissive", "restrictive"]).default("permissive").meta({
            description: "Permissive filters are ORed; restrictive ones are ANDed to that.",
          }),
        }),
      )
      .max(100, "has more than 100 filters")
      .default([]),
    unfilteredRoles: roles("Roles that see all rows.").default([]),
    masks: z
      .array(
        z.strictObject({
          column,
          mask: sql("Expression that is shown in the column's place."),
          exceptRoles: roles("Roles that see the column itself.").default([]),
        }),
      )
      .max(1_000, "has more than 1000 masks")
      .default([]),
    deniedColumns: z
      .array(
        z.strictObject({
          columns: z.array(column).min(1, "must name a column"),
          exceptRoles: roles("Roles that see the columns.").default([]),
        }),
      )
      .max(1_000, "has more than 1000 entries")
      .default([]),
    requiredFilter: z
      .strictObject({
        column,
        kind: z.enum(["range", "equality"]).default("range").meta({
          description:
            "range: bounds, or equality, which is the narrowest; equality: nothing less.",
        }),
        ends: z.enum(["both", "min", "max"]).default("both").meta({
          description: "Which ends a range must have: from and to, or one of them.",
        }),
        exceptRoles: roles("Roles that may read it without.").default([]),
        example: z
          .string("must be text; put it in quotes")
          .min(1, "must not be empty")
          .max(200, "is longer than 200 characters")
          .optional()
          .meta({ description: "A condition that would do, for the hint of the refusal." }),
      })
      .optional()
      .meta({
        description:
          "A column that every reading of the relation must restrict by literals or parameters, in a condition that all rows must meet.",
      }),
    fence: flag(
      true,
      "Evaluate nothing of the client's on rows that a filter removes. false is faster and lets errors tell of such rows.",
    ),
  })
  .meta({ description: "What holds for one relation, schema.name as the catalogue spells it." })

const guestFilters = z
  .strictObject({
    claim: z
      .string("must be text")
      .min(1, "must not be empty")
      .default("rls_rules")
      .meta({ description: "Claim of a token that holds the rules." }),
    datasets: z
      .record(
        z.string().min(1),
        z.union([relationKey, z.array(relationKey).min(1, "must name a relation")]),
      )
      .default({})
      .meta({
        description: "Relations, schema.name, by the number or name that the tool gives a dataset.",
      }),
  })
  .prefault({})
  .meta({
    description:
      "Row rules that tokens bring themselves, [{dataset, clause}]: ANDed to all others.",
  })

const claimsFrom = z
  .strictObject({
    query: sql("SELECT whose columns are claims; :user stands for the user's name."),
    warehouse: z
      .string("must be text")
      .optional()
      .meta({ description: "Warehouse that is asked; needed when there are several." }),
    rows: z.enum(["one", "many"]).default("one").meta({
      description: "one: a user has at most one row; many: each column's values become a list.",
    }),
    ttlMs: durationMs(60_000, "What was found, or not, holds so long.", { max: 86_400_000 }),
    timeoutMs: durationMs(5_000, "Longest wait for the answer.", { min: 10, max: 600_000 }),
    usersMax: integer(10_000, "Users whose claims are kept.", { min: 1, max: 1_000_000 }),
  })
  .meta({ description: "Claims that the warehouse knows; those of the login itself win." })

export const policiesSchema = z.strictObject({
  claims: z
    .record(
      z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/i, "must be a name of letters, digits and _"),
      z.strictObject({
        type: z
          .string("must be text")
          .regex(
            /^(?:text|int8|numeric|bool|uuid|date|timestamptz)(?:\[\])?$/,
            "must be text, int8, numeric, bool, uuid, date or timestamptz, or a list of one: int8[]",
          ),
      }),
    )
    .default({})
    .meta({ description: "Claims that filters and masks may use, with their types." }),
  functions: z
    .array(
      z
        .string("must be text")
        .regex(new RegExp(`^${namePart}\\.${namePart}$`), 'must be "schema.name"'),
    )
    .default([])
    .meta({
      description:
        "Functions of yours that readers with policies may call: they must not read what a policy hides.",
    }),
  claimsFrom: claimsFrom.optional(),
  guestFilters,
  relations: z.record(relationKey, relation).default({}),
})

/** The file's contents with defaults filled in; expressions are still texts. */
export type ParsedPolicies = z.output<typeof policiesSchema>
