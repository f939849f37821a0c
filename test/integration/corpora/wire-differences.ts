/** Where the answer through the gateway cannot be PostgreSQL's, and why. An entry that is not needed fails the test. */
export type WireDifference = {
  readonly id: string
  /** What the difference looks like. */
  readonly difference: RegExp
  readonly reason: string
}

export const wireDifferences: readonly WireDifference[] = [
  {
    id: "W063",
    difference: /C="0A000" M="a setting of the warehouse cannot be asked for beside facts/,
    reason:
      "A setting that only the warehouse knows and settings of the session stand in one statement: the gateway answers the second, the warehouse the first.",
  },
  {
    id: "W162",
    difference: /M="SET ROLE is not supported by this gateway"/,
    reason:
      "SET ROLE is refused: whose rights count is decided at log-in, and a warehouse connection is shared.",
  },
]

/** Shown by a test of its own. */
export const cancelledDifference = {
  id: "W195",
  reason:
    "A statement that is cancelled before its first row ends at once; PostgreSQL's RowDescription would have come with the error.",
}
