import { createConfig, lintFromString } from '@redocly/openapi-core';
import { generateOpenApi } from './generators/openapi.ts';

/** `node scripts/check-openapi.ts` checks the OpenAPI document by Redocly's recommended rules; nothing is fetched. */
const config = await createConfig({
  extends: ['recommended'],
  // The document is of a server whose address is an example.
  rules: { 'no-server-example.com': 'off' },
});
const problems = await lintFromString({ source: generateOpenApi(), config, absoluteRef: 'openapi.json' });

for (const { severity, ruleId, message, location } of problems) {
  console.error(`${severity} ${ruleId}: ${message} at ${location[0]?.pointer ?? '#'}`);
}
if (problems.length > 0) process.exitCode = 1;
