import type { Question } from "../pipeline/question.ts"
import type { Rooms } from "../pipeline/rooms.ts"

/** What rows that wait in a cursor or a portal were allowed under. */
export type Judged = {
  readonly question: Question
  /** What the warehouse was asked, as a digest. */
  readonly canonical: string
  /** The last one that they were held against. */
  policy: ReturnType<Rooms["policy"]>
}
