/** As much of node:test as unit tests of policies use: what is described is kept, and run when the file has been read. */

type Body = () => unknown
type Step = { readonly title: string; readonly body: Body }

const steps: Step[] = []
const ends: Body[] = []

export function describe(_title: string, body: Body): void {
  body()
}

export function it(title: string, body: Body): void {
  steps.push({ title, body })
}

export function before(body: Body): void {
  steps.push({ title: "before", body })
}

export function after(body: Body): void {
  ends.push(body)
}

/** What a file described that could not be read to its end. */
export function forget(): void {
  steps.length = 0
  ends.length = 0
}

/** Runs what the files described since the last call; gives the title of the first that fails, and asks no others. */
export async function firstFailure(): Promise<string | undefined> {
  try {
    for (const { title, body } of steps.splice(0)) {
      const failure = await failureOf(body)
      if (failure !== undefined) return `${title}: ${failure}`
    }
    return undefined
  } finally {
    for (const body of ends.splice(0)) await failureOf(body)
  }
}

async function failureOf(body: Body): Promise<string | undefined> {
  try {
    await body()
    return undefined
  } catch (thrown) {
    return String(thrown)
  }
}
