import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { developmentSecrets } from '../../src/lib/development-secrets.ts';

const run = promisify(execFile);
const MODULE = new URL('../../src/lib/development-secrets.ts', import.meta.url).href;

describe('development secrets', () => {
  let dir: string;
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'gatehouse-secrets-')), 'data');
  });
  afterEach(() => rmSync(join(dir, '..'), { recursive: true }));

  it('are made once and kept', () => {
    const first = developmentSecrets(dir);

    assert.deepEqual(developmentSecrets(dir), first);
    assert.equal(Buffer.from(first.GATEHOUSE_KEYS, 'base64').length, 32);
    assert.equal(Buffer.from(first.GATEHOUSE_PEPPERS, 'base64').length, 32);
    assert.notEqual(first.GATEHOUSE_KEYS, first.GATEHOUSE_PEPPERS);
  });

  it('are for their owner alone', () => {
    developmentSecrets(dir);

    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(join(dir, 'secrets.json')).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(dir), ['secrets.json']);
  });

  it('are the same for processes that start together', async () => {
    const script = `import { developmentSecrets } from ${JSON.stringify(MODULE)}; console.log(JSON.stringify(developmentSecrets(process.argv[1])));`;

    const outputs = await Promise.all(
      Array.from({ length: 4 }, () => run(process.execPath, ['--input-type=module', '-e', script, dir])),
    );

    assert.equal(new Set(outputs.map(({ stdout }) => stdout)).size, 1);
  });
});
