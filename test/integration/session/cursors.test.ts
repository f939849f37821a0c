import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { activity, ask, type Exchange, Pair } from "./support.ts"

const declare = (name: string, sql: string, options = ""): string =>
  `DECLARE ${name} ${options} CURSOR FOR ${sql}`
const ten = "SELECT id, name FROM lab.items WHERE id <= 10 ORDER BY id"
const all = "SELECT * FROM lab.items ORDER BY id"

const fetches = [
  "FETCH PRIOR FROM c",
  "FETCH 3 FROM c",
  "FETCH PRIOR FROM c",
  "FETCH BACKWARD 5 FROM c",
  "FETCH BACKWARD ALL FROM c",
  "FETCH NEXT FROM c",
  "FETCH LAST FROM c",
  "FETCH RELATIVE -2 FROM c",
  "FETCH RELATIVE 0 FROM c",
  "FETCH 0 FROM c",
  "MOVE 0 FROM c",
  "FETCH FIRST FROM c",
  "FETCH ABSOLUTE 4 FROM c",
  "FETCH ABSOLUTE -3 FROM c",
  "FETCH RELATIVE 100 FROM c",
  "FETCH 0 FROM c",
  "MOVE 0 FROM c",
  "FETCH PRIOR FROM c",
  "FETCH ABSOLUTE 100 FROM c",
  "FETCH ABSOLUTE -100 FROM c",
  "FETCH ABSOLUTE 0 FROM c",
  "FETCH -2 FROM c",
  "MOVE FORWARD 5 FROM c",
  "MOVE BACKWARD 2 FROM c",
  "MOVE ABSOLUTE 7 FROM c",
  "MOVE RELATIVE 2 FROM c",
  "MOVE LAST FROM c",
  "MOVE RELATIVE 5 FROM c",
  "MOVE BACKWARD ALL FROM c",
  "FETCH ALL FROM c",
  "FETCH BACKWARD ALL FROM c",
  "FETCH FORWARD ALL FROM c",
]

/** NO SCROLL: each on a cursor that has fetched two rows. */
const forwardOnly = [
  "FETCH BACKWARD 1",
  "FETCH PRIOR",
  "FETCH FIRST",
  "FETCH LAST",
  "FETCH ABSOLUTE 1",
  "FETCH ABSOLUTE 2",
  "FETCH ABSOLUTE 3",
  "FETCH ABSOLUTE 0",
  "FETCH RELATIVE 0",
  "FETCH RELATIVE 2",
  "FETCH RELATIVE -1",
  "FETCH 0",
  "FETCH -1",
  "MOVE 0",
  "MOVE BACKWARD 0",
  "MOVE BACKWARD 1",
  "MOVE ABSOLUTE 5",
]

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "FETCH in its forward forms",
    [
      "BEGIN",
      declare("c", ten),
      "FETCH c",
      "FETCH NEXT FROM c",
      "FETCH 2 FROM c",
      "FETCH FORWARD IN c",
      "FETCH FORWARD 2 FROM c",
      "FETCH FORWARD ALL IN c",
      "FETCH c",
      "COMMIT",
    ],
  ],
  ["FETCH ALL", ["BEGIN", declare("c", ten), "FETCH ALL FROM c", "FETCH ALL FROM c", "COMMIT"]],
  [
    "FETCH of more than there is",
    ["BEGIN", declare("c", ten), "FETCH 100 FROM c", "FETCH 1 FROM c", "COMMIT"],
  ],
  [
    "FETCH of exactly what there is",
    ["BEGIN", declare("c", ten), "FETCH 10 FROM c", "FETCH 1 FROM c", "COMMIT"],
  ],
  [
    "MOVE",
    [
      "BEGIN",
      declare("c", ten),
      "MOVE 3 FROM c",
      "FETCH 1 FROM c",
      "MOVE FORWARD ALL FROM c",
      "MOVE c",
      "FETCH 1 FROM c",
      "COMMIT",
    ],
  ],
  ["SCROLL", ["BEGIN", declare("c", ten, "SCROLL"), ...fetches, "COMMIT"]],
  [
    "SCROLL over a sort",
    [
      "BEGIN",
      declare("c", "SELECT id FROM lab.items WHERE id < 9 ORDER BY name, id", "SCROLL"),
      ...fetches,
      "COMMIT",
    ],
  ],
  ["a simple plan without SCROLL", ["BEGIN", declare("c", ten), ...fetches, "COMMIT"]],
  [
    "SCROLL over nothing",
    ["BEGIN", declare("c", "SELECT id FROM lab.empty", "SCROLL"), ...fetches, "COMMIT"],
  ],
  [
    "SCROLL WITH HOLD",
    [
      "BEGIN",
      declare("c", ten, "SCROLL").replace("CURSOR", "CURSOR WITH HOLD"),
      "FETCH 4 FROM c",
      "COMMIT",
      ...fetches,
    ],
  ],
  [
    "BINARY SCROLL",
    [
      "BEGIN",
      declare("c", "SELECT id, amount FROM lab.items WHERE id < 9 ORDER BY id", "BINARY SCROLL"),
      ...fetches,
      "COMMIT",
    ],
  ],
  ...forwardOnly.map((fetch): [string, Exchange[]] => [
    `NO SCROLL and ${fetch}`,
    ["BEGIN", declare("c", ten, "NO SCROLL"), "FETCH 2 FROM c", `${fetch} FROM c`, "ROLLBACK"],
  ]),
  ...forwardOnly.map((fetch): [string, Exchange[]] => [
    `NO SCROLL and ${fetch} at the start`,
    ["BEGIN", declare("c", ten, "NO SCROLL"), `${fetch} FROM c`, "ROLLBACK"],
  ]),
  [
    "a name in quotes",
    [
      "BEGIN",
      declare('"A ""b"" c"', ten),
      'FETCH 1 FROM "A ""b"" c"',
      'FETCH 1 FROM "a"',
      "ROLLBACK",
    ],
  ],
  [
    "without BEGIN in a string of several statements",
    [
      `${declare("c", ten)}; FETCH 2 FROM c; FETCH 1 FROM c`,
      "FETCH 1 FROM c",
      `${declare("c", ten)}; SELECT 1/0`,
      "FETCH 1 FROM c",
    ],
  ],
  [
    "WITH HOLD in a string of several statements",
    [
      `${declare("h", ten).replace("CURSOR", "CURSOR WITH HOLD")}; FETCH 2 FROM h`,
      "FETCH 1 FROM h",
      `${declare("i", ten).replace("CURSOR", "CURSOR WITH HOLD")}; SELECT 1/0`,
      "FETCH 1 FROM i",
      "CLOSE h",
    ],
  ],
  [
    "COMMIT in a string of several statements",
    [`BEGIN; ${declare("c", ten)}; FETCH 1 FROM c; COMMIT; FETCH 1 FROM c`, "SELECT 1"],
  ],
  [
    "an empty result",
    [
      "BEGIN",
      declare("c", "SELECT id FROM lab.empty"),
      "FETCH 5 FROM c",
      "MOVE ALL FROM c",
      "CLOSE c",
      "COMMIT",
    ],
  ],
  [
    "Superset's streaming export",
    [
      "BEGIN",
      declare('"c_7f0a"', `${all} `, "").replace(" CURSOR", " CURSOR WITHOUT HOLD"),
      'FETCH FORWARD 1 FROM "c_7f0a"',
      'FETCH FORWARD 499 FROM "c_7f0a"',
      'FETCH FORWARD 500 FROM "c_7f0a"',
      'FETCH FORWARD 500 FROM "c_7f0a"',
      'CLOSE "c_7f0a"',
      "COMMIT",
    ],
  ],
  [
    "an unknown cursor",
    ["FETCH 1 FROM nowhere", "BEGIN", "CLOSE nowhere", "ROLLBACK", "MOVE 1 FROM nowhere"],
  ],
  ["a cursor outside a transaction", [declare("c", ten), "FETCH 1 FROM c"]],
  ["a name twice", ["BEGIN", declare("c", ten), declare("c", ten), "ROLLBACK"]],
  [
    "backward on a NO SCROLL cursor",
    [
      "BEGIN",
      declare("c", ten, "NO SCROLL"),
      "FETCH 2 FROM c",
      "FETCH BACKWARD 1 FROM c",
      "FETCH 1 FROM c",
      "ROLLBACK",
    ],
  ],
  [
    "CLOSE and CLOSE ALL",
    [
      "BEGIN",
      declare("a", ten),
      declare("b", ten),
      "FETCH 1 FROM a",
      "CLOSE a",
      "FETCH 1 FROM a",
      "ROLLBACK",
      "CLOSE ALL",
    ],
  ],
  ["closed by COMMIT", ["BEGIN", declare("c", ten), "COMMIT", "FETCH 1 FROM c"]],
  [
    "closed by ROLLBACK",
    ["BEGIN", declare("c", ten), "FETCH 1 FROM c", "ROLLBACK", "FETCH 1 FROM c"],
  ],
  [
    "WITH HOLD survives COMMIT",
    [
      "BEGIN",
      declare("c", ten).replace("CURSOR", "CURSOR WITH HOLD"),
      "FETCH 3 FROM c",
      "COMMIT",
      "FETCH 3 FROM c",
      "BEGIN",
      "FETCH 1 FROM c",
      "COMMIT",
      "FETCH ALL FROM c",
      "CLOSE c",
      "FETCH c",
    ],
  ],
  [
    "WITH HOLD without a transaction",
    [declare("c", ten).replace("CURSOR", "CURSOR WITH HOLD"), "FETCH 3 FROM c", "CLOSE c"],
  ],
  [
    "WITH HOLD does not survive its own ROLLBACK",
    [
      "BEGIN",
      declare("c", ten).replace("CURSOR", "CURSOR WITH HOLD"),
      "ROLLBACK",
      "FETCH 3 FROM c",
    ],
  ],
  [
    "an older WITH HOLD survives a later ROLLBACK",
    [
      declare("c", ten).replace("CURSOR", "CURSOR WITH HOLD"),
      "BEGIN",
      "FETCH 2 FROM c",
      "ROLLBACK",
      "FETCH 2 FROM c",
      "CLOSE ALL",
    ],
  ],
  [
    "ROLLBACK TO closes what came after the savepoint",
    [
      "BEGIN",
      declare("a", ten),
      "SAVEPOINT s",
      declare("b", ten),
      "FETCH 1 FROM b",
      "ROLLBACK TO s",
      "FETCH 1 FROM a",
      "FETCH 1 FROM b",
      "ROLLBACK",
    ],
  ],
  [
    "an error fails the transaction with its cursors",
    [
      "BEGIN",
      declare("c", ten),
      "FETCH 1 FROM c",
      "SELECT 1/0",
      "FETCH 1 FROM c",
      "ROLLBACK",
      "FETCH 1 FROM c",
    ],
  ],
  [
    "BINARY",
    [
      "BEGIN",
      declare("c", "SELECT id, amount FROM lab.items WHERE id < 5 ORDER BY id", "BINARY"),
      "FETCH 2 FROM c",
      "COMMIT",
    ],
  ],
  ["an error in the query", ["BEGIN", declare("c", "SELECT nothing FROM lab.items"), "ROLLBACK"]],
  [
    "DISCARD ALL closes held cursors",
    [declare("c", ten).replace("CURSOR", "CURSOR WITH HOLD"), "DISCARD ALL", "FETCH c"],
  ],
  [
    "several statements in one string",
    [`BEGIN; ${declare("c", ten)}; FETCH 2 FROM c; MOVE 2 FROM c; FETCH 1 FROM c; CLOSE c; COMMIT`],
  ],
  [
    "none runs any more after a FETCH that failed, also where the cursor is still there",
    [
      "BEGIN",
      "DECLARE h NO SCROLL CURSOR WITH HOLD FOR VALUES (1), (2), (3)",
      "DECLARE n NO SCROLL CURSOR FOR VALUES (1), (2), (3)",
      "FETCH 1 FROM n",
      "SAVEPOINT s",
      "FETCH BACKWARD 1 FROM n",
      "ROLLBACK TO s",
      "FETCH 1 FROM n",
      "ROLLBACK TO s",
      "MOVE 0 FROM n",
      "ROLLBACK TO s",
      "COMMIT",
      "FETCH 2 FROM h",
      "FETCH PRIOR FROM h",
      "FETCH NEXT FROM h",
      "FETCH 0 FROM h",
      "CLOSE h",
    ],
  ],
  [
    "two in turns under one snapshot",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      declare("a", all),
      declare("b", all),
      "FETCH 3 FROM a",
      "FETCH 2 FROM b",
      "SELECT count(*) FROM lab.items",
      "FETCH 300 FROM a",
      "MOVE 400 FROM b",
      "FETCH 2 FROM b",
      "FETCH ALL FROM a",
      "COMMIT",
    ],
  ],
]

describe("cursors", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`are as PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("keep a result larger than the sockets' buffers aside while another statement runs", async () => {
    const wide = "SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i, lab.counter"
    const [client, direct] = [await pair.through(), await pair.direct()]
    const script = [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      declare("c", wide),
      "FETCH 10 FROM c",
      "SELECT count(*) FROM lab.items",
      "FETCH ALL FROM c",
      "COMMIT",
    ]
    for (const sql of script) deepEqual(await ask(client, sql), await ask(direct, sql), sql)
  })

  it("hold no connection once they are closed half-way", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN")
    await ask(
      client,
      declare("c", "SELECT i, repeat('y', 1000) FROM generate_series(1, 50000) i, lab.counter"),
    )
    await ask(client, "FETCH 1 FROM c")
    await ask(client, "CLOSE c")
    await ask(client, "COMMIT")
    deepEqual(await ask(client, "SELECT n FROM lab.counter"), [["1"]])
    equal(await activity(pair.postgres, "active|transaction"), 0)
  })
})
