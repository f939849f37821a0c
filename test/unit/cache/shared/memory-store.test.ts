import { MemorySharedStore } from "../../../support/memory-shared-store.ts"
import { sharedStoreCases } from "../../../support/shared-store-cases.ts"

const store = new MemorySharedStore()
sharedStoreCases("the twin in memory", () => store)
