/** Something the gateway tells the client beside the answer, sent as NoticeResponse. */
export type Remark = {
  readonly severity: "NOTICE" | "WARNING"
  readonly sqlState: string
  readonly message: string
  readonly hint: string | undefined
}
