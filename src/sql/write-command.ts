import { type Fields, fieldsOf, nodeFields, textOf } from "./ast.ts"
import type { Refusal } from "./session-command.ts"

/**
 * Statements that are neither reads nor about the session: writes by their command tags (as PostgreSQL's read-only error
 * names them), and constructs that Sluice refuses whoever asks.
 */

/** Command tags of statements that change data or definitions; a tag that depends on fields is computed below. */
const writeTags: ReadonlyMap<string, string> = new Map([
  ["InsertStmt", "INSERT"],
  ["UpdateStmt", "UPDATE"],
  ["DeleteStmt", "DELETE"],
  ["MergeStmt", "MERGE"],
  ["TruncateStmt", "TRUNCATE TABLE"],
  ["CallStmt", "CALL"],
  ["CopyStmt", "COPY FROM"],
  ["CreateStmt", "CREATE TABLE"],
  ["CreateForeignTableStmt", "CREATE FOREIGN TABLE"],
  ["CreateSchemaStmt", "CREATE SCHEMA"],
  ["CreateSeqStmt", "CREATE SEQUENCE"],
  ["AlterSeqStmt", "ALTER SEQUENCE"],
  ["ViewStmt", "CREATE VIEW"],
  ["IndexStmt", "CREATE INDEX"],
  ["RuleStmt", "CREATE RULE"],
  ["CreateTrigStmt", "CREATE TRIGGER"],
  ["CreateEventTrigStmt", "CREATE EVENT TRIGGER"],
  ["AlterEventTrigStmt", "ALTER EVENT TRIGGER"],
  ["CreatePolicyStmt", "CREATE POLICY"],
  ["AlterPolicyStmt", "ALTER POLICY"],
  ["CreateDomainStmt", "CREATE DOMAIN"],
  ["AlterDomainStmt", "ALTER DOMAIN"],
  ["CreateEnumStmt", "CREATE TYPE"],
  ["AlterEnumStmt", "ALTER TYPE"],
  ["CreateRangeStmt", "CREATE TYPE"],
  ["CompositeTypeStmt", "CREATE TYPE"],
  ["AlterTypeStmt", "ALTER TYPE"],
  ["CreateCastStmt", "CREATE CAST"],
  ["CreateConversionStmt", "CREATE CONVERSION"],
  ["CreateExtensionStmt", "CREATE EXTENSION"],
  ["AlterExtensionStmt", "ALTER EXTENSION"],
  ["AlterExtensionContentsStmt", "ALTER EXTENSION"],
  ["CreateFdwStmt", "CREATE FOREIGN DATA WRAPPER"],
  ["AlterFdwStmt", "ALTER FOREIGN DATA WRAPPER"],
  ["CreateForeignServerStmt", "CREATE SERVER"],
  ["AlterForeignServerStmt", "ALTER SERVER"],
  ["CreateUserMappingStmt", "CREATE USER MAPPING"],
  ["AlterUserMappingStmt", "ALTER USER MAPPING"],
  ["DropUserMappingStmt", "DROP USER MAPPING"],
  ["ImportForeignSchemaStmt", "IMPORT FOREIGN SCHEMA"],
  ["CreatePLangStmt", "CREATE LANGUAGE"],
  ["CreateOpClassStmt", "CREATE OPERATOR CLASS"],
  ["CreateOpFamilyStmt", "CREATE OPERATOR FAMILY"],
  ["AlterOpFamilyStmt", "ALTER OPERATOR FAMILY"],
  ["AlterOperatorStmt", "ALTER OPERATOR"],
  ["CreateTransformStmt", "CREATE TRANSFORM"],
  ["CreateAmStmt", "CREATE ACCESS METHOD"],
  ["CreateStatsStmt", "CREATE STATISTICS"],
  ["AlterStatsStmt", "ALTER STATISTICS"],
  ["AlterCollationStmt", "ALTER COLLATION"],
  ["AlterTSDictionaryStmt", "ALTER TEXT SEARCH DICTIONARY"],
  ["AlterTSConfigurationStmt", "ALTER TEXT SEARCH CONFIGURATION"],
  ["CreateRoleStmt", "CREATE ROLE"],
  ["AlterRoleStmt", "ALTER ROLE"],
  ["AlterRoleSetStmt", "ALTER ROLE"],
  ["DropRoleStmt", "DROP ROLE"],
  ["AlterDefaultPrivilegesStmt", "ALTER DEFAULT PRIVILEGES"],
  ["DropOwnedStmt", "DROP OWNED"],
  ["ReassignOwnedStmt", "REASSIGN OWNED"],
  ["CreatedbStmt", "CREATE DATABASE"],
  ["DropdbStmt", "DROP DATABASE"],
  ["AlterDatabaseStmt", "ALTER DATABASE"],
  ["AlterDatabaseSetStmt", "ALTER DATABASE"],
  ["AlterDatabaseRefreshCollStmt", "ALTER DATABASE"],
  ["CreateTableSpaceStmt", "CREATE TABLESPACE"],
  ["DropTableSpaceStmt", "DROP TABLESPACE"],
  ["AlterTableSpaceOptionsStmt", "ALTER TABLESPACE"],
  ["CreatePublicationStmt", "CREATE PUBLICATION"],
  ["AlterPublicationStmt", "ALTER PUBLICATION"],
  ["CreateSubscriptionStmt", "CREATE SUBSCRIPTION"],
  ["AlterSubscriptionStmt", "ALTER SUBSCRIPTION"],
  ["DropSubscriptionStmt", "DROP SUBSCRIPTION"],
  ["RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW"],
  ["ReindexStmt", "REINDEX"],
  ["ClusterStmt", "CLUSTER"],
  ["CommentStmt", "COMMENT"],
  ["SecLabelStmt", "SECURITY LABEL"],
])

const gatewayHint = "Connect to the warehouse directly for it."

const refusals: ReadonlyMap<string, Refusal> = new Map([
  ["ListenStmt", { construct: "LISTEN", hint: gatewayHint }],
  ["NotifyStmt", { construct: "NOTIFY", hint: gatewayHint }],
  ["LockStmt", { construct: "LOCK TABLE", hint: gatewayHint }],
  ["DoStmt", { construct: "DO", hint: gatewayHint }],
  ["LoadStmt", { construct: "LOAD", hint: gatewayHint }],
  ["CheckPointStmt", { construct: "CHECKPOINT", hint: gatewayHint }],
  ["ConstraintsSetStmt", { construct: "SET CONSTRAINTS", hint: gatewayHint }],
  ["AlterSystemStmt", { construct: "ALTER SYSTEM", hint: gatewayHint }],
])

/** OBJECT_MATVIEW -> MATERIALIZED VIEW, as PostgreSQL's tags spell object types. */
const objectNames: ReadonlyMap<string, string> = new Map([
  ["MATVIEW", "MATERIALIZED VIEW"],
  ["TABCONSTRAINT", "TABLE"],
  ["DOMCONSTRAINT", "DOMAIN"],
  ["COLUMN", "TABLE"],
  ["ATTRIBUTE", "TYPE"],
  ["FOREIGN_SERVER", "SERVER"],
  ["FDW", "FOREIGN DATA WRAPPER"],
  ["TSCONFIGURATION", "TEXT SEARCH CONFIGURATION"],
  ["TSDICTIONARY", "TEXT SEARCH DICTIONARY"],
  ["TSPARSER", "TEXT SEARCH PARSER"],
  ["TSTEMPLATE", "TEXT SEARCH TEMPLATE"],
  ["STATISTIC_EXT", "STATISTICS"],
  ["OPCLASS", "OPERATOR CLASS"],
  ["OPFAMILY", "OPERATOR FAMILY"],
])

function objectName(kind: unknown): string {
  const name = textOf(kind).replace("OBJECT_", "")
  return objectNames.get(name) ?? name.replaceAll("_", " ")
}

/** Statements whose tag is a verb and the type of the object that this field names. */
const verbs: ReadonlyMap<string, readonly [verb: string, field: string]> = new Map([
  ["DropStmt", ["DROP", "removeType"]],
  ["RenameStmt", ["ALTER", "renameType"]],
  ["AlterTableStmt", ["ALTER", "objtype"]],
  ["AlterTableMoveAllStmt", ["ALTER", "objtype"]],
  ["AlterObjectSchemaStmt", ["ALTER", "objectType"]],
  ["AlterObjectDependsStmt", ["ALTER", "objectType"]],
  ["AlterOwnerStmt", ["ALTER", "objectType"]],
  ["AlterFunctionStmt", ["ALTER", "objtype"]],
  ["DefineStmt", ["CREATE", "kind"]],
])

function computedTag(tag: string, fields: Fields): string | undefined {
  const verb = verbs.get(tag)
  if (verb !== undefined) return `${verb[0]} ${objectName(fields[verb[1]])}`
  switch (tag) {
    case "CreateFunctionStmt":
      return fields["is_procedure"] === true ? "CREATE PROCEDURE" : "CREATE FUNCTION"
    case "GrantStmt":
      return fields["is_grant"] === true ? "GRANT" : "REVOKE"
    case "GrantRoleStmt":
      return fields["is_grant"] === true ? "GRANT ROLE" : "REVOKE ROLE"
    case "VacuumStmt":
      return fields["is_vacuumcmd"] === true ? "VACUUM" : "ANALYZE"
    case "CreateTableAsStmt":
      if (fields["objtype"] === "OBJECT_MATVIEW") return "CREATE MATERIALIZED VIEW"
      return fields["is_select_into"] === true ? "SELECT INTO" : "CREATE TABLE AS"
    default:
      return undefined
  }
}

/** The command tag of a statement that writes, or undefined when the node is none that is known to. */
export function writeTag(tag: string, fields: Fields): string | undefined {
  if (tag === "CopyStmt" && fields["is_from"] !== true) return undefined
  return computedTag(tag, fields) ?? writeTags.get(tag)
}

/** `AlterFooStmt` -> `ALTER FOO`, for nodes that no table here knows. */
function wordsOf(tag: string): string {
  return tag
    .replace(/Stmt$/, "")
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ")
    .toUpperCase()
}

export function refusalOf(tag: string): Refusal {
  if (tag === "ExecuteStmt") return { construct: "EXECUTE in this place", hint: undefined }
  if (tag === "TransactionStmt") return { construct: "two-phase commit", hint: gatewayHint }
  return refusals.get(tag) ?? { construct: wordsOf(tag), hint: undefined }
}

const lockTags: ReadonlyMap<string, string> = new Map([
  ["LCS_FORKEYSHARE", "SELECT FOR KEY SHARE"],
  ["LCS_FORSHARE", "SELECT FOR SHARE"],
  ["LCS_FORNOKEYUPDATE", "SELECT FOR NO KEY UPDATE"],
  ["LCS_FORUPDATE", "SELECT FOR UPDATE"],
])

export function lockTag(strength: string): string {
  return lockTags.get(strength) ?? "SELECT FOR UPDATE"
}

/** The query that an EXPLAIN or DECLARE wraps, unwrapped through DECLARE inside EXPLAIN. */
export function explainedNode(fields: Fields): unknown {
  const query = fields["query"]
  const declared = nodeFields(query, "DeclareCursorStmt")
  return declared === undefined ? query : fieldsOf(declared)["query"]
}
