import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { reader } from "../../support/postgres-template.ts"
import { accessFile, type Certificates, type KeyPair } from "./certificates.ts"

/** A PostgreSQL and a gateway with the same certificate, the same authorities and the same user. */
export type TlsServers = {
  readonly postgres: TestPostgres
  readonly gateway: RunningGateway
  stop(): Promise<void>
}

export type TlsServersOptions = {
  readonly certificates: Certificates
  readonly server: KeyPair
  /** Lines of pg_hba.conf. */
  readonly access: readonly string[]
  /** Lines of pg_ident.conf. */
  readonly identities?: readonly string[]
  /** Keys of `listen.tls` behind the two files, in flow YAML. */
  readonly tls?: string
  /** Keys of `listen`, in flow YAML. */
  readonly listen?: string
  /** Keys of user `reader` beside verifier and roles. */
  readonly user?: string
  readonly asksForCertificate?: boolean
  /** A list of revoked certificates is in force. */
  readonly hasCrl?: boolean
}

export const credentials = `user=${reader.name} password=${reader.password} dbname=warehouse`

export async function startTlsServers(options: TlsServersOptions): Promise<TlsServers> {
  const { certificates, server, asksForCertificate = false, hasCrl = false } = options
  const postgres = await startPostgres({
    settings: {
      ssl: "on",
      ssl_cert_file: server.certFile,
      ssl_key_file: server.keyFile,
      ...(asksForCertificate ? { ssl_ca_file: certificates.caFile } : {}),
      ...(hasCrl ? { ssl_crl_file: certificates.crlFile } : {}),
      // The superuser's own connection, by which the test support talks to the server, stays.
      ident_file: accessFile(certificates, "pg_ident.conf", options.identities ?? []),
      hba_file: accessFile(certificates, "pg_hba.conf", [
        "host all postgres 127.0.0.1/32 scram-sha-256",
        ...options.access,
      ]),
    },
  })
  try {
    const tls = [
      `certFile: "${server.certFile}", keyFile: "${server.keyFile}"`,
      asksForCertificate ? `clientCaFile: "${certificates.caFile}"` : "",
      hasCrl ? `clientCrlFile: "${certificates.crlFile}"` : "",
      options.tls ?? (asksForCertificate ? "clientCertificate: optional" : ""),
    ].filter((part) => part !== "")
    const verifier = await makeVerifier(reader.password)
    const user = options.user ?? `verifier: "${verifier}"`
    const gateway = await startGateway({
      config: `
listen: { host: 127.0.0.1, port: 0, ${options.listen ?? ""} tls: { ${tls.join(", ")} } }
warehouses: { warehouse: { engine: postgres, uri: "${postgres.superuserUri}" } }
users: { ${reader.name}: { roles: [everything], ${user.replace("VERIFIER", `verifier: "${verifier}"`)} } }
`,
      login: { user: reader.name, password: reader.password },
    })
    return {
      postgres,
      gateway,
      stop: async () => {
        await gateway.stop()
        await postgres.stop()
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}
