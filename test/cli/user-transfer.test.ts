import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cliBench } from './support.ts';
import type { CliBench } from './support.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/gatehouse.mjs', import.meta.url));
const ROWS = 20_000;

describe('gatehouse user import and export', function () {
  this.timeout(120_000);
  let cli: CliBench;
  before(async () => {
    cli = await cliBench();
  });
  after(() => cli.close());

  async function file(name: string, rows: readonly unknown[]): Promise<string> {
    const path = join(cli.dataDir, name);
    await writeFile(
      path,
      rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'),
    );
    return path;
  }

  it('tries out, imports, lists what failed in a file of its owner, and ends with 1 for that', async () => {
    const path = await file('users.jsonl', [{ email: 'ana@example.com' }, { email: 'none' }]);

    const tried = await cli.run(['--json', 'user', 'import', path, '--dry-run']);
    const done = await cli.run(['--json', 'user', 'import', path]);
    const again = await cli.run(['user', 'import', path]);

    const counts = {
      read: 2,
      created: 1,
      updated: 0,
      skipped: 0,
      failed: 1,
      errors_file: `${path}.errors.jsonl`,
    };
    assert.deepEqual(JSON.parse(tried.stdout), { job: null, ...counts });
    assert.partialDeepStrictEqual(JSON.parse(done.stdout), counts);
    assert.deepEqual([tried.exitCode, done.exitCode, again.exitCode], [1, 1, 1]);
    assert.match(again.stdout, /skipped +1/);
    const errors = await readFile(`${path}.errors.jsonl`, 'utf8');
    assert.partialDeepStrictEqual(JSON.parse(errors), { line: 2, code: 'user.email_invalid' });
    assert.equal((await stat(`${path}.errors.jsonl`)).mode & 0o777, 0o600);
  });

  it('exports to a file of its owner, without password hashes unless it is told to', async () => {
    const path = join(cli.dataDir, 'export.csv');
    await cli.run(['user', 'create', 'bea@example.com'], { stdin: 'mossy lantern orbit 47\n' });

    const plain = await cli.json(['user', 'export', path, '--format', 'csv']);
    const content = await readFile(path, 'utf8');
    await cli.json(['user', 'export', path, '--format', 'csv', '--with-password-hashes']);

    assert.ok(plain.users >= 1);
    assert.equal(plain.existing, plain.users);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.match(content, /^id,email,/);
    assert.doesNotMatch(content, /argon2/);
    // What an operator gave out stays temporary wherever it is imported.
    assert.match(await readFile(path, 'utf8'), /gatehouse:[0-9a-f]{8}:\$argon2id[^\r]*,true\r\n/);
  });

  it('refuses a file that is not there, none, or of no known kind', async () => {
    for (const path of ['/nowhere/users.jsonl', cli.dataDir, await file('users.txt', [])]) {
      const refusal = await cli.refusal(['user', 'import', path]);
      assert.deepEqual([refusal.exitCode, refusal.code], [2, 'usage'], path);
    }
  });

  it('says how many were there already, and refuses to resume what there is not', async () => {
    const path = join(cli.dataDir, 'half.jsonl');
    await mkdir(path);
    const failure = await cli.refusal(['user', 'export', path]);
    await rmdir(path);

    const told = await cli.run(['user', 'export', path, '--resume']);
    const refusal = await cli.refusal(['user', 'export', path, '--resume']);

    assert.equal(failure.code, 'user_export.interrupted');
    assert.match(failure.message, /--resume goes on with it\. EISDIR/);
    assert.match(told.stdout, /^(\d+) users written to .*half\.jsonl, \1 of them before it was cut off\.\n$/);
    assert.deepEqual([refusal.exitCode, refusal.code], [1, 'user_export.nothing_to_resume']);
  });

  it('killed at any moment and started again, it settles every row once and its counts add up', async () => {
    const rows = Array.from({ length: ROWS }, (_, index) => ({
      email: index % 100 === 99 ? 'none' : `user${index % 15_000}@kill.example`,
      name: `User ${index}`,
    }));
    const path = await file('many.jsonl', rows);
    const { id: tenantId } = await cli.db('tenants').where({ slug: 'default' }).first('id');
    const position = async () => {
      const job = await cli
        .db('import_jobs')
        .where({ tenant_id: tenantId, status: 'running' })
        .first('position');
      return Number(job?.position ?? 0);
    };

    let killed = 0;
    for (const atLeast of [1, 4000, 9000]) {
      const child = spawn(process.execPath, [LAUNCHER, 'user', 'import', path], {
        env: cli.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('close', (_code, signal) => resolve(signal)));
      let isOver = false;
      void ended.then(() => (isOver = true));
      while (!isOver && (await position()) < atLeast) await pause(5);
      child.kill('SIGKILL');
      if ((await ended) === 'SIGKILL') killed += 1;
    }
    const done = await cli.run(['--json', 'user', 'import', path]);

    assert.ok(killed > 0, 'it was too fast to be killed');
    const report = JSON.parse(done.stdout);
    const failed = rows.filter(({ email }) => email === 'none').length;
    const distinct = new Set(rows.map(({ email }) => email)).size - 1;
    assert.ok(report.resumed_at > 0);
    assert.partialDeepStrictEqual(report, {
      read: ROWS,
      created: distinct,
      updated: 0,
      skipped: ROWS - distinct - failed,
      failed,
    });
    const users = await cli.db('users').whereLike('email', '%@kill.example').count();
    const events = await cli.db('events').where({ type: 'user.created', reason: 'import' }).count();
    assert.equal(Number(users[0]?.['count']), distinct);
    assert.equal(Number(events[0]?.['count']), distinct + 1);
    const lines = (await readFile(`${path}.errors.jsonl`, 'utf8')).trim().split('\n');
    assert.equal(lines.length, failed);
    assert.equal(JSON.parse(lines[0] ?? '').line, 100);
  });

  it('an export that is killed again and again leaves no file, and resumed it is the same as in one go', async () => {
    await cli.db.raw(
      `INSERT INTO users (id, tenant_id, email)
       SELECT gen_random_uuid(), t.id, 'user' || n || '@export.example'
         FROM tenants t, generate_series(1, ?) n WHERE t.slug = 'default'`,
      // Of these it is killed within the first sixth.
      [2 * ROWS],
    );
    await cli.db.raw('ANALYZE users');
    const path = join(cli.dataDir, 'everybody.csv');
    const args = ['user', 'export', path, '--format', 'csv'];
    const written = async () => {
      const names = (await readdir(cli.dataDir)).filter((name) => /^everybody\.csv\..*\.partial$/.test(name));
      const sizes = await Promise.all(names.map(async (name) => (await stat(join(cli.dataDir, name))).size));
      return sizes[0] ?? 0;
    };
    const isThere = async () => (await readdir(cli.dataDir)).includes('everybody.csv');

    for (const atLeast of [1, 300_000, 600_000]) {
      const child = spawn(process.execPath, [LAUNCHER, ...args, ...(atLeast > 1 ? ['--resume'] : [])], {
        env: cli.env,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('close', (_code, signal) => resolve(signal)));
      let isOver = false;
      void ended.then(() => (isOver = true));
      while (!isOver && (await written()) < atLeast) await pause(1);
      child.kill('SIGKILL');
      assert.equal(await ended, 'SIGKILL', 'it was too fast to be killed');
      assert.equal(await isThere(), false);
    }
    const resumed = await cli.json([...args, '--resume']);
    const told = await cli.run(['user', 'export', `${path}2`, '--format', 'csv']);

    assert.ok(resumed.resumed_at > 0);
    assert.equal(resumed.users, resumed.existing);
    assert.match(told.stdout, new RegExp(`^${resumed.users} users written to .*csv2\\.\n$`));
    assert.ok((await readFile(path)).equals(await readFile(`${path}2`)));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
});
