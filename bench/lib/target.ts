/** Something that speaks PostgreSQL's protocol on loopback and answers the bench's statements. */
export type Target = {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** The process whose memory is of interest, where there is one. */
  readonly pid?: number
  stop(): Promise<void>
}

export function uriOf(target: Target): string {
  const { user, password, host, port, database } = target
  return `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}`
}
