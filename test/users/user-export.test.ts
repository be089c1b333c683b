import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { roleStore } from '../../src/access/role-store.ts';
import { newId } from '../../src/lib/ids.ts';
import { exportColumns } from '../../src/users/transfer/export-pages.ts';
import type { ExportRoles } from '../../src/users/transfer/export-pages.ts';
import { createUserExport } from '../../src/users/transfer/user-export.ts';
import type { ExportRequest } from '../../src/users/transfer/user-export.ts';
import { findWrittenPart } from '../../src/users/transfer/written-part.ts';
import { newTenant, testDb } from '../support/database.ts';
import { eventsOf, newHasher, operator } from './people.ts';

/** Line breaks of every kind, quotes and separators, which half a record must not be taken apart at. */
const ODD_NAMES = ['Zoë', 'a, "b"', 'one\r\ntwo', 'one\ntwo', '"', '\r\n', '=1+1'];
/** With a letter, which can be written in capitals. */
const IDS = ODD_NAMES.map((_, index) => `00000000-0000-4000-a000-0000000000${index + 1}0`);

describe('export of users to a file', () => {
  let db: Knex;
  let tenantId: string;
  let dir: string;
  const hasher = newHasher();

  before(async () => {
    db = await testDb();
  });
  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
    dir = await mkdtemp(join(tmpdir(), 'gatehouse-export-'));
    // Ids are unique over all tenants.
    for (const [index, name] of ODD_NAMES.entries())
      await addUser(ownId(IDS[index] ?? ''), `user${index}@example.com`, name);
  });
  afterEach(() => rm(dir, { recursive: true }));

  /** In the order of the fixed ids, but nobody else's. */
  const ownId = (id: string) => `${id.slice(0, 23)}-${tenantId.slice(-8)}${id.slice(-4)}`;

  async function addUser(id: string, email: string, name: string): Promise<void> {
    await db('users').insert({ id, tenant_id: tenantId, email });
    await db('user_profiles').insert({ user_id: id, tenant_id: tenantId, claims: { name } });
  }

  const run = (request: ExportRequest, rolesOn: ExportRoles = roleStore, actor = operator(tenantId)) =>
    createUserExport({ db, hasher, rolesOn }).run(actor, request);

  /** @returns where what was written so far lies */
  async function interrupted(request: ExportRequest): Promise<string> {
    const failing = run({
      ...request,
      onProgress(users) {
        if (users > 0) throw new Error('pulled the plug');
      },
    });
    await assert.rejects(failing, { code: 'user_export.interrupted' });
    const [name] = (await readdir(dir)).filter((one) => one.endsWith('.partial'));
    return join(dir, name ?? '');
  }

  for (const format of ['jsonl', 'csv'] as const) {
    const form = { format, withPasswordHashes: false };

    it(`finds what is whole of ${format}, wherever it was cut off and in whatever pieces it is read`, async () => {
      const file = join(dir, 'users');
      await run({ file, format });
      const whole = await readFile(file);
      async function* pieces(length: number, size: number) {
        for (let at = 0; at < length; at += size) yield whole.subarray(at, Math.min(length, at + size));
      }
      const find = (length: number, size: number) =>
        findWrittenPart(pieces(length, size), format, exportColumns(form));

      const ends = new Map<number, number>();
      for (let length = 0; length <= whole.length; length += 1) {
        const part = await find(length, 64);
        const beginning = whole.subarray(0, part.bytes).toString();
        assert.ok(part.bytes <= length);
        assert.ok(part.bytes === 0 || beginning.endsWith(format === 'csv' ? '\r\n' : '\n'));
        assert.equal(part.lastId, part.users === 0 ? undefined : ownId(IDS[part.users - 1] ?? ''));
        assert.deepEqual(await find(length, 7), part);
        ends.set(part.users, part.bytes);
        // A record counts from its very last byte on.
        assert.ok(part.bytes >= (ends.get(part.users) ?? 0));
      }

      assert.deepEqual([...ends.keys()], [0, ...IDS.map((_, index) => index + 1)]);
      assert.equal(ends.get(IDS.length), whole.length);
    });

    it(`resumed as ${format}, the file is what it would have been, and its owner's alone`, async () => {
      const whole = join(dir, 'whole');
      await run({ file: whole, format, withPasswordHashes: true });
      const expected = await readFile(whole, 'utf8');

      for (const length of [0, 5, expected.indexOf('user2@'), expected.length - 1, expected.length]) {
        const file = join(dir, `users-${length}`);
        const request = { file, format, withPasswordHashes: true };
        const partial = await interrupted(request);
        await writeFile(partial, expected.slice(0, length));

        const { users } = await run({ ...request, resume: true });

        assert.equal(users, IDS.length);
        assert.equal(await readFile(file, 'utf8'), expected);
        assert.equal((await stat(file)).mode & 0o777, 0o600);
        assert.deepEqual(
          (await readdir(dir)).filter((name) => name.endsWith('.partial')),
          [],
        );
      }
    });

    it(`trusts nothing of an unfinished ${format} from the first record on that is damaged or out of order`, async () => {
      const file = join(dir, 'users');
      await run({ file, format });
      const expected = await readFile(file, 'utf8');
      const id = ownId(IDS[1] ?? '');
      const damages = [
        expected.replace('user1@', '\0\0\0\0\0\0'),
        expected.replace(id, id.toUpperCase()),
        expected.replace(id, ownId(IDS[0] ?? '')),
        expected.replace('"', '"x"'),
        expected.replace('id', 'di'),
      ];

      for (const damaged of damages) {
        assert.notEqual(damaged, expected);
        await writeFile(await interrupted({ file, format }), damaged);
        const { users, resumedAt } = await run({ file, format, resume: true });
        assert.ok(resumedAt <= 2);
        assert.equal(users, IDS.length);
        assert.equal(await readFile(file, 'utf8'), expected);
      }
    });
  }

  it('who was written stays as he was then; who was not is as he is now', async () => {
    const file = join(dir, 'users.jsonl');
    const request = { file, format: 'jsonl' } as const;
    const partial = await interrupted(request);
    const written = await readFile(partial, 'utf8');
    await truncate(partial, written.indexOf('user3@'));
    const [before, , , after] = IDS.map(ownId);
    await db('users').where({ id: before }).update({ email: 'changed0@example.com' });
    await db('users').where({ id: after }).update({ email: 'changed3@example.com' });
    await addUser(ownId('00000000-0000-4000-a000-000000000001'), 'early@example.com', 'Early');
    await addUser(ownId('00000000-0000-4000-a000-000000000099'), 'late@example.com', 'Late');

    const { users, resumedAt } = await run({ ...request, resume: true });

    assert.deepEqual([users, resumedAt], [IDS.length + 1, 3]);
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).email.split('@')[0]),
      ['user0', 'user1', 'user2', 'changed3', 'user4', 'user5', 'user6', 'late'],
    );
    const events = await eventsOf(db, tenantId, 'users.exported');
    assert.deepEqual(
      events.map(({ data }) => data),
      [
        { format: 'jsonl', with_password_hashes: false },
        { format: 'jsonl', with_password_hashes: false, resumed_at: 3 },
      ],
    );
  });

  it('resumes nothing that is of another tenant, format or file, has other options, or is complete', async () => {
    const file = join(dir, 'users.jsonl');
    const partial = await interrupted({ file, format: 'jsonl' });
    const written = await readFile(partial, 'utf8');
    const other = operator((await newTenant(db)).id);
    const refused = { code: 'user_export.nothing_to_resume' };

    await assert.rejects(run({ file, format: 'jsonl', resume: true }, roleStore, other), refused);
    await assert.rejects(run({ file, format: 'csv', resume: true }), refused);
    await assert.rejects(run({ file: `${file}2`, format: 'jsonl', resume: true }), refused);
    await assert.rejects(run({ file, format: 'jsonl', withPasswordHashes: true, resume: true }), refused);
    assert.equal(await readFile(partial, 'utf8'), written);
    assert.equal((await eventsOf(db, tenantId, 'users.exported')).length, 1);
    await run({ file, format: 'jsonl', resume: true });
    await assert.rejects(run({ file, format: 'jsonl', resume: true }), refused);
    assert.deepEqual(await readdir(dir), ['users.jsonl']);
  });

  it('begins anew unless it is told to resume, in a file of its own', async () => {
    const file = join(dir, 'users.jsonl');
    const partial = await interrupted({ file, format: 'jsonl' });
    await writeFile(partial, 'left over');
    await chmod(partial, 0o666);

    const { users, resumedAt } = await run({ file, format: 'jsonl' });

    assert.deepEqual([users, resumedAt], [IDS.length, 0]);
    assert.equal((await readFile(file, 'utf8')).trim().split('\n').length, IDS.length);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it('keeps the file of before, and what is written, when it cannot be finished', async () => {
    const file = join(dir, 'users.jsonl');
    await mkdir(file);

    await assert.rejects(run({ file, format: 'jsonl' }), { code: 'user_export.interrupted' });
    await rm(file, { recursive: true });
    const { users, resumedAt } = await run({ file, format: 'jsonl', resume: true });

    assert.deepEqual([users, resumedAt], [IDS.length, IDS.length]);
  });

  it('is written by one process at a time', async () => {
    const request = { file: join(dir, 'users.jsonl'), format: 'jsonl' } as const;
    const refusals: PromiseSettledResult<unknown>[] = [];
    const meanwhile: ExportRoles = (on, tenant) => ({
      async rolesOfAll(ids) {
        const others = [false, true].map((resume) => run({ ...request, resume }));
        refusals.push(...(await Promise.allSettled(others)));
        await run({ file: join(dir, 'other.jsonl'), format: 'jsonl' });
        return roleStore(on, tenant).rolesOfAll(ids);
      },
    });

    const { users } = await run(request, meanwhile);

    assert.deepEqual(
      refusals.map((one) => one.status === 'rejected' && one.reason.code),
      ['user_export.elsewhere', 'user_export.elsewhere'],
    );
    assert.equal(users, IDS.length);
  });

  it('writes no more once the database has cut its connection, and can be resumed', async () => {
    const request = { file: join(dir, 'users.jsonl'), format: 'jsonl' } as const;
    const cut: ExportRoles = (on, tenant) => ({
      async rolesOfAll(ids) {
        const { rows } = await on.raw('SELECT pg_backend_pid() AS pid');
        await db.raw('SELECT pg_terminate_backend(?, 5000)', [rows[0].pid]);
        return roleStore(on, tenant).rolesOfAll(ids);
      },
    });

    await assert.rejects(run(request, cut), { code: 'user_export.interrupted' });
    const left = await readdir(dir);
    const { users } = await run({ ...request, resume: true });

    assert.match(left.join(' '), /^users\.jsonl\.[0-9a-f]{8}\.partial$/);
    assert.equal(users, IDS.length);
  });

  it('refuses a folder that is not there before anything is recorded', async () => {
    const file = join(dir, newId(), 'users.jsonl');

    await assert.rejects(run({ file, format: 'jsonl' }), { code: 'user_export.unusable' });

    assert.deepEqual(await eventsOf(db, tenantId, 'users.exported'), []);
  });
});
