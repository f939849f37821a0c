import { chownSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "../../test/support/free-port.ts"
import { serverIds } from "../../test/support/postgres-template.ts"
import type { CertificateFiles } from "./certificate.ts"
import { type PeerProcess, spawnPeer, untilListening } from "./peer-process.ts"
import type { Target } from "./target.ts"
import type { Warehouse } from "./warehouse.ts"

/**
 * The poolers that people put in front of PostgreSQL today, from Debian. All log clients in by SCRAM-SHA-256, as
 * PostgreSQL itself and the gateway do here, so that a connect costs everybody the same exchange.
 */

type Files = Readonly<Record<string, string>>

/** A folder that the peer's own user owns: both refuse, or should not, run as root. */
async function peerFolder(files: Files): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-"))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const { uid, gid } = { uid: undefined, gid: undefined, ...serverIds }
  if (uid !== undefined && gid !== undefined)
    for (const path of [folder, ...Object.keys(files).map((name) => join(folder, name))])
      chownSync(path, uid, gid)
  return folder
}

type PeerInit = {
  readonly name: string
  readonly command: string
  readonly args: (folder: string) => readonly string[]
  readonly files: Files
  readonly port: number
  readonly stopSignal: NodeJS.Signals
  readonly direct: Target
}

async function startPeer(init: PeerInit): Promise<Target> {
  const folder = await peerFolder(init.files)
  let peer: PeerProcess | undefined
  const stop = async (): Promise<void> => {
    await peer?.stop(init.stopSignal)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    peer = spawnPeer({
      command: init.command,
      args: init.args(folder),
      cwd: folder,
      ids: serverIds,
    })
    await untilListening(init.name, peer, init.port)
  } catch (error) {
    await stop()
    throw error
  }
  const { host, user, password, database } = init.direct
  return { name: init.name, host, port: init.port, user, password, database, pid: peer.pid, stop }
}

/** PgBouncer. Transaction mode is how it is run at scale; version 1.18 has no prepared statements there, so those use session mode. */
export async function startPgBouncer(
  warehouse: Warehouse,
  mode: "transaction" | "session",
  tls?: CertificateFiles,
): Promise<Target> {
  const direct = warehouse.target
  // The stored verifier, not the password: from a password PgBouncer would compute PBKDF2 for every login.
  const [role] = await warehouse.server.run(
    `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = '${direct.user}'`,
  )
  const port = await freePort()
  const ini = `[databases]
${direct.database} = host=${direct.host} port=${direct.port} dbname=${direct.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = ${mode}
max_client_conn = 1000
default_pool_size = ${mode === "session" ? 300 : 16}
server_lifetime = 86400
log_connections = 0
log_disconnections = 0
log_stats = 0
${tls === undefined ? "" : `client_tls_sslmode = allow\nclient_tls_cert_file = ${tls.certFile}\nclient_tls_key_file = ${tls.keyFile}\n`}`
  return startPeer({
    name: mode === "session" ? "pgbouncer session" : "pgbouncer",
    command: "/usr/sbin/pgbouncer",
    args: () => ["pgbouncer.ini"],
    files: {
      "pgbouncer.ini": ini,
      "users.txt": `"${direct.user}" "${String(role?.["verifier"])}"\n`,
    },
    port,
    stopSignal: "SIGINT",
    direct,
  })
}

/** pgpool-II with its query cache in shared memory: the one established peer that caches answers. */
export async function startPgpool(direct: Target, clientsMax: number): Promise<Target> {
  const port = await freePort()
  const conf = `backend_clustering_mode = 'raw'
listen_addresses = '127.0.0.1'
port = ${port}
socket_dir = '.'
pcp_listen_addresses = '127.0.0.1'
pcp_port = ${await freePort()}
pcp_socket_dir = '.'
backend_hostname0 = '${direct.host}'
backend_port0 = ${direct.port}
backend_weight0 = 1
backend_flag0 = 'DISALLOW_TO_FAILOVER'
enable_pool_hba = on
pool_passwd = 'pool_passwd'
num_init_children = ${clientsMax + 4}
max_pool = 1
connection_cache = on
child_life_time = 0
child_max_connections = 0
log_per_node_statement = off
log_min_messages = warning
pid_file_name = 'pgpool.pid'
logdir = '.'
load_balance_mode = off
sr_check_period = 0
health_check_period = 0
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = 256MB
memqcache_max_num_cache = 100000
memqcache_expire = 0
memqcache_auto_cache_invalidation = on
memqcache_maxcache = 4MB
memqcache_cache_block_size = 8MB
memqcache_oiddir = 'oiddir'
`
  return startPeer({
    name: "pgpool",
    command: "/usr/sbin/pgpool",
    args: () => ["-n", "-D", "-f", "pgpool.conf", "-a", "pool_hba.conf", "-F", "pcp.conf"],
    files: {
      "pgpool.conf": conf,
      "pool_hba.conf": "host all all 127.0.0.1/32 scram-sha-256\n",
      pool_passwd: `${direct.user}:TEXT${direct.password}\n`,
      "pcp.conf": "",
      ".pgpoolkey": "unused\n",
    },
    port,
    stopSignal: "SIGINT",
    direct,
  })
}
