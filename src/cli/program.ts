import { Command, InvalidArgumentError, Option } from "commander"
import { GatewayError } from "../core/errors.ts"
import { checkConfigCommand, describeConfigurationError } from "./check-config.ts"
import { demoCommand } from "./demo.ts"
import { demoLoadCommand } from "./demo-load.ts"
import { doctorCommand } from "./doctor.ts"
import { explainCommand } from "./explain.ts"
import { identityCheckCommand } from "./identity-check.ts"
import { policyLintCommand } from "./policy-lint.ts"
import { policyTestCommand } from "./policy-test.ts"
import type { StartGateway } from "./running-gateway.ts"
import { serveCommand } from "./serve.ts"
import { processTerminal } from "./terminal.ts"
import { tokenCommand } from "./token.ts"
import { verifierCommand } from "./verifier.ts"

function portNumber(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("must be a number from 0 to 65535.")
  return port
}

/** The command line. Each command's contract is in its own file; exit codes: 0 good, 1 failed, 2 called wrongly. */
export function makeProgram(start: StartGateway, version: string): Command {
  const program = new Command("sluice")
    .description("A PostgreSQL wire-protocol query gateway and caching SQL proxy for BI clients.")
    .version(version)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  program
    .command("demo")
    .description("serve a generated retail mart from embedded DuckDB")
    .option("--port <port>", "port of the PostgreSQL listener", portNumber, 6432)
    .option("--control-port <port>", "port of the HTTP listener", portNumber, 6480)
    .option("--data-dir <folder>", "where the demo keeps its data and credentials", ".sluice")
    .option("--reset", "make the data and credentials anew", false)
    .option("--ready-file <file>", "write JSON about the running demo once it accepts connections")
    .action(async (options) => guarded(() => demoCommand(options, start, processTerminal)))
  program
    .command("demo-load")
    .description("change the demo's data as a nightly load would, to see answers turn fresh")
    .option("--data-dir <folder>", "the demo's folder", ".sluice")
    .option("--control-port <port>", "port of the demo's HTTP listener", portNumber, 6480)
    .action(async (options) => guarded(() => demoLoadCommand(options, processTerminal)))
  program
    .command("serve")
    .description("serve the warehouses of a configuration file")
    .requiredOption("--config <file>", "configuration file (config/sluice.example.yaml)")
    .option("--ready-file <file>", "write JSON about the gateway once it accepts connections")
    .action(async (options) => guarded(() => serveCommand(options, start, processTerminal)))
  program
    .command("check-config")
    .description("check a configuration file")
    .argument("<file>")
    .option(
      "--print-effective-config",
      "print it with defaults filled in and secrets hidden",
      false,
    )
    .action(async (path: string, options: { printEffectiveConfig: boolean }) => {
      process.exitCode = await checkConfigCommand(processTerminal, {
        path,
        printsEffectiveConfig: options.printEffectiveConfig,
        environment: process.env,
      })
    })
  program
    .command("explain")
    .description("show what the gateway would do with a statement, without running it")
    .argument("<sql>")
    .requiredOption("--config <file>", "configuration file")
    .option("--user <name>", "the user who asks; default: the first one configured")
    .option("--roles <names>", "roles in place of the user's own, separated by commas")
    .option("--database <name>", "the database asked; default: the first one configured")
    .option("--claims <json>", "claims in place of the user's own, as a JSON object")
    .option("--search-path <list>", "the session's search_path")
    .option("--json", "print JSON", false)
    .action(async (sql: string, options) =>
      guarded(() => explainCommand(sql, options, processTerminal)),
    )
  const policy = program.command("policy").description("prove and check row and column policies")
  policy
    .command("test")
    .description("ask the warehouse as the readers that files of expectations name, and compare")
    .argument("[files...]", "files of expectations; default: *.tests.yaml beside the policies")
    .requiredOption("--config <file>", "configuration file")
    .option("--json", "print JSON", false)
    .action(async (files: string[], options) =>
      guarded(() => policyTestCommand({ ...options, files }, processTerminal)),
    )
  policy
    .command("lint")
    .description("find policies that do not do what they seem to say")
    .requiredOption("--config <file>", "configuration file")
    .option("--offline", "ask no warehouse", false)
    .addOption(
      new Option("--fail-on <level>", "least level that makes the exit code 1")
        .choices(["error", "warning", "info"])
        .default("error"),
    )
    .option("--json", "print JSON", false)
    .action(async (options) => guarded(() => policyLintCommand(options, processTerminal)))
  program
    .command("identity-check")
    .description("show what the gateway makes of an identity token read from standard input")
    .requiredOption("--config <file>", "configuration file")
    .action(async ({ config }: { config: string }) =>
      guarded(() => identityCheckCommand({ config, environment: process.env }, processTerminal)),
    )
  program
    .command("doctor")
    .description("look at the Redis of a configuration file, and tell how to mend it")
    .requiredOption("--config <file>", "configuration file")
    .option("--json", "print JSON", false)
    .action(async ({ config, json }: { config: string; json: boolean }) =>
      guarded(() => doctorCommand({ config, json, environment: process.env }, processTerminal)),
    )
  program
    .command("verifier")
    .description("print the SCRAM verifier of a password read from standard input")
    .action(async () => guarded(() => verifierCommand(processTerminal)))
  program
    .command("token")
    .description("print a new control token and its SHA-256")
    .action(() => {
      process.exitCode = tokenCommand(processTerminal)
    })
  return program
}

/** Runs a command; errors that are told to people end with their text, bugs with their stack. */
async function guarded(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command()
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.reason === "invariant_violation") throw thrown
    processTerminal.messages.write(`sluice: ${describeConfigurationError(thrown)}\n`)
    if (thrown.hint !== undefined) processTerminal.messages.write(`hint: ${thrown.hint}\n`)
    process.exitCode = 1
  }
}
