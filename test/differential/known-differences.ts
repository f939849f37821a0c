/** Where the gateway may answer otherwise than the origin, and why. Everything else must be equal byte for byte. */
export type KnownDifference = {
  readonly name: string
  /** Tested against the SQL text of the statement. */
  readonly text: RegExp
  /** Tested against the description of the difference; undefined = any. */
  readonly difference?: RegExp
  readonly reason: string
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    name: "virtual process ids",
    text: /pg_backend_pid\s*\(/i,
    reason:
      "A session's process id is the gateway's own, unique over the fleet, so that a client can cancel by it; the backend's would name a connection that others use next.",
  },
  {
    name: "terminate by virtual process id",
    text: /pg_terminate_backend|pg_cancel_backend/i,
    reason:
      "Both functions are answered by the gateway for its own sessions; on the origin they ask the server's list of backends.",
  },
  {
    name: "context of a bad parameter value",
    text: /\$\d/,
    difference: /unnamed portal parameter/,
    reason:
      "A named portal of the client runs as the unnamed one of the warehouse connection, and the warehouse's CONTEXT line names that.",
  },
  {
    name: "type modifier of a described, not yet executed portal",
    text: /\bNULL\b|\$\d/i,
    difference: /expected T .*got T /s,
    reason:
      "Describe followed by Flush is answered before the parameters' values are known to the warehouse; PostgreSQL has folded a bound NULL by then and may report the other branch's length.",
  },
  {
    name: "which row of a cursor fails first",
    text: /^\s*(DECLARE|FETCH|MOVE)\b/i,
    difference: /expected (E .*got [TDC] |[TDC] .*got E )/s,
    reason:
      "PostgreSQL plans a cursor for its first rows (cursor_tuple_fraction) and may so meet a failing expression at another row than the plain statement that the gateway runs and shares with the cache.",
  },
]

export function knownDifference(
  texts: readonly string[],
  difference: string,
): KnownDifference | undefined {
  return knownDifferences.find(
    (known) =>
      texts.some((text) => known.text.test(text)) && (known.difference?.test(difference) ?? true),
  )
}
