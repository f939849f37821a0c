/** 0 = text, 1 = binary (PostgreSQL manual, 54.1.3). */
export type FormatCode = 0 | 1

/** How a client asked: the stage of an error is known where the warehouse is asked the same way. */
export type Protocol = "simple" | "extended"

/** Parameters of one Bind, with the types that Parse declared. Lengths of `formats` and `values` agree; `types` may be shorter (0 = unspecified). */
export type Parameters = {
  readonly types: readonly number[]
  readonly formats: readonly FormatCode[]
  readonly values: readonly (Buffer | null)[]
}

export const noParameters: Parameters = { types: [], formats: [], values: [] }
