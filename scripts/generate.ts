import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { renderCliReference } from '../src/cli/reference.ts';
import { generateApiErrorsReference } from './generators/api-errors-reference.ts';
import { generateConfigurationReference } from './generators/configuration-reference.ts';
import { generateLimitsReference } from './generators/limits-reference.ts';
import { generateMetricsReference } from './generators/metrics-reference.ts';
import { generateOpenApi } from './generators/openapi.ts';
import { generateSchema } from './generators/schema.ts';
import { generateTenantSettingsReference } from './generators/tenant-settings-reference.ts';

/**
 * `node scripts/generate.ts [--check]`
 *
 * Writes the committed files that follow from the code, or with `--check` tells which of them do not.
 */
const GENERATED: Record<string, () => Promise<string> | string> = {
  'docs/cli.md': renderCliReference,
  'docs/configuration.md': generateConfigurationReference,
  'docs/api-errors.md': generateApiErrorsReference,
  'docs/openapi.json': generateOpenApi,
  'docs/limits.md': generateLimitsReference,
  'docs/metrics.md': generateMetricsReference,
  'docs/tenant-settings.md': generateTenantSettingsReference,
  'migrations/schema.txt': generateSchema,
};

const check = process.argv.includes('--check');
for (const [path, generate] of Object.entries(GENERATED)) {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const wanted = await generate();
  const committed = await readFile(file, 'utf8').catch(() => undefined);
  if (committed === wanted) continue;

  if (check) {
    console.error(`${path} is not what the code generates: run \`npm run generate\` and commit it`);
    process.exitCode = 1;
  } else {
    await writeFile(file, wanted);
    console.log(`wrote ${path}`);
  }
}
