import {
  cancel,
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
  sync,
  terminate,
  text,
} from "../../support/frontend-encoder.ts"

/** Who asks: the names differ between the gateway and PostgreSQL. */
export type Who = { readonly user: string; readonly database: string }

/** One hostile conversation before login: all of it in one write, then the sending side is closed. */
export type LoginCase = {
  readonly title: string
  readonly bytes: (who: Who) => readonly Buffer[]
  /** How the gateway's answer differs from PostgreSQL's, and why; the errors in it as lines. */
  readonly differs?: { readonly reason: string; readonly errors: readonly string[] }
}

const nothing = Buffer.alloc(0)
const mechanism = "SCRAM-SHA-256"
const logOnly = "PostgreSQL tells only its log"
const twice = "E FATAL 0A000 unsupported frontend protocol"
const supported = "server supports 3.0 to 3.2"
const lengthError = "E FATAL 08P01 invalid message length"
const lengthReason = "PostgreSQL takes a broken frame for a client that gives up"

function same(title: string, ...bytes: readonly Buffer[]): LoginCase {
  return { title, bytes: () => bytes }
}

function told(title: string, message: string, ...bytes: readonly Buffer[]): LoginCase {
  const differs = { reason: logOnly, errors: [`E FATAL 08P01 ${message}`] }
  return { title, bytes: () => bytes, differs }
}

/** Behind a good StartupMessage. */
function behind(title: string, ...bytes: readonly Buffer[]): LoginCase {
  return { title, bytes: (who) => [startup(who), ...bytes] }
}

function refusedBehind(
  title: string,
  differs: { readonly reason: string; readonly errors: readonly string[] },
  ...bytes: readonly Buffer[]
): LoginCase {
  return { title, bytes: (who) => [startup(who), ...bytes], differs }
}

const first = (attributes: string): Buffer =>
  saslInitialResponse(mechanism, Buffer.from(attributes))
const nonce = "r=fyko+d2lbbFgONRv9qkxdawL"
const badLength = "invalid length of startup packet"

const packets: readonly LoginCase[] = [
  same("nothing"),
  same("one byte", Buffer.from([0])),
  same("half a startup packet", startup({ user: "reader", database: "warehouse" }).subarray(0, 12)),
  told("a length of 0", badLength, int32(0, 196608)),
  told("a length of 3", badLength, int32(3, 196608)),
  told("a length of 7", badLength, int32(7, 196608)),
  told("a length of -1", badLength, int32(-1, 196608)),
  told("a length of -2^31", badLength, int32(-2147483648, 196608)),
  told("a length of 2^31 - 1", badLength, int32(2 ** 31 - 1, 196608)),
  told("a length of 10,005", badLength, int32(10_005, 196608)),
  told("an HTTP request", badLength, Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
  told(
    "a TLS ClientHello in front of everything",
    badLength,
    Buffer.from("16030100c8010000c40303", "hex"),
  ),
  told("an SSH greeting", badLength, Buffer.from("SSH-2.0-OpenSSH_9.6\r\n")),
  told("64 zeros", badLength, Buffer.alloc(64)),
  told("64 times 0xff", badLength, Buffer.alloc(64, 0xff)),
  told("a Query", badLength, query("SELECT 1")),
  told("a Terminate", badLength, terminate),
  ...[1, 2].map(
    (major): LoginCase => ({
      title: `protocol ${major}.0`,
      bytes: () => [startup({ user: "a" }, { major })],
      differs: {
        reason: "PostgreSQL answers in the old protocol's form, without fields",
        errors: [
          `E FATAL 0A000 unsupported frontend protocol ${major}.0: server supports 3.0 to 3.2`,
        ],
      },
    }),
  ),
  same("protocol 4.0", startup({ user: "a" }, { major: 4 })),
  same("protocol 65535.65535", startup({ user: "a" }, { major: 65_535, minor: 65_535 })),
  same("no user", startup({ database: "warehouse" })),
  same("an empty user", startup({ user: "", database: "warehouse" })),
  same("no parameters", packet(Buffer.concat([int32(196608), Buffer.alloc(1)]))),
  same("not even a terminator", packet(int32(196608))),
  same("a name without a value", packet(Buffer.concat([int32(196608), text("user")]))),
  same(
    "a value without NUL",
    packet(Buffer.concat([int32(196608), text("user"), Buffer.from("abc")])),
  ),
  same(
    "bytes behind the terminator",
    packet(Buffer.concat([int32(196608), text("user"), text("a"), Buffer.from("\0xyz")])),
  ),
]

const requests: readonly LoginCase[] = [
  ...(
    [
      ["SSLRequest twice", [`${twice} 1234.5679: ${supported}`], sslRequest, sslRequest],
      ["GSSENCRequest twice", [`${twice} 1234.5680: ${supported}`], gssEncRequest, gssEncRequest],
      ["SSLRequest and GSSENCRequest in one write", [], sslRequest, gssEncRequest],
    ] as const
  ).map(
    ([title, errors, ...bytes]): LoginCase => ({
      title,
      bytes: () => bytes,
      differs: { reason: "a refused request changes nothing for the bytes behind it", errors },
    }),
  ),
  same("half an SSLRequest", sslRequest.subarray(0, 6)),
  same("a CancelRequest for nobody", cancel(123_456, int32(7))),
  same("a CancelRequest for the process 0", cancel(0, int32(0))),
  same("a CancelRequest for a negative process", cancel(-5, int32(0))),
  same("a CancelRequest with a key of 256 bytes", cancel(77, Buffer.alloc(256, 1))),
  told(
    "a CancelRequest without a key",
    "invalid length of cancel key in cancel request packet",
    cancel(77, nothing),
  ),
  told(
    "a CancelRequest with a key of 257 bytes",
    "invalid length of cancel key in cancel request packet",
    cancel(77, Buffer.alloc(257, 1)),
  ),
  told(
    "a CancelRequest without a process",
    "invalid length of cancel request packet",
    packet(int16(1234, 5678)),
  ),
  same("a CancelRequest and a Query behind it", cancel(5, int32(5)), query("SELECT 1")),
]

const answers: readonly LoginCase[] = [
  behind("a startup packet and nothing more"),
  behind("a second startup packet instead of an answer", startup({ user: "other" })),
  ...(
    [
      ["a Query", query("SELECT 1")],
      ["a Parse", parse("SELECT 1")],
      ["an Execute", execute()],
      ["a Sync", sync],
      ["a Terminate", terminate],
    ] as const
  ).map(([title, bytes]) => behind(`${title} instead of an answer`, bytes)),
  refusedBehind(
    "an answer of the length 0",
    { reason: lengthReason, errors: [lengthError] },
    Buffer.concat([Buffer.from("p"), int32(0)]),
  ),
  refusedBehind(
    "an answer of the length -1",
    { reason: lengthReason, errors: [lengthError] },
    Buffer.concat([Buffer.from("p"), int32(-1)]),
  ),
  refusedBehind(
    "an answer that announces 2 GiB",
    { reason: lengthReason, errors: [lengthError] },
    Buffer.concat([Buffer.from("p"), int32(2 ** 31 - 1)]),
  ),
  refusedBehind(
    "an answer that announces 65,536 bytes",
    { reason: lengthReason, errors: [lengthError] },
    Buffer.concat([Buffer.from("p"), int32(65_536)]),
  ),
  behind("a password in clear text", password("secret")),
  behind("an empty answer", saslResponse(nothing)),
  behind("a mechanism without NUL", frame("p", Buffer.from("SCRAM-SHA-256"))),
  behind("an unknown mechanism", saslInitialResponse("PLAIN", Buffer.from("\0a\0b"))),
  behind(
    "SCRAM-SHA-256-PLUS without TLS",
    saslInitialResponse("SCRAM-SHA-256-PLUS", Buffer.from("p=tls-server-end-point,,n=,r=abc")),
  ),
  behind("an initial response of the length -1", saslInitialResponse(mechanism, undefined)),
  behind(
    "an initial response of the length -1 and an empty one",
    saslInitialResponse(mechanism, undefined),
    saslResponse(nothing),
  ),
  behind(
    "an initial response longer than its message",
    frame("p", Buffer.concat([text(mechanism), int32(500), Buffer.from("n,,")])),
  ),
  behind(
    "an initial response of the length -2",
    frame("p", Buffer.concat([text(mechanism), int32(-2), Buffer.from("n,,")])),
  ),
  behind(
    "an initial response shorter than its message",
    frame("p", Buffer.concat([text(mechanism), int32(3), Buffer.from("n,,n=,r=abc")])),
  ),
  behind("an initial response of 0 bytes", saslInitialResponse(mechanism, nothing)),
  behind("an initial response with a NUL", first(`n,,n=,${nonce}\0`)),
  behind("an unknown channel binding flag", first(`x,,n=,${nonce}`)),
  behind("channel binding without TLS", first(`p=tls-server-end-point,,n=,${nonce}`)),
  behind("an authorisation name", first(`n,a=postgres,n=,${nonce}`)),
  behind("an extension that must be understood", first(`n,,m=ext,n=,${nonce}`)),
  behind("no nonce", first("n,,n=user")),
  behind("an empty nonce", first("n,,n=,r=")),
  behind("a nonce with a blank that is not printable", first("n,,n=,r=a\x01b")),
  refusedBehind(
    "a nonce of 2,000 bytes",
    { reason: lengthReason, errors: [lengthError] },
    first(`n,,n=,r=${"a".repeat(2_000)}`),
  ),
  behind("attributes in a wrong order", first(`n,,${nonce},n=`)),
  behind("two initial responses", first(`n,,n=,${nonce}`), first(`n,,n=,${nonce}`)),
  behind(
    "a final message with a nonce of its own",
    first(`n,,n=,${nonce}`),
    saslResponse(Buffer.from("c=biws,r=other,p=AAAA")),
  ),
  behind(
    "a final message with the client's nonce alone",
    first(`n,,n=,${nonce}`),
    saslResponse(Buffer.from(`c=biws,${nonce},p=AAAA`)),
  ),
  behind(
    "a final message without a proof",
    first(`n,,n=,${nonce}`),
    saslResponse(Buffer.from(`c=biws,${nonce}`)),
  ),
  behind("a final message that is empty", first(`n,,n=,${nonce}`), saslResponse(nothing)),
  behind(
    "a final message with another channel binding",
    first(`n,,n=,${nonce}`),
    saslResponse(Buffer.from(`c=eSws,${nonce},p=AAAA`)),
  ),
  behind("a Query in place of the final message", first(`n,,n=,${nonce}`), query("SELECT 1")),
]

export const loginCases: readonly LoginCase[] = [...packets, ...requests, ...answers]
