import { z } from "zod"
import { integer } from "./fields.ts"

export const mebibyte = 1024 ** 2

export const text = (description: string) =>
  z.string("must be text; put it in quotes").min(1, "must not be empty").meta({ description })

export const port = (initial: number, description: string) =>
  integer(initial, description, { min: 0, max: 65_535 })

/** Names that stand in metrics, URIs and logs. */
export const plainName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.@-]{0,62}$/, "must be a name of 1 to 63 letters, digits, _ - . @")

export const databaseName = z
  .string("must be text")
  .min(1, "must not be empty")
  .max(63, "is longer than 63")

const namePart = String.raw`(?:[^\s."*?]+|"(?:[^"]|"")+")`
export const relationPattern = z
  .string("must be text; quote a lone asterisk")
  .regex(
    new RegExp(String.raw`^(?:\*|${namePart}\.(?:\*|${namePart}))$`),
    'must be "*", "schema.*" or "schema.name"',
  )
