import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTranslationFaults } from './translations/find-faults.ts';

/**
 * `node scripts/check-translations.ts`
 *
 * Proves that every language has every text, and that texts and code know of each other.
 */
const root = fileURLToPath(new URL('..', import.meta.url));

const catalogues = new Map<string, Map<string, unknown>>();
for (const path of globSync('locales/**/*.json', { cwd: root })) {
  const [, locale = '', ...rest] = path.split(sep);
  const feature = rest.join('.').slice(0, -'.json'.length);
  const texts = catalogues.get(locale) ?? new Map<string, unknown>();
  catalogues.set(locale, texts);
  const content = JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, unknown>;
  for (const [key, text] of Object.entries(content)) texts.set(`${feature}.${key}`, text);
}

const files = globSync(['src/**/*.ts', 'views/**/*.ejs'], { cwd: root }).map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
}));

const faults = findTranslationFaults({ source: 'en', catalogues, files });
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
else console.log(`${catalogues.get('en')?.size ?? 0} texts in ${[...catalogues.keys()].join(', ')}`);
