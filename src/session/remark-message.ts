import type { Remark } from "../core/remark.ts"
import { noticeFields, noticeResponse } from "../wire/backend-messages.ts"
import { messageLevels } from "./setting-values.ts"

/** NoticeResponse for a remark; undefined when client_min_messages is above it. */
export function remarkMessage(remark: Remark, minLevel: string): Buffer | undefined {
  const level = messageLevels.indexOf(remark.severity.toLowerCase())
  if (level < messageLevels.indexOf(minLevel)) return undefined
  const { hint, ...notice } = remark
  return noticeResponse(noticeFields(hint === undefined ? notice : { ...notice, hint }))
}
