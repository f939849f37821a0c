/** Where the gateway may answer otherwise than the origin, and why. Everything else must be equal byte for byte. */
export type KnownDifference = {
  readonly name: string
  /** Tested against the SQL text of the statement. */
  readonly text: RegExp
  /** Tested against the description of the difference; undefined = any. */
  readonly difference?: RegExp
  /** The sessions are in different states after it, so that the rest of the flow cannot be compared. */
  readonly endsFlow?: boolean
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
    endsFlow: true,
    reason:
      "Both functions are answered by the gateway for its own sessions; on the origin they ask the server's list of backends.",
  },
  {
    name: "context of a bad parameter value",
    text: /\$\d|^\s*EXECUTE\b/i,
    difference: /unnamed portal parameter/,
    endsFlow: true,
    reason:
      "A named portal of the client runs as the unnamed one of the warehouse connection, and the warehouse's CONTEXT line names that. Arguments of EXECUTE travel as parameters, so that PostgreSQL's position in the text is missing.",
  },
  {
    name: "type modifier of a described, not yet executed portal",
    text: /\b(CASE|NULL|NULLIF|COALESCE|LEAST|GREATEST|UNION|EXCEPT|INTERSECT|VALUES)\b|\$\d|^\s*EXECUTE\b/i,
    difference: /^message \d+: expected T .*got T /s,
    reason:
      "Describe of a portal that is not executed in the same breath is answered with the statement's description; PostgreSQL describes the planned portal, in which a folded branch may have left a length behind or taken it away. So is EXECUTE.",
  },
  {
    name: "which row of a cursor fails first",
    text: /^\s*(DECLARE|FETCH|MOVE)\b/i,
    difference:
      /expected (E .*got [TDC] |[TDC] .*got E )|C="55000" M="cursor can only scan forward"/s,
    endsFlow: true,
    reason:
      "PostgreSQL plans a cursor for its first rows (cursor_tuple_fraction) and may so meet a failing expression at another row than the plain statement that the gateway runs and shares with the cache.",
  },
  {
    name: "rows of an EXECUTE before its error",
    text: /^\s*EXECUTE\b/i,
    difference: /expected E .*got T /s,
    reason:
      "PostgreSQL gathers all rows of an EXECUTE before it sends the first; the gateway sends them as they come, in bounded memory, so that a client sees the rows in front of the one that failed. The error is the same.",
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
