declare module "pg-cursor" {
  import type { Connection, Submittable } from "pg"

  /** What pg-cursor 2.22 is used for here; it comes without types of its own. */
  export default class Cursor<Row> implements Submittable {
    constructor(text: string, values: readonly unknown[])
    submit(connection: Connection): void
    /** At most `rowsMax` rows; none at the end. */
    read(rowsMax: number): Promise<Row[]>
    close(): Promise<void>
  }
}
