import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto"

export type SealingKey = {
  /** Stands in every value that this key has sealed. Not secret. */
  readonly id: string
  /** 32 bytes. */
  readonly secret: Buffer
}

const nonceBytes = 12
const tagBytes = 16

/** How many bytes a seal adds. */
export const sealBytes: number = nonceBytes + tagBytes

/**
 * Seals values with AES-256-GCM. The first key seals, all of them open, so that keys rotate without a cold cache: add the
 * new one last on all instances, then put it first on all, then take the old one out when its entries have expired.
 *
 * A value's own key is HMAC-SHA-256(secret, digest of its cache key): a value under another cache key does not open, and the
 * 2^32 random nonces that one GCM key is good for (NIST SP 800-38D, 8.3) are never used up, because they count per entry.
 */
export class SealingKeys {
  readonly #active: SealingKey
  readonly #keys: ReadonlyMap<string, SealingKey>

  constructor(active: SealingKey, others: readonly SealingKey[]) {
    this.#active = active
    this.#keys = new Map([active, ...others].map((key) => [key.id, key]))
  }

  get activeId(): string {
    return this.#active.id
  }

  has(id: string): boolean {
    return this.#keys.has(id)
  }

  /** Nonce, cipher text, tag. `bound` is authenticated and not stored: the value's header and the digest of its key. */
  seal(plain: Buffer, digest: Buffer, bound: Buffer): Buffer {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv("aes-256-gcm", valueKey(this.#active, digest), nonce)
    cipher.setAAD(bound)
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** Undefined when no key of that id is there, or any bit of what was sealed or bound differs. */
  open(
    sealed: Buffer,
    by: { readonly id: string; readonly digest: Buffer; readonly bound: Buffer },
  ): Buffer | undefined {
    const key = this.#keys.get(by.id)
    if (key === undefined || sealed.length < sealBytes) return undefined
    const tagStart = sealed.length - tagBytes
    const nonce = sealed.subarray(0, nonceBytes)
    const decipher = createDecipheriv("aes-256-gcm", valueKey(key, by.digest), nonce, {
      authTagLength: tagBytes,
    })
    decipher.setAAD(by.bound)
    decipher.setAuthTag(sealed.subarray(tagStart))
    try {
      return Buffer.concat([
        decipher.update(sealed.subarray(nonceBytes, tagStart)),
        decipher.final(),
      ])
    } catch {
      return undefined
    }
  }
}

function valueKey(key: SealingKey, digest: Buffer): Buffer {
  return createHmac("sha256", key.secret).update(digest).digest()
}
