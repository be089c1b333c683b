import { CommanderError } from 'commander';
import { CommandFailed, EXIT } from './cli-io.ts';
import type { CliIo } from './cli-io.ts';
import { describeFailure } from './describe-failure.ts';
import { createProgram } from './program.ts';

/**
 * Runs one command line.
 * @param args without the program's name
 * @returns the exit code; see `EXIT`
 */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const end = args.indexOf('--');
  const json = args.slice(0, end === -1 ? undefined : end).includes('--json');
  try {
    await createProgram(io).parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (err) {
    if (err instanceof CommandFailed) return EXIT.failed;
    // Help and version have been printed by then; help in place of a missing command is a usage error.
    if (err instanceof CommanderError && err.code.startsWith('commander.help')) {
      return err.code === 'commander.helpDisplayed' ? EXIT.ok : EXIT.usage;
    }
    if (err instanceof CommanderError && err.code === 'commander.version') return EXIT.ok;

    const { exitCode, code, message, errors, stack } = describeFailure(err, io.env);
    io.stderr.write(
      json
        ? `${JSON.stringify({ error: { code, message, ...(errors.length > 0 ? { errors } : {}) } })}\n`
        : [
            `gatehouse: ${message} (${code})`,
            ...errors.map((fault) => `  ${fault.path ? `${fault.path}: ` : ''}${fault.message}`),
            ...(stack ? [stack] : []),
            '',
          ].join('\n'),
    );
    return exitCode;
  }
}
