import type { Socket } from "node:net"
import { type GatewayError, toGatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import {
  authenticationCleartextPassword,
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from "../wire/backend-messages.ts"
import type { FrameSplitter } from "../wire/frame-splitter.ts"
import {
  decodePassword,
  decodeSaslInitialResponse,
  decodeSaslResponse,
} from "../wire/frontend-decoder.ts"
import type { StartupMessage } from "../wire/frontend-messages.ts"
import {
  passwordRefused,
  ScramServer,
  type ScramStep,
  type ScramVerifier,
  scramMechanisms,
} from "../wire/scram.ts"
import { type CertificateState, certificateFits } from "./client-certificate.ts"
import { identify, identityRefused, ofPassword, type TokenLogin } from "./identify.ts"
import {
  certificateRequired,
  tlsRequired,
  tooManyFailures,
  unknownDatabase,
} from "./login-errors.ts"
import type { Admission } from "./login-throttle.ts"
import { identityTokenOf } from "./startup-settings.ts"
import type { Account, ConnectionFacts, Users } from "./users.ts"

export type AuthenticationOptions = {
  readonly users: Users
  readonly facts: ConnectionFacts
  readonly tokens: TokenLogin | undefined
  readonly channel: AuthenticationChannel
  readonly throttle: ThrottledAddress
  /** The database of this name, if it is served. */
  readonly database: (name: string) => { readonly requiresIdentity: boolean } | undefined
}

export type AuthenticationChannel = {
  /** See {@link ScramServerOptions}. */
  readonly channelBinding: Buffer | undefined
  readonly certificate: CertificateState
}

/** What failed logins from one address cost the next one. */
export type ThrottledAddress = {
  admit(user: string): Admission
  failed(user: string): void
  succeeded(user: string): void
}

/** How an authentication ends, and what it asks for on its way. */
export type AuthenticationEvents = {
  /** `greeting`: what the client is to be sent first. */
  accepted(identity: Identity, greeting: readonly Buffer[]): void
  refused(error: GatewayError): void
  /** It takes messages again. */
  ready(): void
}

/**
 * Who the client of a startup packet is: the exchanges of the PostgreSQL manual, 54.2.1 and 54.3.
 *
 *   begin ──▶ sasl ──▶ proof ──▶ checking ──▶ accepted
 *     ├──▶ password ────────────────┤
 *     └──▶ certificate ─────────────┘
 *
 * It waits for nothing but the client, for a place among those whose address has failed, and for a signature where a token
 * was not seen before, so that a login costs the event loop one SHA-256 and a few HMACs.
 */
export class Authentication {
  readonly #socket: Socket
  readonly #splitter: FrameSplitter
  readonly #startup: StartupMessage
  readonly #options: AuthenticationOptions
  readonly #events: AuthenticationEvents
  #account: Account | undefined
  #scram: ScramServer | undefined
  #phase: "sasl" | "proof" | "password" | "checking" = "checking"
  #delay: NodeJS.Timeout | undefined
  #leaveThrottle: (() => void) | undefined
  #isOver = false

  constructor(
    connection: { readonly socket: Socket; readonly splitter: FrameSplitter },
    startup: StartupMessage,
    options: AuthenticationOptions,
    events: AuthenticationEvents,
  ) {
    this.#socket = connection.socket
    this.#splitter = connection.splitter
    this.#startup = startup
    this.#options = options
    this.#events = events
  }

  /** Asks for what this user has to show. Refusals are thrown, here and in {@link next}. */
  begin(): void {
    const startup = this.#startup
    const { users, facts } = this.#options
    const account = users.accountOf(startup.user, startup.database, facts)
    this.#account = account
    if (account.kind === "token") {
      if (!facts.isEncrypted) throw tlsRequired()
      this.#phase = "password"
      this.#socket.write(authenticationCleartextPassword)
      return
    }
    const { certificate } = this.#options.channel
    if (account.kind === "certificate" && certificateFits(account.rule, certificate)) {
      this.#admit(account, [])
      return
    }
    const admission = this.#options.throttle.admit(startup.user)
    if (admission.kind === "at_once") this.#challenge(account.verifier)
    else if (admission.kind === "refused") throw tooManyFailures()
    else {
      this.#phase = "checking"
      this.#leaveThrottle = admission.leave
      // What comes meanwhile is left in the socket, which holds little.
      this.#socket.pause()
      this.#delay = setTimeout(() => this.#challengeLate(account.verifier), admission.delayMs)
    }
  }

  /** Handles one message; false when none is whole yet, or none is to be read now. */
  next(): boolean {
    if (this.#phase === "checking" || !this.#splitter.nextLogin()) return false
    const { bytes, start, end } = this.#splitter
    if (this.#phase === "password") {
      this.#checkPassword(decodePassword(bytes, start, end))
      return true
    }
    const scram = this.#scram
    if (scram === undefined) return false
    if (this.#phase === "proof") {
      this.#answer(scram.step(decodeSaslResponse(bytes, start, end)))
      return true
    }
    this.#phase = "proof"
    const { mechanism, data } = decodeSaslInitialResponse(bytes, { start, end }, (name) =>
      scram.checkMechanism(name),
    )
    this.#answer(scram.begin(mechanism, data))
    return true
  }

  /** The connection has ended or belongs to a session. */
  leave(): void {
    this.#isOver = true
    // Whoever leaves before his time keeps the place that he waits in: leaving must not be quicker than waiting.
    if (this.#delay === undefined) this.#leaveThrottle?.()
  }

  failed(): void {
    this.#options.throttle.failed(this.#startup.user)
  }

  #challengeLate(verifier: ScramVerifier): void {
    this.#delay = undefined
    if (this.#isOver) {
      this.#leaveThrottle?.()
      return
    }
    this.#socket.resume()
    this.#challenge(verifier)
    this.#events.ready()
  }

  #challenge(verifier: ScramVerifier): void {
    this.#phase = "sasl"
    const { channelBinding } = this.#options.channel
    this.#scram = new ScramServer({
      user: this.#startup.user,
      verifier,
      ...(channelBinding === undefined ? {} : { channelBinding }),
    })
    this.#socket.write(authenticationSasl(scramMechanisms(channelBinding)))
  }

  #answer(step: ScramStep): void {
    if (step.kind === "continue") {
      this.#socket.write(authenticationSaslContinue(step.data))
      return
    }
    const { user } = this.#startup
    const account = this.#account
    if (account?.kind !== "password") throw passwordRefused(user)
    const { certificate: rule } = account.entry
    const { certificate } = this.#options.channel
    // Told only to who knows the password; before that, a user with a rule looks like one without.
    if (rule !== undefined && !certificateFits(rule, certificate))
      throw certificate.kind === "valid" ? passwordRefused(user) : certificateRequired()
    this.#admit(account, [authenticationSaslFinal(step.data)])
  }

  /** The proof was right. What exists is told only from here on: before that, every name looks the same. */
  #admit(
    account: Extract<Account, { kind: "password" | "certificate" }>,
    final: readonly Buffer[],
  ): void {
    const startup = this.#startup
    this.#options.throttle.succeeded(startup.user)
    const { entry } = account
    const database = this.#options.database(startup.database)
    const isAllowed = entry.databases === undefined || entry.databases.includes(startup.database)
    if (database === undefined || !isAllowed) {
      for (const message of final) this.#socket.write(message)
      this.#socket.write(authenticationOk)
      throw unknownDatabase(startup.database)
    }
    this.#settle(final, () =>
      identify({
        identity: account.identity,
        mode: entry.identityMode,
        token: identityTokenOf(startup.parameters),
        isRequired: database.requiresIdentity,
        facts: this.#options.facts,
        tokens: this.#options.tokens,
      }),
    )
  }

  #checkPassword(token: string): void {
    const startup = this.#startup
    const { tokens, database } = this.#options
    if (tokens === undefined) throw passwordRefused(startup.user)
    if (identityTokenOf(startup.parameters) !== undefined)
      throw identityRefused("one token came as password and another one in the startup packet")
    this.#settle([], async () => {
      const identity = ofPassword(await tokens.verifier.verify(token), startup.user)
      if (database(startup.database) === undefined) throw unknownDatabase(startup.database)
      return identity
    })
  }

  /** The last step: who it is. Bytes that come meanwhile wait in the socket. */
  #settle(greeting: readonly Buffer[], check: () => Identity | Promise<Identity>): void {
    this.#phase = "checking"
    const accept = (identity: Identity): void =>
      this.#events.accepted(identity, [...greeting, authenticationOk])
    const refuse = (thrown: unknown): void => {
      if (this.#isOver) return
      for (const message of greeting) this.#socket.write(message)
      this.#events.refused(toGatewayError(thrown))
    }
    let identity: Identity | Promise<Identity>
    try {
      identity = check()
    } catch (thrown) {
      refuse(thrown)
      return
    }
    if (!(identity instanceof Promise)) {
      accept(identity)
      return
    }
    this.#socket.pause()
    identity.then(accept, refuse)
  }
}
