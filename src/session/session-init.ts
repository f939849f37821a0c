import type { Socket } from "node:net"
import type { GatewayError } from "../core/errors.ts"
import type { StatementEnd, StatementReport } from "../core/observation.ts"
import type { FrameSplitter } from "../wire/frame-splitter.ts"
import type { ClosingSockets } from "./closing-sockets.ts"
import type { SessionMemory } from "./session-memory.ts"
import type { SessionLimits, SessionOrigin } from "./session-state.ts"
import type { SessionSettings } from "./settings.ts"

export type SessionEvents = {
  statementFinished(report: StatementReport, end: StatementEnd): void
  /** A bug of ours reached a client: for the log. */
  failed(error: GatewayError): void
  cancelled(by: "client" | "closed_socket"): void
  closed(): void
}

export type SessionInit = {
  readonly socket: Socket
  readonly splitter: FrameSplitter
  readonly origin: SessionOrigin
  readonly settings: SessionSettings
  readonly limits: SessionLimits
  readonly closing: ClosingSockets
  readonly memory: SessionMemory
  readonly events: SessionEvents
}
