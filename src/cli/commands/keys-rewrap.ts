import type { Command } from 'commander';
import type { CliIo } from '../cli-io.ts';
import { runInSession } from '../session.ts';
import { details } from '../text.ts';

export function addKeysRewrap(group: Command, io: CliIo): void {
  group
    .command('rewrap')
    .description(
      'Seal the signing keys of all tenants under the first master key of GATEHOUSE_KEYS, so that older ones can go.',
    )
    .action(async (_options: unknown, command: Command) => {
      await runInSession(io, command, async ({ services, actor }) => {
        const { rewrapped, remaining, unopenable } = await services.keys.rewrap(actor);
        const json = { rewrapped, remaining, unopenable };
        return {
          json,
          text: `${details(json)}\n\n${adviceOn(json)}`,
          failed: remaining > 0,
        };
      });
    });
}

function adviceOn({ remaining, unopenable }: { remaining: number; unopenable: readonly string[] }): string {
  if (remaining === 0) return 'Older master keys are not needed any more.';
  return unopenable.length > 0
    ? 'Some keys cannot be opened: put the master key they were sealed under into GATEHOUSE_KEYS, or revoke them.'
    : 'Some keys were sealed under an older master key meanwhile: restart every server with the new one, then run it again.';
}
