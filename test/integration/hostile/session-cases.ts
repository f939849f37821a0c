import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  frame,
  int16,
  int32,
  parse,
  query,
  sync,
  terminate,
  text,
} from "../../support/frontend-encoder.ts"

export const messageBytesMax = 1024 * 1024

/** One hostile conversation of a logged-in client: all of it is sent in one write, and then the sending side is closed. */
export type SessionCase = {
  readonly title: string
  readonly bytes: readonly Buffer[]
  /**
   * How the gateway's answer differs from PostgreSQL's, and why. Without it both must be equal. `answer` holds the lines of
   * the whole answer.
   */
  readonly differs?: { readonly reason: string; readonly answer: readonly string[] }
}

const nothing = Buffer.alloc(0)
const header = (type: string, length: number): Buffer =>
  Buffer.concat([Buffer.from(type, "latin1"), int32(length)])
const one = "SELECT 1"
const [parsed, bound, idle] = ['1 ""', '2 ""', 'Z "I"']
const oneDone = 'C "SELECT 1\\u0000"'
const sentEarly = "PostgreSQL keeps answers back until Flush, Sync or a full buffer"

/** PostgreSQL writes these to its log and closes in silence; the gateway says the line to the client. */
function framing(title: string, ...bytes: readonly Buffer[]): SessionCase {
  return {
    title,
    bytes,
    differs: {
      reason: "PostgreSQL tells only its log",
      answer: ["E FATAL 08P01 invalid message length"],
    },
  }
}

function same(title: string, ...bytes: readonly Buffer[]): SessionCase {
  return { title, bytes }
}

function other(
  title: string,
  reason: string,
  answer: readonly string[],
  ...bytes: readonly Buffer[]
): SessionCase {
  return { title, bytes, differs: { reason, answer } }
}

const lengths: readonly SessionCase[] = [
  ...[0, 1, 3, -1, -4, -2147483648].map((length) =>
    framing(`a Query with the length ${length}`, header("Q", length), query(one)),
  ),
  ...[2 ** 31 - 1, 2 ** 30, messageBytesMax + 1].map((length) =>
    framing(`a Query that announces ${length} bytes`, header("Q", length)),
  ),
  framing("a Parse with a negative length", header("P", -7), sync),
  framing("a Bind that announces 2 GiB", header("B", 2 ** 31 - 1)),
  framing("a CopyData that announces 2 GiB", header("d", 2 ** 31 - 1)),
  framing("a FunctionCall that announces 2 GiB", header("F", 2 ** 31 - 1)),
  ...Array.from("SHXDECcf", (type) =>
    framing(`a message ${type} of 10,001 bytes`, frame(type, Buffer.alloc(9_997))),
  ),
  other(
    "a Sync with the length 0 behind a good Query",
    "PostgreSQL tells only its log",
    ["T", "D", oneDone, idle, "E FATAL 08P01 invalid message length"],
    query(one),
    header("S", 0),
  ),
]

const unknownTypes: readonly SessionCase[] = [0x00, 0x21, 0x31, 0x52, 0x5a, 0x70, 0x71, 0xff].map(
  (type) =>
    same(
      `a message of the type 0x${type.toString(16)}`,
      Buffer.concat([Buffer.from([type]), int32(4)]),
    ),
)

const cutShort: readonly SessionCase[] = [
  same("nothing at all", nothing),
  same("a type byte and no more", Buffer.from("Q")),
  same("half a header", Buffer.from([0x51, 0, 0])),
  same("half a Query", query(one).subarray(0, 9)),
  same("half a Query behind a whole one", query(one), query(one).subarray(0, 9)),
  same("half a Bind in a batch", parse(one), bind().subarray(0, 8)),
  other(
    "a batch without Sync",
    sentEarly,
    [parsed, bound, "D", oneDone],
    parse(one),
    bind(),
    execute(),
  ),
  same("a batch that ends in Flush", parse(one), bind(), execute(), flush),
]

const bodies: readonly SessionCase[] = [
  same("a Query without NUL", frame("Q", Buffer.from(one)), query(one)),
  same("a Query without a text", frame("Q", nothing), query(one)),
  same("a Query with a NUL inside", frame("Q", text("SELECT\x001")), query(one)),
  same("a Query that is NUL twice", frame("Q", Buffer.alloc(2)), query(one)),
  same("a Query that is not UTF-8", frame("Q", text(Buffer.from([0x27, 0xff, 0x27]))), query(one)),
  same("a Parse without NUL", frame("P", Buffer.from("abc")), sync),
  same("a Parse without a text", frame("P", text("name")), sync),
  same(
    "a Parse without a count",
    frame("P", Buffer.concat([text(""), text(one)])),
    sync,
    query(one),
  ),
  same(
    "a Parse that lies about its types",
    frame("P", Buffer.concat([text(""), text(one), int16(3), int32(23)])),
    sync,
  ),
  same(
    "a Parse with 65,535 types announced",
    frame("P", Buffer.concat([text(""), text(one), int16(-1)])),
    sync,
  ),
  same(
    "a Parse with bytes behind its end",
    frame("P", Buffer.concat([text(""), text(one), int16(0), Buffer.from("x")])),
    sync,
  ),
  same(
    "a Parse that is not UTF-8",
    frame("P", Buffer.concat([text(""), text(Buffer.from([0xc3, 0x28])), int16(0)])),
    sync,
  ),
  same("a Bind without a body", parse(one), frame("B", nothing), sync),
  same("a Bind cut behind its names", parse(one), frame("B", Buffer.from("\0\0")), sync),
  other(
    "a Bind that announces 65,535 values",
    "the message is read before it is compared with the statement",
    [parsed, "E ERROR 08P01 insufficient data left in message", idle],
    parse(one),
    frame("B", Buffer.concat([text(""), text(""), int16(0, -1)])),
    sync,
  ),
  same(
    "a Bind value longer than the message",
    parse("SELECT $1::text"),
    frame("B", Buffer.concat([text(""), text(""), int16(0, 1), int32(99), Buffer.from("x")])),
    sync,
  ),
  same(
    "a Bind value of 2 GiB",
    parse("SELECT $1::text"),
    frame("B", Buffer.concat([text(""), text(""), int16(0, 1), int32(2 ** 31 - 1)])),
    sync,
  ),
  same(
    "a Bind value of the length -2",
    parse("SELECT $1::text"),
    frame("B", Buffer.concat([text(""), text(""), int16(0, 1), int32(-2), int16(0)])),
    sync,
  ),
  same(
    "a Bind with two formats for one value",
    parse("SELECT $1::text"),
    bind({ values: ["a"], formats: [0, 0] }),
    sync,
  ),
  same(
    "a Bind with an unknown parameter format",
    parse("SELECT $1::text", { types: [25] }),
    bind({ values: ["a"], formats: [7] }),
    sync,
  ),
  same("a Bind with too many values", parse(one), bind({ values: ["a", "b"] }), sync),
  same(
    "a Bind with too few values",
    parse("SELECT $1::text, $2::text"),
    bind({ values: ["a"] }),
    sync,
  ),
  same(
    "a Bind with three result formats for one column",
    parse(one),
    bind({ resultFormats: [0, 0, 0] }),
    execute(),
    sync,
  ),
  same(
    "a Bind with bytes behind its end",
    parse(one),
    frame("B", Buffer.concat([text(""), text(""), int16(0, 0, 0), Buffer.from("x")])),
    sync,
  ),
  same(
    "a text parameter that is not UTF-8",
    parse("SELECT $1::text", { types: [25] }),
    bind({ values: [Buffer.from([0xe2, 0x28])] }),
    execute(),
    sync,
  ),
  same(
    "a text parameter with a NUL",
    parse("SELECT $1::text", { types: [25] }),
    bind({ values: [Buffer.from([0x61, 0, 0x62])] }),
    execute(),
    sync,
  ),
  same(
    "a binary int4 of three bytes",
    parse("SELECT $1::int4", { types: [23] }),
    bind({ values: [Buffer.from([1, 2, 3])], formats: [1] }),
    execute(),
    sync,
  ),
  same("a Describe of the kind X", frame("D", text("X")), sync, query(one)),
  same("a Describe without a body", frame("D", nothing), sync),
  same("a Close of the kind X", frame("C", text("X")), sync),
  same("a Close without NUL", frame("C", Buffer.from("Sabc")), sync),
  same("an Execute without its row limit", parse(one), bind(), frame("E", text("")), sync),
  same(
    "an Execute with half a row limit",
    parse(one),
    bind(),
    frame("E", Buffer.from([0, 0, 0])),
    sync,
  ),
  same("an Execute with a negative row limit", parse(one), bind(), execute("", -1), sync),
  same("a Sync with a body", frame("S", Buffer.from("abc")), query(one)),
  same("a Flush with a body", frame("H", Buffer.from("abc")), query(one), sync),
]

const order: readonly SessionCase[] = [
  same(
    "a Query inside a batch without Sync",
    parse(one),
    bind(),
    query("SELECT 2"),
    execute(),
    sync,
  ),
  same("a hundred Syncs", ...Array.from({ length: 100 }, () => sync)),
  same(
    "a Flush between all messages",
    parse(one),
    flush,
    bind(),
    flush,
    describe("portal"),
    flush,
    execute(),
    flush,
    sync,
  ),
  same(
    "an error that is followed by good messages",
    parse("SELEC"),
    parse(one),
    bind(),
    execute(),
    sync,
    query(one),
  ),
  same("an error, a Flush, a Query, a Sync", parse("SELEC"), flush, query(one), sync, query(one)),
  same(
    "an error behind which a malformed message is skipped",
    parse("SELEC"),
    frame("D", nothing),
    sync,
    query(one),
  ),
  same(
    "a second batch behind a failed one",
    parse("SELEC"),
    sync,
    parse(one),
    bind(),
    execute(),
    sync,
  ),
  same("an Execute of no portal", execute("nobody"), sync, query(one)),
  same("a Bind of no statement", bind({ statement: "nobody" }), sync, query(one)),
  same("a Describe of no statement", describe("statement", "nobody"), sync),
  same("a Describe of no portal", describe("portal", "nobody"), sync),
  same("a Close of nothing", close("statement", "nobody"), close("portal", "nobody"), sync),
  same("a name used twice", parse(one, { name: "a" }), parse(one, { name: "a" }), sync),
  same(
    "a portal's name used twice",
    parse(one),
    bind({ portal: "p" }),
    bind({ portal: "p" }),
    sync,
  ),
  same(
    "a portal of the last batch",
    parse(one, { name: "b" }),
    bind({ portal: "p", statement: "b" }),
    sync,
    execute("p"),
    sync,
  ),
  same("several commands in one Parse", parse("SELECT 1; SELECT 2"), sync),
  same(
    "a finished portal executed again",
    parse("SELECT 1"),
    bind(),
    execute(),
    execute(),
    execute("", 5),
    sync,
  ),
  same(
    "a portal executed in pieces and then to its end",
    parse("SELECT id FROM lab.items WHERE id <= 5 ORDER BY id"),
    bind(),
    execute("", 2),
    execute("", 2),
    execute("", 0),
    execute("", 0),
    sync,
  ),
  same(
    "the same statement whole, after a part of it was read",
    parse("SELECT id FROM lab.items WHERE id <= 7 ORDER BY id"),
    bind(),
    execute("", 3),
    sync,
    parse("SELECT id FROM lab.items WHERE id <= 7 ORDER BY id"),
    bind(),
    execute(),
    sync,
    query("SELECT id FROM lab.items WHERE id <= 7 ORDER BY id"),
  ),
  same(
    "a failed transaction that is not left",
    query("BEGIN"),
    query("SELEC"),
    query(one),
    query("COMMIT"),
    query(one),
  ),
  same("a transaction that is left open", query("BEGIN"), query("SELECT count(*) FROM lab.items")),
  same(
    "a pinned transaction that is left open",
    query("BEGIN ISOLATION LEVEL REPEATABLE READ"),
    query("SELECT count(*) FROM lab.items"),
  ),
  same(
    "a batch in which a BEGIN is followed by an error",
    parse("BEGIN"),
    bind(),
    execute(),
    parse("SELEC"),
    sync,
    query("ROLLBACK"),
  ),
  same(
    "Terminate behind pipelined queries",
    query(one),
    query("SELECT 2"),
    query("SELECT n FROM lab.counter"),
    terminate,
  ),
  same("Terminate with a body", frame("X", Buffer.from("bye"))),
  same(
    "messages behind Terminate",
    query(one),
    terminate,
    query("SELECT 2"),
    Buffer.alloc(100, 0xff),
  ),
  same(
    "a cursor that is left open",
    query("BEGIN"),
    query("DECLARE c CURSOR FOR SELECT id FROM lab.items ORDER BY id"),
    query("FETCH 2 FROM c"),
  ),
  same(
    "a cursor closed twice",
    query("BEGIN"),
    query("DECLARE c CURSOR FOR SELECT 1"),
    query("CLOSE c"),
    query("CLOSE c"),
    query("ROLLBACK"),
  ),
]

const copying: readonly SessionCase[] = [
  same("CopyData outside COPY", copyData(Buffer.from("1\t2\n")), query(one)),
  same("CopyDone outside COPY", copyDone, query(one)),
  same("CopyFail outside COPY", copyFail("no"), query(one)),
  same("CopyData in a batch", parse(one), copyData(Buffer.from("x")), bind(), execute(), sync),
  other(
    "a FunctionCall",
    "the function-call protocol is refused by design",
    [
      "E ERROR 0A000 the function-call protocol is not supported by this gateway",
      'Z "I"',
      "T",
      "D",
      oneDone,
      idle,
    ],
    frame("F", Buffer.concat([int32(1598), int16(0, 0, 0)])),
    query(one),
  ),
]

const large: readonly SessionCase[] = [
  same("a thousand semicolons", query(";".repeat(1_000)), query(one)),
  same("a thousand statements in one Query", query(`${one};`.repeat(1_000))),
  same("a comment that never ends", query("/* ".repeat(500)), query(one)),
  same("a string that never ends", query("SELECT '".repeat(101)), query(one)),
  same(
    "a statement's name of 9,000 characters",
    parse(one, { name: "n".repeat(9_000) }),
    bind({ statement: "n".repeat(9_000) }),
    execute(),
    sync,
  ),
  same("one parameter above the protocol's count", parse("SELECT $65536"), sync, query(one)),
  same("a parameter of the number 2^31", parse("SELECT $2147483648"), sync, query(one)),
  same("a parameter of the number 0", parse("SELECT $0"), sync, query(one)),
  same(
    "1,500 parameters",
    parse(
      `SELECT ${Array.from({ length: 1_500 }, (_, index) => `$${index + 1}::text`).join(", ")}`,
    ),
    bind({ values: Array.from({ length: 1_500 }, () => "v") }),
    execute(),
    sync,
  ),
  same(
    "500 named statements",
    ...Array.from({ length: 500 }, (_, index) => parse(one, { name: `s${index}` })),
    sync,
  ),
  same(
    "500 portals",
    parse(one, { name: "s" }),
    ...Array.from({ length: 500 }, (_, index) => bind({ statement: "s", portal: `p${index}` })),
    sync,
  ),
  other(
    "an expression nested 20,000 deep",
    "PostgreSQL's own limit is max_stack_depth",
    ["E ERROR 54001 stack depth limit exceeded", 'Z "I"'],
    query(`SELECT ${"(".repeat(20_000)}1${")".repeat(20_000)}`),
  ),
]

export const sessionCases: readonly SessionCase[] = [
  ...lengths,
  ...unknownTypes,
  ...cutShort,
  ...bodies,
  ...order,
  ...copying,
  ...large,
]
