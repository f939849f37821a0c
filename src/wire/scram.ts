import { hash, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto"
import { promisify } from "node:util"
import { GatewayError, InvariantViolation } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { unpredictable } from "./random.ts"
import { saslprep } from "./saslprep.ts"
import {
  Attributes,
  malformed,
  readSaslText,
  refused,
  shown,
  unsupported,
  violation,
} from "./scram-attributes.ts"

/**
 * What a server keeps of a password: enough to check a proof, not enough to make one (RFC 5802, 3). The text form is
 * PostgreSQL's, so that a line of pg_authid can be copied into configuration.
 */
export type ScramVerifier = {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** Bytes of SHA-256. */
const scramKeyBytes = 32

/** PostgreSQL's scram_iterations default; RFC 7677 asks for at least this many. */
export const scramIterationsDefault = 4096

/** Above, a login costs the client seconds, during which libpq does not let itself be interrupted. */
export const scramIterationsMax = 10_000_000

/** PostgreSQL's SCRAM_DEFAULT_SALT_LEN. */
const saltBytes = 16
const saltBytesMax = 1024

const derive = promisify(pbkdf2)

const verifierText =
  /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/

/** Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; undefined when the text is anything else. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const parts = verifierText.exec(text)
  if (parts === null) return undefined
  const [, count = "", saltText = "", storedText = "", serverText = ""] = parts
  const iterations = Number.parseInt(count, 10)
  const salt = Buffer.from(saltText, "base64")
  const storedKey = Buffer.from(storedText, "base64")
  const serverKey = Buffer.from(serverText, "base64")
  const isSound =
    iterations >= 1 &&
    iterations <= scramIterationsMax &&
    salt.length > 0 &&
    salt.length <= saltBytesMax &&
    // Base64 has several spellings of one value; one verifier has one text.
    salt.toString("base64") === saltText &&
    storedKey.toString("base64") === storedText &&
    serverKey.toString("base64") === serverText
  return isSound ? { iterations, salt, storedKey, serverKey } : undefined
}

export function formatVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier
  return (
    `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}` +
    `$${storedKey.toString("base64")}:${serverKey.toString("base64")}`
  )
}

/**
 * Makes the text of a verifier. PBKDF2 runs on a thread of the pool, never on the event loop; it is needed when a password
 * is set, not when someone logs in.
 */
export async function makeVerifier(
  password: string,
  iterations: number = scramIterationsDefault,
  salt: Buffer = randomBytes(saltBytes),
): Promise<string> {
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > scramIterationsMax) {
    throw new RangeError(`iterations must be a whole number from 1 to ${scramIterationsMax}`)
  }
  const salted = await derive(saslprep(password), salt, iterations, scramKeyBytes, "sha256")
  const clientKey = hmac(salted, "Client Key")
  const storedKey = hash("sha256", clientKey, "buffer")
  const serverKey = hmac(salted, "Server Key")
  return formatVerifier({ iterations, salt, storedKey, serverKey })
}

/**
 * A verifier that no password fits, for a user that does not exist: the exchange then looks like any other and fails where a
 * wrong password fails. The salt is derived from a secret of the server, so that the same name always shows the same one, as
 * a real user would; with a random one, two tries would tell who exists. `like`: iterations and length of the salt (up to
 * 32 bytes) are those of this verifier of a real user. The keys are never shown, so one pair does for all names, and an
 * unknown name costs one HMAC more than a known one.
 */
export function mockVerifier(
  user: string,
  secret: Buffer,
  like: Pick<ScramVerifier, "iterations" | "salt"> = mockLike,
): ScramVerifier {
  const key = hash("sha256", secret, "buffer")
  return {
    iterations: like.iterations,
    salt: hmac(secret, `salt\0${user}`).subarray(0, like.salt.length),
    storedKey: key,
    serverKey: key,
  }
}

const mockLike = { iterations: scramIterationsDefault, salt: Buffer.alloc(saltBytes) }

/** SHA-256 works on blocks of this size. */
const blockBytes = 64

/**
 * HMAC-SHA-256 (RFC 2104). `latin1` for text that was read one byte a character. Spelled out over one-shot hashing, because
 * createHmac sets up two objects for a key that is used once: 14 us against 3 us here, twice a login.
 */
export function hmac(key: Buffer, text: string, encoding: "utf8" | "latin1" = "utf8"): Buffer {
  const short = key.length > blockBytes ? hash("sha256", key, "buffer") : key
  const inner = Buffer.allocUnsafe(blockBytes + Buffer.byteLength(text, encoding))
  const outer = Buffer.allocUnsafe(blockBytes + scramKeyBytes)
  for (let index = 0; index < blockBytes; index += 1) {
    const byte = index < short.length ? (short[index] ?? 0) : 0
    inner[index] = byte ^ 0x36
    outer[index] = byte ^ 0x5c
  }
  inner.write(text, blockBytes, encoding)
  hash("sha256", inner, "buffer").copy(outer, blockBytes)
  return hash("sha256", outer, "buffer")
}

export const scramSha256 = "SCRAM-SHA-256"
export const scramSha256Plus = "SCRAM-SHA-256-PLUS"

/** SCRAM_RAW_NONCE_LEN: 18 bytes are 24 characters of base64 without padding. */
const nonceBytes = 18

const bindingType = "tls-server-end-point"

export type ScramServerOptions = {
  /** For the error's text only: SCRAM's own user name is not looked at, as in PostgreSQL, whose clients send none. */
  readonly user: string
  readonly verifier: ScramVerifier
  /** Hash of the server's certificate (RFC 5929, tls-server-end-point). When set, PLUS is offered; undefined without TLS. */
  readonly channelBinding?: Buffer
  /** For tests with the RFC's own vectors. */
  readonly serverNonce?: string
}

export type ScramStep =
  /** Send as AuthenticationSASLContinue and hand the answer to `step`. */
  | { readonly kind: "continue"; readonly data: Buffer }
  /** The password was right: send as AuthenticationSASLFinal, then AuthenticationOk. */
  | { readonly kind: "done"; readonly data: Buffer }

/** What the server can do, the preferred one first, for AuthenticationSASL. */
export function scramMechanisms(channelBinding: Buffer | undefined): readonly string[] {
  return channelBinding === undefined ? [scramSha256] : [scramSha256Plus, scramSha256]
}

/**
 * Server side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), a state machine without I/O:
 *
 *   begin(mechanism, data) ──▶ first ──client-first──▶ proof ──client-final──▶ over
 *
 * A client that sends no first data gets an empty challenge and sends it next. Every error is FATAL, with PostgreSQL's
 * text (auth-scram.c): 08P01 for a malformed message, 28P01 for a wrong password. It needs one SHA-256 and two HMACs, so
 * it runs on the event loop; PBKDF2 is the client's work.
 */
export class ScramServer {
  readonly #options: ScramServerOptions
  #state: "start" | "first" | "proof" | "over" = "start"
  #usesBinding = false
  #gs2Header = ""
  #clientFirstBare = ""
  #serverFirst = ""
  #nonce = ""

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  /** The first answer of the client, which chose a mechanism. */
  begin(mechanism: string, data: Buffer | undefined): ScramStep {
    this.#expect("start")
    this.checkMechanism(mechanism)
    this.#usesBinding = mechanism === scramSha256Plus
    this.#state = "first"
    return data === undefined ? { kind: "continue", data: Buffer.alloc(0) } : this.step(data)
  }

  checkMechanism(mechanism: string): void {
    const isOffered = scramMechanisms(this.#options.channelBinding).includes(mechanism)
    if (!isOffered) throw violation("client selected an invalid SASL authentication mechanism")
  }

  /** A later answer. */
  step(data: Buffer): ScramStep {
    const text = readSaslText(data)
    if (this.#state === "first") return { kind: "continue", data: this.#clientFirst(text) }
    this.#expect("proof")
    this.#state = "over"
    return { kind: "done", data: this.#clientFinal(text) }
  }

  #expect(state: "start" | "proof"): void {
    if (this.#state !== state) throw new InvariantViolation("SCRAM exchange out of order")
  }

  #clientFirst(text: string): Buffer {
    const afterFlag = this.#readBindingFlag(text)
    if (text[afterFlag] === "a") {
      throw unsupported("client uses authorization identity, but it is not supported")
    }
    if (text[afterFlag] !== ",") {
      throw malformed(`Unexpected attribute "${shown(text[afterFlag])}" in client-first-message.`)
    }
    this.#gs2Header = text.slice(0, afterFlag + 1)
    this.#clientFirstBare = text.slice(afterFlag + 1)
    if (this.#clientFirstBare.startsWith("m")) {
      throw unsupported("client requires an unsupported SCRAM extension")
    }
    const attributes = new Attributes(this.#clientFirstBare)
    attributes.take("n")
    const clientNonce = attributes.take("r")
    if (!/^[!-~]*$/.test(clientNonce)) throw violation("non-printable characters in SCRAM nonce")
    while (!attributes.isAtEnd) attributes.any()
    const { serverNonce, verifier } = this.#options
    this.#nonce = clientNonce + (serverNonce ?? unpredictable(nonceBytes).toString("base64"))
    const salt = verifier.salt.toString("base64")
    this.#serverFirst = `r=${this.#nonce},s=${salt},i=${verifier.iterations}`
    this.#state = "proof"
    return Buffer.from(this.#serverFirst)
  }

  /** Reads the gs2 header's flag and returns where the authorization identity would stand. */
  #readBindingFlag(text: string): number {
    const flag = text[0]
    if (flag === "p") return this.#readBindingType(text)
    if (flag !== "n" && flag !== "y") {
      throw malformed(`Unexpected channel-binding flag "${shown(flag)}".`)
    }
    if (this.#usesBinding) {
      throw malformed(
        "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
      )
    }
    // "y": the client could bind but believes that we cannot. When we did offer it, someone in between took the offer away.
    if (flag === "y" && this.#options.channelBinding !== undefined) {
      throw refused(
        "SCRAM channel binding negotiation error",
        "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.",
      )
    }
    if (text[1] !== ",") throw malformed(`Comma expected, but found character "${shown(text[1])}".`)
    return 2
  }

  #readBindingType(text: string): number {
    if (!this.#usesBinding) {
      throw malformed(
        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
      )
    }
    const attributes = new Attributes(text)
    const type = attributes.take("p")
    if (type !== bindingType) throw violation(`unsupported SCRAM channel-binding type "${type}"`)
    return attributes.offset
  }

  #clientFinal(text: string): Buffer {
    const attributes = new Attributes(text)
    const binding = attributes.take("c")
    if (binding !== this.#expectedBinding()) {
      throw this.#usesBinding
        ? refused("SCRAM channel binding check failed")
        : violation("unexpected SCRAM channel-binding attribute in client-final-message")
    }
    const nonce = attributes.take("r")
    let proofAt = attributes.offset
    let attribute = attributes.any()
    while (attribute.name !== "p") {
      proofAt = attributes.offset
      attribute = attributes.any()
    }
    const proof = Buffer.from(attribute.value, "base64")
    if (proof.length !== scramKeyBytes || proof.toString("base64") !== attribute.value) {
      throw malformed("Malformed proof in client-final-message.")
    }
    if (!attributes.isAtEnd) throw malformed("Garbage found at the end of client-final-message.")
    if (!isSame(Buffer.from(nonce, "latin1"), Buffer.from(this.#nonce, "latin1"))) {
      throw violation("invalid SCRAM response", "Nonce does not match.")
    }
    const withoutProof = text.slice(0, proofAt - 1)
    return this.#verify(proof, `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`)
  }

  /** The gs2 header that began the exchange, with the binding's data behind it: proof that nobody changed either. */
  #expectedBinding(): string {
    const { channelBinding } = this.#options
    const header = Buffer.from(this.#gs2Header, "latin1")
    const isBound = this.#usesBinding && channelBinding !== undefined
    return (isBound ? Buffer.concat([header, channelBinding]) : header).toString("base64")
  }

  #verify(proof: Buffer, authMessage: string): Buffer {
    const { storedKey, serverKey } = this.#options.verifier
    const clientKey = hmac(storedKey, authMessage, "latin1")
    for (let index = 0; index < scramKeyBytes; index += 1) {
      clientKey[index] = (clientKey[index] ?? 0) ^ (proof[index] ?? 0)
    }
    if (!isSame(hash("sha256", clientKey, "buffer"), storedKey)) {
      throw passwordRefused(this.#options.user)
    }
    return Buffer.from(`v=${hmac(serverKey, authMessage, "latin1").toString("base64")}`)
  }
}

/** PostgreSQL's answer to a wrong password and to an unknown user alike. */
export function passwordRefused(user: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidPassword,
    reason: "invalid_password",
    severity: "FATAL",
    message: `password authentication failed for user "${user}"`,
  })
}

function isSame(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
