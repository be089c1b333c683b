import { Option } from 'commander';
import type { Command } from 'commander';
import { SIGNING_ALGS } from '../../keys/signing-key.ts';
import type { SigningAlg } from '../../keys/signing-key.ts';
import type { CliIo } from '../cli-io.ts';
import { tenantOption } from '../options.ts';
import { runInSession } from '../session.ts';
import { keysReport } from './keys-view.ts';

interface Options {
  alg?: SigningAlg;
  force?: boolean;
}

export function addKeysRotate(group: Command, io: CliIo): void {
  group
    .command('rotate')
    .description(
      'Let the next key sign and make a new next one. The old one stays published until what it signed has expired.',
    )
    .addOption(new Option('--alg <alg>', 'only this algorithm; default: all').choices(SIGNING_ALGS))
    .option('--force', 'although the next key was published too recently for every verifier to know it')
    .addOption(tenantOption())
    .action(async (options: Options, command: Command) => {
      await runInSession(io, command, async ({ services, tenant, actor }) => {
        await services.keys.rotate(actor, options);
        return keysReport(await services.keys.list(tenant.id), 'Keys rotated.');
      });
    });
}
