import type { FormatCode } from "../core/parameters.ts"

/**
 * Frontend messages (client to server) as values: PostgreSQL manual, 54.7. A decoded message owns all it holds, so that
 * the buffer it was read from may go; only CopyData points into that buffer.
 */
export type FrontendMessage =
  | QueryMessage
  | ParseMessage
  | BindMessage
  | DescribeMessage
  | ExecuteMessage
  | CloseMessage
  | CopyDataMessage
  | CopyFailMessage
  | {
      readonly kind: "Flush" | "Sync" | "Terminate" | "CopyDone"
    }
  /** The body is not looked at: Sluice refuses the call whatever it says. */
  | { readonly kind: "FunctionCall" }

export type QueryMessage = { readonly kind: "Query"; readonly sql: string }

export type ParseMessage = {
  readonly kind: "Parse"
  /** Empty for the unnamed statement. */
  readonly name: string
  readonly sql: string
  /** Type OIDs; 0 leaves one to the server. May be shorter than the statement's parameters. */
  readonly parameterTypes: readonly number[]
}

export type BindMessage = {
  readonly kind: "Bind"
  readonly portal: string
  readonly statement: string
  /** One for each value: the protocol's short forms (none, one for all) are already spread out. */
  readonly parameterFormats: readonly FormatCode[]
  readonly values: readonly (Buffer | null)[]
  /** As sent: empty = all text, one = for all columns, otherwise one for each column. */
  readonly resultFormats: readonly FormatCode[]
}

export type DescribeTarget = "statement" | "portal"

export type DescribeMessage = {
  readonly kind: "Describe"
  readonly target: DescribeTarget
  readonly name: string
}

export type CloseMessage = {
  readonly kind: "Close"
  readonly target: DescribeTarget
  readonly name: string
}

export type ExecuteMessage = {
  readonly kind: "Execute"
  readonly portal: string
  /** 0 = all rows. PostgreSQL reads a negative number as 0, and so does the decoder. */
  readonly rowsMax: number
}

export type CopyDataMessage = {
  readonly kind: "CopyData"
  /** Points into the frame's buffer: valid until the splitter's next call. */
  readonly data: Buffer
}

export type CopyFailMessage = { readonly kind: "CopyFail"; readonly message: string }

/** First answer to AuthenticationSASL. */
export type SaslInitialResponse = {
  readonly mechanism: string
  /** undefined when the client sent none (length -1), which is not the same as an empty one. */
  readonly data: Buffer | undefined
}

/** What may come before login; the session answers SSLRequest and GSSENCRequest with one byte and asks again. */
export type StartupPacket =
  | { readonly kind: "SSLRequest" | "GSSENCRequest" }
  | CancelRequest
  | StartupMessage

export type CancelRequest = {
  readonly kind: "CancelRequest"
  readonly processId: number
  /** 4 bytes from a 3.0 client, up to 256 from a 3.2 one. */
  readonly secretKey: Buffer
}

export type StartupMessage = {
  readonly kind: "StartupMessage"
  /** Minor version asked for, as sent; answer with NegotiateProtocolVersion when {@link needsNegotiation} says so. */
  readonly protocolMinor: number
  readonly user: string
  /** The user's name when the client named none. */
  readonly database: string
  /** Every pair as sent, `user` and `database` included, without the `_pq_.` ones. The last of a repeated name counts. */
  readonly parameters: ReadonlyMap<string, string>
  /** Names of protocol extensions asked for (`_pq_.…`). Sluice knows none. */
  readonly protocolOptions: readonly string[]
}
