import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testDatabaseUrl, testDb } from './support/database.ts';

const RUN = fileURLToPath(new URL('run.ts', import.meta.url));

describe('npm test', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'gatehouse-run-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  async function start(specs: Record<string, string>, options: string[] = []) {
    const files = await Promise.all(
      Object.entries(specs).map(async ([name, text]) => {
        const file = join(directory, name);
        await writeFile(file, text);
        return file;
      }),
    );
    const child = spawn(process.execPath, [RUN, ...options, ...files], {
      env: { ...process.env, TEST_DATABASE_URL: await testDatabaseUrl(), TEST_DATABASE_TEMPLATE: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const ended = once(child, 'close').then(([status]) => ({
      status: Number(status),
      output,
      lastLine: output.trimEnd().split('\n').at(-1),
    }));
    return { child, ended };
  }

  it('ends with the counts of all files, and succeeds when everything passed', async () => {
    const { ended } = await start({
      'a.test.ts': `it('one', () => {}); it('two', () => {});`,
      'b.test.ts': `it('three', async () => {});`,
      'c.serial.test.ts': `it('four', () => {});`,
    });

    const { status, lastLine } = await ended;

    assert.equal(lastLine, '4 passed, 0 failed');
    assert.equal(status, 0);
  });

  it('fails with a failing test, and shows it', async () => {
    const { ended } = await start({
      'a.test.ts': `it('holds', () => {}); it('breaks', () => { throw new Error('the reason'); });`,
    });

    const { status, lastLine, output } = await ended;

    assert.equal(lastLine, '1 passed, 1 failed');
    assert.match(output, /1\) breaks:\s+Error: the reason/);
    assert.match(output, /\nFailed:\n\nbreaks\nError: the reason\n[^]*\n1 passed, 1 failed\s*$/);
    assert.equal(status, 1);
  });

  it('fails with a file that does not load, a failing hook, and a test that is left out', async () => {
    const { ended } = await start({
      'a.test.ts': `import './missing.ts'; it('never', () => {});`,
      'b.test.ts': `describe('b', () => { before(() => { throw new Error('hook'); }); it('never', () => {}); });`,
      'c.test.ts': `it.${'skip'}('left out', () => {}); it('holds', () => {});`,
    });

    const { status, lastLine } = await ended;

    assert.equal(lastLine, '1 passed, 3 failed');
    assert.equal(status, 1);
  });

  it('fails when no test ran', async () => {
    const { ended } = await start({ 'a.test.ts': `it('one', () => {});` }, ['--grep', 'another']);

    const { status, lastLine, output } = await ended;

    assert.match(output, /No test ran/);
    assert.equal(lastLine, '0 passed, 0 failed');
    assert.equal(status, 1);
  });

  it('drops its databases, also when it is interrupted', async () => {
    const db = await testDb();
    const place = join(directory, 'url');
    const appeared = fileAppears(place);
    const { child, ended } = await start({
      'a.test.ts': `
        import { renameSync, writeFileSync } from 'node:fs';
        it('waits', async () => {
          writeFileSync('${place}.draft', process.env.TEST_DATABASE_URL);
          renameSync('${place}.draft', '${place}');
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        }).timeout(0);`,
    });
    await appeared;
    const name = new URL(await readFile(place, 'utf8')).pathname.slice(1);
    const before = await db('pg_database').where('datname', 'like', `${name}%`).pluck('datname');

    child.kill('SIGINT');
    const { status } = await ended;

    assert.equal(status, 130);
    assert.deepEqual(new Set(before), new Set([name, `${name}_template`]));
    assert.deepEqual(await db('pg_database').where('datname', 'like', `${name}%`), []);
  });

  function fileAppears(path: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = watch(directory, () => {
      if (existsSync(path)) resolve();
    });
    return promise.finally(() => watcher.close());
  }
});
