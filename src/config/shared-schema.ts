import { z } from "zod"
import { byteCount, durationMs, flag, integer } from "./fields.ts"

/** The keys of `cache.shared`: results that several instances share in the Redis of section `redis`. */

const mebibyte = 1024 ** 2

const text = (description: string) =>
  z.string("must be text; put it in quotes").min(1, "must not be empty").meta({ description })

const sealingKey = z.strictObject({
  id: z
    .string("must be text; put it in quotes")
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 letters, digits, _ . -")
    .meta({ description: "Stands in every value that the key sealed; not secret." }),
  secret: text("32 random bytes in base64 or hexadecimal: openssl rand -base64 32.").optional(),
  secretFile: text("File that holds them.").optional(),
})

export const sharedSchema = z
  .strictObject({
    enabled: flag(true, "false: instances share invalidations, and each keeps its own results."),
    entryBytesMax: byteCount(8 * mebibyte, "Largest result shared, before compression.", {
      min: 1024,
      max: 256 * mebibyte,
    }),
    warehouseMsMin: durationMs(
      2,
      "Results that took the warehouse less are not shared: to fetch one takes as long.",
      { max: 3_600_000 },
    ),
    commandTimeoutMs: durationMs(
      100,
      "A look-up without an answer for so long is a miss; after five in a row nobody asks for a second, and longer.",
      { min: 5, max: 10_000 },
    ),
    storeBytesInFlightMax: byteCount(
      64 * mebibyte,
      "Results on their way to Redis, all together; what comes on top is not shared.",
      { min: mebibyte },
    ),
    waitersMax: integer(
      1_000,
      "Runs of other instances that are waited for at one time; 0 = none is.",
      { max: 100_000 },
    ),
    clockSkewMsMax: durationMs(2_000, "How far the clocks of two instances may differ.", {
      max: 600_000,
    }),
    sealing: z.array(sealingKey).max(16, "has more than 16 keys").default([]).meta({
      description:
        "AES-256-GCM keys: the first seals, all open; none: values are not sealed. Invalidations are never sealed.",
    }),
  })
  .prefault({})
  .meta({ description: "Results shared through Redis; without section redis it does nothing." })
