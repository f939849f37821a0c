import type { Configuration } from "./configuration.ts"
import type { KeyPath } from "./problems.ts"

/** Shorter ones would make answers faster than anybody reads them. */
const timeBucketMsMin = 1_000

/** A time bucket is none, or long enough to be shared. */
export function checkTimeBuckets(
  { cache, roles, classes }: Configuration,
  report: (path: KeyPath, message: string) => void,
): void {
  const check = (path: KeyPath, bucketMs: number | undefined): void => {
    if (bucketMs !== undefined && bucketMs > 0 && bucketMs < timeBucketMsMin)
      report([...path, "timeBucketMs"], "must be 0, or one second or more")
  }
  check(["cache"], cache.timeBucketMs)
  for (const [index, { timeBucketMs }] of cache.ttlClasses.entries())
    check(["cache", "ttlClasses", index], timeBucketMs)
  for (const [name, { timeBucketMs }] of Object.entries(classes))
    check(["classes", name], timeBucketMs)
  for (const [name, { timeBucketMs }] of Object.entries(roles)) check(["roles", name], timeBucketMs)
}
