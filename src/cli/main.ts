import { runCli } from './run-cli.ts';

/** The `gatehouse` command. Everything it can do is in commands/, one file a sub-command. */
const { stdin, stdout, stderr, env } = process;

// `gatehouse user list | head` closes the pipe early, which is no fault.
stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err;
});

process.exitCode = await runCli(process.argv.slice(2), { stdin, stdout, stderr, env });
