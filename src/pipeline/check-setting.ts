import type { Rooms } from "./rooms.ts"

/** Answers kept per warehouse; a client that tries endless values starts the memory anew. */
const checkedSettingsMax = 1_000

/**
 * A setting's value in the engine's own spelling, as a promise only the first time. `undefined` when the engine has no
 * opinion; rejects with the engine's error text for a bad value.
 */
export function checkedSetting(
  name: string,
  value: string,
  rooms: Rooms,
  signal: AbortSignal,
): string | Promise<string | undefined> {
  const id = JSON.stringify([name, value])
  return rooms.checkedSettings.get(id) ?? askEngine(id, { name, value, rooms, signal })
}

async function askEngine(
  id: string,
  asked: {
    readonly name: string
    readonly value: string
    readonly rooms: Rooms
    readonly signal: AbortSignal
  },
): Promise<string | undefined> {
  const { rooms, signal } = asked
  const { lease } = await rooms.router.lease({ signal })
  using held = lease
  const canonical = await held.connection.checkSetting(asked.name, asked.value, signal)
  if (canonical === undefined) return undefined
  if (rooms.checkedSettings.size >= checkedSettingsMax) rooms.checkedSettings.clear()
  rooms.checkedSettings.set(id, canonical)
  return canonical
}
