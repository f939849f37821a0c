import { type ErrorReason, unreachable } from "../core/errors.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ReadTraits, Statement } from "../core/statement.ts"
import { isForbiddenFunction } from "./forbidden-functions.ts"
import type { EffectivePolicy } from "./policy.ts"

/** The decision for one statement. There is no third answer: allowed with the limits that apply, or refused with a reason. */
export type Verdict =
  | { readonly kind: "allowed"; readonly policy: EffectivePolicy }
  | {
      readonly kind: "refused"
      readonly sqlState: SqlState
      readonly reason: ErrorReason
      readonly message: string
      readonly hint: string | undefined
    }

export type Refusal = Extract<Verdict, { kind: "refused" }>

/** The relations of a read as the catalogue resolved them. */
export type RelationsRead = {
  /** As the statement names them. */
  readonly named: readonly RelationName[]
  /** With everything that views, partitions and inheritance add. */
  readonly expanded: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
}

export function judge(
  statement: Statement,
  relations: RelationsRead,
  policy: EffectivePolicy,
): Verdict {
  const { class: statementClass } = statement
  switch (statementClass.kind) {
    case "write":
      return refused(
        SqlState.ReadOnlySqlTransaction,
        "write_on_read_route",
        `cannot execute ${statement.command} in a read-only transaction`,
      )
    case "refused":
      if (statementClass.construct.startsWith("COPY TO ")) return serverSideCopy(statementClass)
      return refused(
        SqlState.FeatureNotSupported,
        "construct_unsupported",
        `${statementClass.construct} is not supported by this gateway`,
        statementClass.hint,
      )
    case "read":
    case "explain":
      return judgeRead(statementClass.traits, relations, policy)
    case "cursor":
      return judge(statementClass.query, relations, policy)
    // What they send to the warehouse is judged as a statement of its own.
    case "prepare":
    case "execute":
    case "explain_execute":
    case "copy":
    case "empty":
    case "session":
    case "transaction":
      return { kind: "allowed", policy }
    default:
      return unreachable(statementClass)
  }
}

/** Answered by the session where they are the one column of a SELECT (sql/backend-signal.ts). */
const signals: ReadonlySet<string> = new Set(["pg_cancel_backend", "pg_terminate_backend"])

/** PostgreSQL's words to a role without the right to write files (DoCopy, copy.c). */
function serverSideCopy({ construct }: { readonly construct: string }): Verdict {
  const isProgram = construct === "COPY TO PROGRAM"
  return refused(
    SqlState.InsufficientPrivilege,
    "function_not_allowed",
    isProgram
      ? "permission denied to COPY to or from an external program"
      : "permission denied to COPY to a file",
    "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
  )
}

function judgeRead(traits: ReadTraits, relations: RelationsRead, policy: EffectivePolicy): Verdict {
  const forbidden = traits.functions.find((call) => isForbiddenFunction(call.name))
  if (forbidden !== undefined)
    return refused(
      SqlState.InsufficientPrivilege,
      "function_not_allowed",
      `permission denied for function ${forbidden.name}`,
      signals.has(forbidden.name)
        ? `Write SELECT ${forbidden.name}(<process id>), or SELECT ${forbidden.name}(pid) FROM pg_stat_activity WHERE with = , <> , IN and AND.`
        : "The gateway refuses functions that read data or reach systems past the relations a statement names.",
    )
  const own = relations.named.find((name) => sessionViews.has(name))
  if (own !== undefined)
    return refused(
      SqlState.FeatureNotSupported,
      "construct_unsupported",
      `${own.slice("pg_catalog.".length)} is not supported by this gateway`,
      "It would show the gateway's own connection: prepared statements and cursors of a session live in the gateway.",
    )
  // A view does not launder a denied table: everything it shows is checked against the denials, too.
  const denied =
    relations.expanded.find((name) => policy.deny.matches(name)) ??
    relations.named.find((name) => isWithheld(name, policy)) ??
    relations.named.find((name) => !policy.allow.matches(name) && !isPublicCatalogue(name))
  if (denied !== undefined) return notGranted(denied)
  const unknown = relations.unknown[0]
  if (unknown !== undefined && !(policy.allow.matchesEverything && policy.deny.isEmpty))
    return refused(
      SqlState.UndefinedTable,
      "relation_not_granted",
      `relation "${unknown.schema === undefined ? "" : `${unknown.schema}.`}${unknown.name}" does not exist`,
    )
  return { kind: "allowed", policy }
}

/**
 * Catalogue relations that show passwords, rows out of tables (statistics), or what other sessions do: all sessions share the
 * gateway's role, so that the warehouse would show them to everybody. Only a grant that names one gives it; `*` does not.
 */
const privateCatalogueRelations: ReadonlySet<string> = new Set([
  "pg_catalog.pg_locks",
  "pg_catalog.pg_stat_ssl",
  "pg_catalog.pg_stat_gssapi",
  "pg_catalog.pg_stat_replication",
  "pg_catalog.pg_stat_wal_receiver",
  "pg_catalog.pg_stat_subscription",
  "pg_catalog.pg_stat_progress_analyze",
  "pg_catalog.pg_stat_progress_basebackup",
  "pg_catalog.pg_stat_progress_cluster",
  "pg_catalog.pg_stat_progress_copy",
  "pg_catalog.pg_stat_progress_create_index",
  "pg_catalog.pg_stat_progress_vacuum",
  "pg_catalog.pg_replication_slots",
  "pg_catalog.pg_backend_memory_contexts",
  "pg_catalog.pg_shmem_allocations",
  "pg_catalog.pg_config",
  "pg_catalog.pg_stats",
  "pg_catalog.pg_statistic",
  "pg_catalog.pg_statistic_ext_data",
  "pg_catalog.pg_stats_ext",
  "pg_catalog.pg_stats_ext_exprs",
  "pg_catalog.pg_stat_activity",
  "pg_catalog.pg_authid",
  "pg_catalog.pg_shadow",
  "pg_catalog.pg_user_mapping",
  "pg_catalog.pg_user_mappings",
  // They show the passwords of foreign servers to the server's owner, which the gateway's role may well be.
  "information_schema._pg_user_mappings",
  "information_schema.user_mapping_options",
  "pg_catalog.pg_largeobject",
  "pg_catalog.pg_largeobject_metadata",
  "pg_catalog.pg_file_settings",
  "pg_catalog.pg_hba_file_rules",
  "pg_catalog.pg_ident_file_mappings",
  "pg_catalog.pg_subscription",
  "pg_catalog.pg_foreign_server",
])

/** Views of what a connection of the warehouse holds, which is not what the client's session holds. */
const sessionViews: ReadonlySet<string> = new Set([
  "pg_catalog.pg_prepared_statements",
  "pg_catalog.pg_cursors",
])

export function isPublicCatalogue(name: RelationName): boolean {
  if (!name.startsWith("pg_catalog.") && !name.startsWith("information_schema.")) return false
  return !privateCatalogueRelations.has(name)
}

/** The relation may only be read by a grant that names it, and there is none. */
export function isWithheld(name: RelationName, { allow }: EffectivePolicy): boolean {
  return privateCatalogueRelations.has(name) && !allow.names(name)
}

export function notGranted(name: RelationName): Refusal {
  const table = name.slice(name.lastIndexOf(".") + 1).replaceAll('"', "")
  return refused(
    SqlState.InsufficientPrivilege,
    "relation_not_granted",
    `permission denied for table ${table}`,
    "Ask the owner of the gateway's configuration for a grant on this relation.",
  )
}

export function refused(
  sqlState: SqlState,
  reason: ErrorReason,
  message: string,
  hint?: string,
): Refusal {
  return { kind: "refused", sqlState, reason, message, hint }
}
