import { deepEqual } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { bind, execute, parse, sync } from "../../support/frontend-encoder.ts"
import { readFields, textRows } from "../../support/wire-client.ts"
import { converse, type Exchange, Pair } from "./support.ts"

const wide = "SELECT at, day, span, ratio, raw FROM lab.items WHERE id < 9 ORDER BY id"
const declare = (sql: string, hold = ""): string => `DECLARE c SCROLL CURSOR ${hold} FOR ${sql}`

const changes = [
  "SET TimeZone = 'Asia/Tokyo'",
  "SET LOCAL TimeZone = 'Asia/Tokyo'",
  "SET DateStyle = 'German'",
  "SET IntervalStyle = 'iso_8601'",
  "SET extra_float_digits = -5",
  "SET bytea_output = 'escape'",
]

/** PostgreSQL and the gateway say the same. */
const same: readonly (readonly [string, readonly Exchange[]])[] = [
  ...changes.map(
    (set) =>
      [
        `${set} before the first row`,
        ["BEGIN", declare(wide), set, "FETCH ALL FROM c", "COMMIT"],
      ] as const,
  ),
  [
    "settings between DECLARE WITH HOLD, COMMIT and the first row",
    [
      "BEGIN",
      declare(wide, "WITH HOLD"),
      "COMMIT",
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 3 FROM c",
      "CLOSE c",
    ],
  ],
  [
    "columns that no setting prints",
    [
      "BEGIN",
      declare("SELECT id, name, amount, tags, body FROM lab.items ORDER BY id LIMIT 5"),
      "FETCH 1 FROM c",
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
  [
    "columns that another setting prints",
    [
      "BEGIN",
      declare("SELECT at FROM lab.items ORDER BY id LIMIT 5"),
      "FETCH 1 FROM c",
      "SET extra_float_digits = 0",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
  [
    "a setting that is set back",
    [
      "BEGIN",
      declare(wide),
      "FETCH 1 FROM c",
      "SET LOCAL TimeZone = 'Asia/Tokyo'; SET LOCAL TimeZone = 'UTC'",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
  [
    "an expression of a setting before the first row",
    [
      "BEGIN",
      declare("SELECT at::text, extract(hour FROM at) FROM lab.items WHERE id < 4 ORDER BY id"),
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
  [
    "binary rows",
    [
      "BEGIN",
      "DECLARE c BINARY CURSOR FOR SELECT at, day, span, ratio, raw FROM lab.items ORDER BY id LIMIT 3",
      "FETCH 1 FROM c",
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
  [
    "a suspended portal of columns that no setting prints",
    [
      "BEGIN",
      [
        parse("SELECT id FROM lab.items ORDER BY id LIMIT 3", { name: "s" }),
        bind({ portal: "p", statement: "s" }),
        execute("p", 1),
        parse("SET TimeZone = 'Asia/Tokyo'"),
        bind({}),
        execute(),
        execute("p", 0),
        sync,
      ],
      "COMMIT",
    ],
  ],
]

/** Old bytes would be wrong, and the rows cannot be made again at the same place for certain. */
const refused: readonly (readonly [string, readonly Exchange[]])[] = [
  [
    "after the first row",
    ["BEGIN", declare(wide), "FETCH 1 FROM c", "SET TimeZone = 'Asia/Tokyo'", "FETCH ALL FROM c"],
  ],
  [
    "a constant that was read at DECLARE",
    [
      "BEGIN",
      declare("SELECT at FROM lab.items WHERE at < '2024-04-01' ORDER BY id"),
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 1 FROM c",
    ],
  ],
  [
    "a parameter that was read at DECLARE",
    [
      "BEGIN",
      [
        parse("DECLARE c CURSOR FOR SELECT at FROM lab.items WHERE at < $1", { types: [1184] }),
        bind({ values: ["2024-04-01"] }),
        execute(),
        sync,
      ],
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 1 FROM c",
    ],
  ],
  [
    "a text made of a time, after the first row",
    [
      "BEGIN",
      declare("SELECT at::text FROM lab.items ORDER BY id LIMIT 3"),
      "FETCH 1 FROM c",
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 1 FROM c",
    ],
  ],
  [
    "after COMMIT, a text made of a time",
    [
      "BEGIN",
      declare("SELECT at, at::text FROM lab.items ORDER BY id LIMIT 3", "WITH HOLD"),
      "COMMIT",
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 1 FROM c",
    ],
  ],
  [
    "a suspended portal",
    [
      "BEGIN",
      [
        parse("SELECT at FROM lab.items ORDER BY id LIMIT 3", { name: "s" }),
        bind({ portal: "p", statement: "s" }),
        execute("p", 1),
        parse("SET TimeZone = 'Asia/Tokyo'"),
        bind({}),
        execute(),
        execute("p", 0),
        sync,
      ],
    ],
  ],
  [
    "FETCH from a suspended portal",
    [
      "BEGIN",
      [
        parse("SELECT at FROM lab.items ORDER BY id LIMIT 3", { name: "s" }),
        bind({ portal: "p", statement: "s" }),
        execute("p", 1),
        sync,
      ],
      "SET TimeZone = 'Asia/Tokyo'",
      "FETCH 1 FROM p",
    ],
  ],
]

describe("settings that change between the rows of a cursor", () => {
  let pair: Pair

  before(async () => {
    pair = await Pair.start()
  })

  after(() => pair.stop())

  for (const [title, exchanges] of same)
    it(`shows rows as PostgreSQL does: ${title}`, async () => {
      await pair.same(["SET TimeZone = 'UTC'", ...exchanges])
    })

  for (const [title, exchanges] of refused)
    it(`refuses rather than show old bytes: ${title}`, async () => {
      const client = await pair.through()
      const answers = await converse(client, ["SET TimeZone = 'UTC'", ...exchanges])
      client.destroy()
      const last = answers.at(-1) ?? []
      const error = last.find((message) => message.type === "E")
      const { C, M } = readFields(error?.body ?? Buffer.alloc(0))
      deepEqual([C, M?.includes("cannot go on after a change of timezone")], ["0A000", true])
      deepEqual(textRows(last).length, title === "a suspended portal" ? 1 : 0)
    })
})
