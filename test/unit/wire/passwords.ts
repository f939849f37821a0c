/** Passwords that show one step of SASLprep each; PostgreSQL's verifiers for them are in goldens/verifiers.json. */
export const passwords: readonly string[] = [
  "pencil",
  " space around ",
  "it's; \\ $tricky",
  "control \u0001\u007f is left alone in ASCII",
  // Mapped: soft hyphen to nothing, no-break and ideographic space to a space.
  "I\u00adX",
  "a\u00a0b\u3000c",
  "\u00ad",
  // Normalised: compatibility forms, composition.
  "\u00aa",
  "\u2168",
  "e\u0301",
  "\ufb01n",
  "\u212b",
  "\u1100\u1161",
  // Prohibited: used as they are.
  "\u00e9\u0007",
  "\ue000x",
  "\u200ex",
  "\u206a",
  // Unassigned in Unicode 3.2: used as they are.
  "\u0221",
  "\u{1f600} grin e\u0301",
  // Right to left: alone, framed, mixed.
  "\u0627\u0628",
  "\u06271",
  "\u06271\u0628",
  "\u0627x\u0628",
  "\u05d0 e\u0301",
  "Pässwörd – 東京",
]
