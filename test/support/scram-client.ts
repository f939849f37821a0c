import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto"
import { promisify } from "node:util"

const derive = promisify(pbkdf2)

export type ScramClientOptions = {
  readonly userName?: string
  readonly gs2Header?: string
  /** What the client believes the channel to be; sent behind the gs2 header. */
  readonly channelBinding?: Buffer
}

/**
 * The client's side of SCRAM-SHA-256, for tests: written from RFC 5802 and sharing no line with the server's side, so that
 * one mistake cannot hide in both. Passwords are taken as they are (no SASLprep).
 */
export class ScramClient {
  readonly #password: string
  readonly #gs2Header: string
  readonly #channelBinding: Buffer
  readonly #nonce: string = randomBytes(18).toString("base64")
  readonly #firstBare: string
  #serverSignature = ""

  constructor(password: string, options: ScramClientOptions = {}) {
    this.#password = password
    this.#gs2Header = options.gs2Header ?? "n,,"
    this.#channelBinding = options.channelBinding ?? Buffer.alloc(0)
    // libpq sends an empty user name: the one of the StartupMessage counts.
    this.#firstBare = `n=${options.userName ?? ""},r=${this.#nonce}`
  }

  /** client-first-message. */
  first(): Buffer {
    return Buffer.from(this.#gs2Header + this.#firstBare)
  }

  /** client-final-message. */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const challenge = serverFirst.toString()
    const values = new Map(challenge.split(",").map((part) => [part.slice(0, 1), part.slice(2)]))
    const nonce = values.get("r") ?? ""
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw new Error("bad server nonce")
    const salt = Buffer.from(values.get("s") ?? "", "base64")
    const salted = await derive(this.#password, salt, Number(values.get("i")), 32, "sha256")
    const header = Buffer.from(this.#gs2Header)
    const binding = Buffer.concat([header, this.#channelBinding]).toString("base64")
    const withoutProof = `c=${binding},r=${nonce}`
    const authMessage = `${this.#firstBare},${challenge},${withoutProof}`
    const clientKey = hmac(salted, "Client Key")
    const signature = hmac(createHash("sha256").update(clientKey).digest(), authMessage)
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
    this.#serverSignature = hmac(hmac(salted, "Server Key"), authMessage).toString("base64")
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`)
  }

  /** Checks that the server knows the password too. */
  verify(serverFinal: Buffer): void {
    if (serverFinal.toString() !== `v=${this.#serverSignature}`)
      throw new Error("bad server signature")
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest()
}
