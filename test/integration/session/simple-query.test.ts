import { after, before, describe, it } from "node:test"
import { type Exchange, Pair } from "./support.ts"

/** The simple protocol: every conversation is held with PostgreSQL and with the gateway, and compared message by message. */

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  ["one statement", ["SELECT id, name FROM lab.items WHERE id < 5 ORDER BY id"]],
  ["every type as text", ["SELECT * FROM lab.items ORDER BY id LIMIT 20"]],
  ["a result without rows", ["SELECT * FROM lab.empty"]],
  ["a result without columns", ["SELECT FROM lab.items LIMIT 3"]],
  ["several statements", ["SELECT 1; SELECT 'two'; SELECT count(*) FROM lab.items"]],
  ["an empty string", [""]],
  ["blanks only", ["  \n\t "]],
  ["one semicolon", [";"]],
  ["several semicolons", [" ; ;; "]],
  ["comments only", ["-- nothing\n/* nothing /* nested */ at all */"]],
  ["comments between statements", ["/* a */ SELECT 1 -- b\n; -- c\n SELECT 2 /* d */"]],
  ["empty statements between others", ["SELECT 1;; ;SELECT 2;"]],
  ["an error in the middle stops the rest", ["SELECT 1; SELECT 1/0; SELECT 3", "SELECT 4"]],
  ["a syntax error runs nothing", ["SELECT 1; SELEC 2", "SELECT 3"]],
  ["the position of a syntax error in the first statement", ["SELECT * FORM lab.items"]],
  ["the position behind non-ASCII text", ["SELECT 'é€😀', * FORM lab.items"]],
  ["the position in the second statement", ["SELECT 'é😀'; SELECT * FORM lab.items"]],
  ["the position of an unknown column", ["SELECT 'é😀', nothing FROM lab.items"]],
  [
    "the position of an unknown column in a later statement",
    ["SELECT '😀';\n  SELECT nothing FROM lab.items"],
  ],
  ["the position of an unknown relation", ["SELECT 1; SELECT 2 FROM lab.nowhere"]],
  ["the position of an unknown function", ["SELECT  no_such_function(1)"]],
  ["an error at the end of the text", ["SELECT (1"]],
  ["an unterminated string", ["SELECT 'abc"]],
  ["an unterminated comment", ["SELECT 1 /* abc"]],
  ["an error of a cast, with its position", ["SELECT 'x'::int"]],
  ["an error of a running statement", ["SELECT 10 / (id - 5) FROM lab.items ORDER BY id"]],
  ["division by zero in a transaction", ["BEGIN", "SELECT 1/0", "SELECT 1", "COMMIT", "SELECT 1"]],
  ["a syntax error in a transaction", ["BEGIN", "SELEC", "SELECT 1", "ROLLBACK"]],
  ["BEGIN twice", ["BEGIN", "BEGIN", "COMMIT"]],
  ["COMMIT outside", ["COMMIT", "ROLLBACK"]],
  ["START TRANSACTION and END", ["START TRANSACTION", "SELECT 1", "END"]],
  ["ABORT", ["BEGIN WORK", "ABORT"]],
  ["COMMIT AND CHAIN outside", ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]],
  [
    "COMMIT AND CHAIN inside",
    ["BEGIN", "COMMIT AND CHAIN", "SELECT 1", "ROLLBACK AND CHAIN", "COMMIT"],
  ],
  ["SET LOCAL outside", ["SET LOCAL TimeZone = 'Europe/Berlin'", "SHOW TimeZone"]],
  ["SET TRANSACTION outside", ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"]],
  ["SAVEPOINT outside", ["SAVEPOINT a", "RELEASE a", "ROLLBACK TO a"]],
  ["BEGIN in the middle of a string", ["SELECT 1; BEGIN; SELECT 2", "SELECT 3", "COMMIT"]],
  ["COMMIT in the middle of a string", ["BEGIN; SELECT 1; COMMIT; SELECT 2"]],
  ["an error behind a BEGIN of the same string", ["BEGIN; SELECT 1/0; SELECT 2", "ROLLBACK"]],
  ["an error behind a COMMIT of the same string", ["BEGIN; COMMIT; SELECT 1/0", "SELECT 1"]],
  [
    "a SET undone by an error of the same string",
    ["SET DateStyle = 'German'; SELECT 1/0", "SHOW DateStyle"],
  ],
  [
    "ROLLBACK alone undoes an earlier SET of the same string",
    ["SET DateStyle = 'German'; ROLLBACK", "SHOW DateStyle"],
  ],
  [
    "SET LOCAL lasts for its string",
    ["SET LOCAL DateStyle = German; SHOW DateStyle", "SHOW DateStyle"],
  ],
  ["SAVEPOINT within one string", ["SELECT 1; SAVEPOINT a"]],
  ["COMMIT AND CHAIN within one string", ["SELECT 1; COMMIT AND CHAIN"]],
  ["DISCARD ALL within one string", ["SELECT 1; DISCARD ALL"]],
  [
    "a message below client_min_messages",
    ["SET client_min_messages = error", "COMMIT", "BEGIN", "BEGIN", "ROLLBACK"],
  ],
  ["text in quotes and dollars", ["SELECT 'it''s; not', $x$two; ; $x$, E'\\n;', U&'\\00e9'"]],
  ["identifiers with capitals and blanks", ['SELECT id AS "A b;" FROM lab.items WHERE id = 1']],
  ["a statement longer than one segment", [`SELECT '${"x".repeat(200_000)}'`]],
  ["a string of two hundred statements", ["SELECT 1;".repeat(200)]],
  ["VALUES and TABLE", ["VALUES (1, 'a'), (2, NULL)", "TABLE lab.counter"]],
  ["column types of literals", ["SELECT 1, 1.5, 'x', NULL, true, ARRAY[1,2], date '2024-02-29'"]],
]

describe("the simple protocol answers as PostgreSQL does", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(title, async () => {
      await pair.same(exchanges)
    })
})
