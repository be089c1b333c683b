import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findViolations } from './support/architecture.ts';
import { readImports } from './support/imports.ts';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

describe('architecture', () => {
  it('is kept by every file of src', () => {
    const files = globSync('**/*.ts', { cwd: SRC }).map((path) => ({
      path,
      text: readFileSync(join(SRC, path), 'utf8'),
    }));

    assert.ok(files.length > 50);
    assert.deepEqual(findViolations(files), []);
  });

  const broken: [rule: string, path: string, text: string, violation: RegExp][] = [
    ['an import of a tier above', 'lib/ids.ts', `import { a } from '../users/user.ts';`, /which is above it/],
    ['a type of a tier above', 'db/x.ts', `import type { A } from '../oidc/a.ts';`, /which is above it/],
    ['a re-export of a tier above', 'keys/x.ts', `export { a } from '../clients/a.ts';`, /which is above it/],
    ['a dynamic import of a tier above', 'http/x.ts', `  await import('../app.ts');`, /which is above it/],
    [
      'an import over several lines',
      'lib/x.ts',
      `import {\n  a,\n  b,\n} from '../db/a.ts';`,
      /which is above it/,
    ],
    ['a value of another feature', 'users/x.ts', `import { a } from '../clients/a.ts';`, /another feature/],
    ['a value beside a type', 'users/x.ts', `import { type A } from '../clients/a.ts';`, /another feature/],
    ['an import from outside', 'users/x.ts', `import { a } from '../../test/a.ts';`, /outside src/],
    ['a barrel', 'users/index.ts', '', /is a barrel/],
    ['a default export', 'users/x.ts', 'export default {};', /default export/],
    ['the environment', 'users/x.ts', 'const a = process.env.A;', /reads the environment/],
    ['the environment by index', 'app.ts', `const a = process['env'];`, /reads the environment/],
    ['the environment by import', 'lib/x.ts', `import { env } from 'node:process';`, /imports node:process/],
    ['the protocol engine', 'users/x.ts', `import type { A } from 'oidc-provider';`, /imports oidc-provider/],
    ['a part of the protocol engine', 'app.ts', `import 'oidc-provider/lib/a.js';`, /imports oidc-provider/],
    ['Koa in a service', 'users/user-service.ts', `import type { Context } from 'koa';`, /imports koa/],
    ['Koa in a store', 'oidc/a-store.ts', `import Router from '@koa/router';`, /imports @koa\/router/],
    ['a file that is too long', 'users/x.ts', '\n'.repeat(401), /401 lines/],
    ['require()', 'users/x.ts', `const a = require('koa');`, /require\(\)/],
    ['a computed import', 'users/x.ts', 'await import(name);', /computed name/],
    ['an import nobody can read', 'users/x.ts', `import { a } from "../clients/a.ts";`, /cannot be read/],
    ['a re-export nobody can read', 'users/x.ts', `export * from "../clients/a.ts";`, /cannot be read/],
  ];
  for (const [rule, path, text, violation] of broken) {
    it(`refuses ${rule}`, () => {
      const violations = findViolations([{ path, text }]);

      assert.equal(violations.length, 1);
      assert.match(violations[0] ?? '', violation);
      assert.ok(violations[0]?.startsWith(path));
    });
  }

  it('refuses files, and folders of one tier, that import each other in a circle', () => {
    const files = [
      { path: 'lib/a.ts', text: `import { b } from './b.ts';` },
      { path: 'lib/b.ts', text: `export * from './a.ts';` },
      { path: 'oidc/a.ts', text: `import { b } from '../jobs/b.ts';` },
      { path: 'jobs/b.ts', text: '' },
      { path: 'jobs/c.ts', text: `import { d } from '../oidc/d.ts';` },
    ];

    const violations = findViolations(files);

    assert.deepEqual(violations, [
      'lib/a.ts → lib/b.ts → lib/a.ts is a circle',
      'oidc → jobs → oidc is a circle',
    ]);
  });

  it('allows what goes down, and types of another feature', () => {
    const files = [
      {
        path: 'users/user-service.ts',
        text: `import { a } from '../db/a.ts';\nimport type { B } from '../clients/b.ts';`,
      },
      {
        path: 'oidc/provider.ts',
        text: `import Provider from 'oidc-provider';\nimport { c } from '../clients/c.ts';`,
      },
      { path: 'main.ts', text: `import { app } from './app.ts';\nconst a = process.env;` },
      { path: 'cli/x.ts', text: `import { services } from '../services.ts';\nconst a = process.env;` },
    ];

    assert.deepEqual(findViolations(files), []);
  });

  it('tells types from values', () => {
    const imports = readImports(
      [
        `import type { A } from './a.ts';`,
        `import b, { type B } from './b.ts';`,
        `export type { C } from './c.ts';`,
        `export * as d from './d.ts';`,
        `import './e.ts';`,
        `export const from = 'f';`,
        `export const load = () => import('./g.ts');`,
      ].join('\n'),
    );

    assert.deepEqual(imports, [
      { specifier: './a.ts', typeOnly: true },
      { specifier: './b.ts', typeOnly: false },
      { specifier: './c.ts', typeOnly: true },
      { specifier: './d.ts', typeOnly: false },
      { specifier: './e.ts', typeOnly: false },
      { specifier: './g.ts', typeOnly: false },
    ]);
  });
});
