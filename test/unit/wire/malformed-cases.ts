import {
  bind,
  cancel,
  close,
  copyData,
  copyFail,
  describe,
  execute,
  frame,
  gssEncRequest,
  int16,
  int32,
  packet,
  parse,
  password,
  query,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startup,
  text,
} from "../../support/frontend-encoder.ts"

/**
 * Frames that are wrong in one way each, with sound ones beside them. The same bytes went to PostgreSQL (its answers are in
 * goldens/malformed.json, taken by goldens/capture.ts) and go to the decoder.
 */
export type MalformedCase = {
  readonly name: string
  readonly phase: "startup" | "sasl" | "session"
  readonly bytes: Buffer
}

const none = Buffer.alloc(0)
const ff = Buffer.from([0xff])

function header(type: string, length: number, body: Buffer = none): Buffer {
  return Buffer.concat([Buffer.from(type, "latin1"), int32(length), body])
}

function rawBind(...parts: readonly Buffer[]): Buffer {
  return frame("B", Buffer.concat([text(""), text("one"), ...parts]))
}

const session: Readonly<Record<string, Buffer>> = {
  "a sound Query": query("select 1"),
  "an empty Query": query(""),
  "a Query without NUL": frame("Q", Buffer.from("select 1")),
  "a Query without a body": frame("Q", none),
  "a Query with a NUL inside": frame("Q", Buffer.from("select 1\0 + 1\0")),
  "a Query with bytes behind the NUL": frame("Q", Buffer.from("select 1\0x")),
  "a Query with the byte FF": frame("Q", Buffer.concat([Buffer.from("select '"), ff, text("'")])),
  "a Query with a cut sequence at its end": frame("Q", text(Buffer.from([0x2d, 0x2d, 0xe2, 0x82]))),
  "a Query with a cut sequence inside": frame(
    "Q",
    text(Buffer.from([0x2d, 0x2d, 0xe2, 0x82, 0x20, 0x20])),
  ),
  "a Query with an overlong slash": frame("Q", text(Buffer.from([0x2d, 0x2d, 0xc0, 0xaf]))),
  "a Query with a surrogate": frame("Q", text(Buffer.from([0x2d, 0x2d, 0xed, 0xa0, 0x80]))),
  "a Query beyond U+10FFFF": frame("Q", text(Buffer.from([0x2d, 0x2d, 0xf4, 0x90, 0x80, 0x80]))),
  "a Query with a lone continuation byte": frame("Q", text(Buffer.from([0x2d, 0x2d, 0x80]))),
  "a Query with U+FFFD itself": query("select 'a\u{fffd}b'"),
  "a Query with text beyond the first plane": query("select 'ü€😀'"),
  "length 3": header("Q", 3),
  "length 0": header("Q", 0),
  "length -1": header("Q", -1),
  "length 2^31 - 1": header("Q", 0x7fffffff),
  "length -2^31": header("Q", -0x80000000),
  "a Sync above the limit of small messages": header("S", 10_001),
  "a Describe above the limit of small messages": header("D", 10_001),
  "an Execute above the limit of small messages": header("E", 10_001),
  "type 0": header("\0", 4),
  "type 88 in lower case": header("x", 4),
  "type 255": header("\xff", 4),
  "a PasswordMessage after login": password("secret"),
  "a sound Parse": parse("select 1"),
  "a Parse without its count": frame("P", Buffer.concat([text(""), text("select 1")])),
  "a Parse that promises a type too many": frame(
    "P",
    Buffer.concat([text(""), text("select 1"), int16(1)]),
  ),
  "a Parse with count -1": frame("P", Buffer.concat([text(""), text("select 1"), int16(-1)])),
  "a Parse with bytes behind": frame(
    "P",
    Buffer.concat([text(""), text("select 1"), int16(0), ff]),
  ),
  "a Parse with one string": frame("P", text("select 1")),
  "a Parse with a name that is not UTF-8": frame(
    "P",
    Buffer.concat([text(ff), text("select 1"), int16(0)]),
  ),
  "a sound Bind": bind({ statement: "one", values: ["1"] }),
  "a Bind with a null": bind({ statement: "one", values: [null] }),
  "a Bind with an empty value": bind({ statement: "one", values: [""] }),
  "a Bind with one format for all": bind({ statement: "two", values: ["1", "2"], formats: [0] }),
  "a Bind with one result format for all": bind({
    statement: "one",
    values: ["1"],
    resultFormats: [1],
  }),
  "a Bind with more formats than values": bind({
    statement: "one",
    values: ["1"],
    formats: [0, 0],
  }),
  "a Bind with formats and no values": bind({ statement: "zero", formats: [0, 0] }),
  "a Bind with one format and no values": bind({ statement: "zero", formats: [0] }),
  "a Bind with one unknown format and no values": bind({ statement: "zero", formats: [7] }),
  "a Bind with fewer formats than values": bind({
    statement: "three",
    values: ["1", "2", "3"],
    formats: [0, 0],
  }),
  "a Bind with format 2": bind({ statement: "one", values: ["1"], formats: [2] }),
  "a Bind with format -1": bind({ statement: "one", values: ["1"], formats: [-1] }),
  "a Bind with a null in format 2": bind({ statement: "one", values: [null], formats: [2] }),
  "a Bind with value length -2": rawBind(int16(0), int16(1), int32(-2), int16(0)),
  "a Bind with a value beyond the end": rawBind(int16(0), int16(1), int32(9), int16(0)),
  "a Bind with a value of 2^31 - 1": rawBind(int16(0), int16(1), int32(0x7fffffff), int16(0)),
  "a Bind with a cut value length": rawBind(int16(0), int16(1), int16(0)),
  "a Bind that promises 65535 formats": rawBind(int16(65_535)),
  "a Bind without result formats": rawBind(int16(0), int16(1), int32(-1)),
  "a Bind with bytes behind": rawBind(int16(0), int16(1), int32(-1), int16(0), ff),
  "a Bind with a text value that is not UTF-8": bind({
    statement: "one",
    values: [Buffer.from([0x61, 0xff])],
  }),
  "a Bind with a text value with a NUL": bind({ statement: "one", values: [Buffer.from("a\0b")] }),
  "a Bind with a long text value that is not UTF-8": bind({
    statement: "one",
    values: [Buffer.concat([Buffer.alloc(100, "x"), Buffer.from([0xc3, 0x28])])],
  }),
  "a Bind with an empty body": frame("B", none),
  "a sound Describe": describe("portal"),
  "a Describe of X": frame("D", Buffer.concat([Buffer.from("X"), text("")])),
  "a Describe without a body": frame("D", none),
  "a Describe without a name": frame("D", Buffer.from("S")),
  "a Describe with bytes behind": frame("D", Buffer.concat([Buffer.from("S"), text(""), ff])),
  "a sound Close": close("statement", "nothing"),
  "a Close of a": frame("C", Buffer.concat([Buffer.from("a"), text("")])),
  "a Close without a body": frame("C", none),
  "an Execute without its count": frame("E", text("")),
  "an Execute with a cut count": frame("E", Buffer.concat([text(""), int16(0)])),
  "an Execute with bytes behind": frame("E", Buffer.concat([text(""), int32(0), ff])),
  "a sound Execute": execute(),
  "an Execute of -1 rows": execute("", -1),
  "a Sync with a body": frame("S", ff),
  "a Flush with a body": frame("H", ff),
  "a CopyData outside COPY": copyData(Buffer.from("x")),
  "a CopyDone outside COPY": frame("c", none),
  "a CopyFail outside COPY": copyFail("because"),
}

const startups: Readonly<Record<string, Buffer>> = {
  "a sound StartupMessage": startup({ user: "postgres" }),
  "a StartupMessage of 3.2": startup({ user: "postgres" }, { minor: 2 }),
  "a StartupMessage of 3.9999": startup({ user: "postgres" }, { minor: 9999 }),
  "a StartupMessage with an unknown extension": startup({ user: "postgres", "_pq_.foo": "1" }),
  "a startup packet of length 7": int32(7),
  "a startup packet of length 0": int32(0),
  "a startup packet of length -1": int32(-1),
  "a startup packet of length 10005": int32(10_005),
  "a startup packet that is HTTP": Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  "protocol 2.0": startup({ user: "postgres" }, { major: 2 }),
  "protocol 4.1": startup({ user: "postgres" }, { major: 4, minor: 1 }),
  "protocol 0.0": packet(int32(0)),
  "a StartupMessage without a user": startup({ database: "postgres" }),
  "a StartupMessage with an empty user": startup({ user: "" }),
  "a StartupMessage without parameters": packet(int16(3, 0)),
  "a StartupMessage with only the terminator": packet(
    Buffer.concat([int16(3, 0), Buffer.alloc(1)]),
  ),
  "a StartupMessage without the last NUL": packet(
    Buffer.concat([int16(3, 0), text("user"), text("postgres")]),
  ),
  "a StartupMessage with a value cut off": packet(
    Buffer.concat([int16(3, 0), text("user"), Buffer.from("postgres")]),
  ),
  "a StartupMessage with bytes behind the terminator": packet(
    Buffer.concat([int16(3, 0), text("user"), text("postgres"), Buffer.alloc(1), ff]),
  ),
  "an SSLRequest": sslRequest,
  "a GSSENCRequest": gssEncRequest,
  "a CancelRequest": cancel(1, Buffer.alloc(4)),
  "a CancelRequest without a key": cancel(1, none),
  "a CancelRequest with a key of 257 bytes": cancel(1, Buffer.alloc(257)),
  "a CancelRequest without a process": packet(int16(1234, 5678)),
}

const first = Buffer.from("n,,n=,r=abcdefghijklmnopqrstuvwx")

function initial(clientFirst: string): Buffer {
  return saslInitialResponse("SCRAM-SHA-256", Buffer.from(clientFirst, "latin1"))
}

const sasl: Readonly<Record<string, Buffer>> = {
  "a sound first message": saslInitialResponse("SCRAM-SHA-256", first),
  "a first message with a user name": initial("n,,n=someone,r=abc"),
  "a first message with an extension": initial("n,,n=,r=abc,x=1"),
  "a first message with y": initial("y,,n=,r=abc"),
  "no first message": saslInitialResponse("SCRAM-SHA-256", undefined),
  "an empty first message": saslInitialResponse("SCRAM-SHA-256", none),
  "an unknown mechanism": saslInitialResponse("PLAIN", first),
  "PLUS without TLS": saslInitialResponse("SCRAM-SHA-256-PLUS", first),
  "a first message with a NUL": initial("n,,n=,r=ab\0c"),
  "binding data without PLUS": initial("p=tls-server-end-point,,n=,r=abc"),
  "an unknown binding flag": initial("q,,n=,r=abc"),
  "an unprintable binding flag": initial("\x01,,n=,r=abc"),
  "a flag without comma": initial("nn,n=,r=abc"),
  "a flag and nothing else": initial("n"),
  "a flag and one comma": initial("n,"),
  "a flag and two commas": initial("n,,"),
  "an authorization identity": initial("n,a=admin,n=,r=abc"),
  "another attribute for the identity": initial("n,b=admin,n=,r=abc"),
  "a mandatory extension": initial("n,,m=x,n=,r=abc"),
  "a user name without =": initial("n,,nx,r=abc"),
  "no user name": initial("n,,r=abc"),
  "no nonce": initial("n,,n="),
  "an empty nonce": initial("n,,n=,r="),
  "a nonce that cannot be printed": initial("n,,n=,r=a\x01b"),
  "a nonce with a space": initial("n,,n=,r=a b"),
  "a number for an attribute": initial("n,,n=,r=abc,1=2"),
  "an attribute without =": initial("n,,n=,r=abc,xy"),
  "a first message with a comma at its end": initial("n,,n=,r=abc,"),
  "a length beyond the end": frame("p", Buffer.concat([text("SCRAM-SHA-256"), int32(99), first])),
  "a length of -2": frame("p", Buffer.concat([text("SCRAM-SHA-256"), int32(-2), first])),
  "a length with bytes behind": frame("p", Buffer.concat([text("SCRAM-SHA-256"), int32(3), first])),
  "no length": frame("p", text("SCRAM-SHA-256")),
  "no NUL behind the mechanism": frame("p", Buffer.from("SCRAM-SHA-256")),
  "nothing at all": saslResponse(none),
  "a Query instead of a password": query("select 1"),
  "a Terminate instead of a password": frame("X", none),
}

function cases(phase: MalformedCase["phase"], table: Readonly<Record<string, Buffer>>) {
  return Object.entries(table).map(([name, bytes]): MalformedCase => ({ name, phase, bytes }))
}

export const malformedCases: readonly MalformedCase[] = [
  ...cases("session", session),
  ...cases("startup", startups),
  ...cases("sasl", sasl),
]

/** Endings of the second message; `NONCE` stands for the nonce of the challenge, `PROOF` for 32 bytes that prove nothing. */
export const secondMessages: Readonly<Record<string, string>> = {
  "a wrong proof": "c=biws,r=NONCE,p=PROOF",
  "a wrong proof with an extension": "c=biws,r=NONCE,x=1,p=PROOF",
  "another nonce": "c=biws,r=NONCEx,p=PROOF",
  "the nonce of another login": "c=biws,r=abcdefghijklmnopqrstuvwx,p=PROOF",
  "another binding": "c=eSws,r=NONCE,p=PROOF",
  "no binding": "r=NONCE,p=PROOF",
  "no proof": "c=biws,r=NONCE",
  "a proof that is short": "c=biws,r=NONCE,p=AAAA",
  "a proof that is not base64": "c=biws,r=NONCE,p=****",
  "garbage behind the proof": "c=biws,r=NONCE,p=PROOF,x=1",
  "a number for an attribute": "c=biws,r=NONCE,1=1,p=PROOF",
  "an empty second message": "",
}
