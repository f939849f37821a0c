import { z } from "zod"

/** The shape of a file of expectations for `sluice policy test`. Strict: a misspelt expectation must not pass unseen. */

const text = (description: string) =>
  z.string("must be text; put it in quotes").min(1, "must not be empty").meta({ description })

const value = z.union([z.string(), z.number(), z.boolean(), z.null()])

const rowList = z
  .array(z.array(value, "must be a list of values"))
  .max(1_000, "has more than 1000 rows")

const oneOrMore = (description: string) =>
  z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(100)])
    .transform((given) => (typeof given === "string" ? [given] : given))
    .meta({ description })

/** `3 rows of sales.orders`: a number, `no` or `1`, and a relation as SQL spells it. */
const sees = z
  .string("must be text")
  .regex(/^(?:\d{1,12}|no) rows? of \S.*$/, 'must be such as "3 rows of sales.orders"')

const expectation = z
  .strictObject({
    allowed: z.literal(true, "must be true; a refusal is `refused`").optional().meta({
      description: "The statement runs.",
    }),
    refused: z
      .union([z.literal(true), z.string().min(1)])
      .optional()
      .meta({
        description:
          "The statement is refused, or fails; with a SQLSTATE such as 42501 or a reason such as claim_missing: by that one.",
      }),
    rows: z
      .union(
        [z.number().int("must be a whole number").min(0, "must not be negative"), rowList],
        "must be a number of rows, or a list of rows",
      )
      .optional()
      .meta({ description: "Number of rows, or the rows themselves in any order." }),
    columns: z.array(z.string()).min(1, "must name a column").optional().meta({
      description: "Names of the result's columns, in their order.",
    }),
    values: rowList.optional().meta({ description: "The rows in exactly this order." }),
    sees: z
      .union([sees, z.array(sees).min(1).max(100)])
      .transform((given) => (typeof given === "string" ? [given] : given))
      .optional()
      .meta({ description: "Rows that the reader sees of relations; takes no sql." }),
    masked: z
      .record(z.string(), z.union([z.string(), z.null()]))
      .optional()
      .meta({
        description:
          "What every row shows in a column; ? is any one character. There must be a row.",
      }),
    rewritten: z
      .strictObject({
        contains: oneOrMore("Texts that the SQL for the warehouse has.").optional(),
        lacks: oneOrMore("Texts that it does not have.").optional(),
      })
      .optional()
      .meta({ description: "The SQL that goes to the warehouse; blanks count as one." }),
  })
  .meta({ description: "All of them must hold." })

const testCase = z.strictObject({
  name: text("What the case shows, as one sentence."),
  user: text("A user of the configuration, with the roles and claims that stand there.").optional(),
  roles: z
    .array(z.string().min(1))
    .optional()
    .meta({ description: "Roles in place of the user's own." }),
  claims: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: "Claims in place of the user's own." }),
  database: text("Database of the configuration; default: the file's.").optional(),
  searchPath: text("The session's search_path.").optional(),
  sql: text("One statement.").optional(),
  expect: expectation,
})

export const policyTestsSchema = z.strictObject({
  database: text("Database that is asked; default: the configuration's first.").optional(),
  cases: z.array(testCase).max(10_000, "has more than 10000 cases"),
})

/** A file's contents with defaults filled in. */
export type ParsedPolicyTests = z.output<typeof policyTestsSchema>
export type PolicyTestCase = ParsedPolicyTests["cases"][number]
