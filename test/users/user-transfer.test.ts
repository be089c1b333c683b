import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { roleStore } from '../../src/access/role-store.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { newId } from '../../src/lib/ids.ts';
import { createUserExport } from '../../src/users/transfer/user-export.ts';
import { createUserImport } from '../../src/users/transfer/user-import.ts';
import type { ImportRequest } from '../../src/users/transfer/user-import.ts';
import { fromCell, toCell } from '../../src/users/transfer/spreadsheet-cells.ts';
import { newTenant, testDb } from '../support/database.ts';
import { GOOD_PASSWORD, eventsOf, newHasher, operator, people, visitor } from './people.ts';

const SSHA = '{SSHA}bBM5MfKzi8p3MP5NCzZ9HhzvsNlzYWx0eXNhbHQxMg==';
const SSHA_PASSWORD = 'correct horse';

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

describe('import and export of users', () => {
  let db: Knex;
  let tenantId: string;
  const hasher = newHasher();

  before(async () => {
    db = await testDb();
  });
  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  const actor = () => operator(tenantId);
  const importer = () => createUserImport({ db, now: systemClock, hasher, rolesOn: roleStore });
  const lines = (...values: unknown[]) =>
    values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('\n');

  /** @param cut in pieces of this many bytes, as a stream would */
  function request(content: string | Buffer, more: Partial<ImportRequest> = {}, cut = 7): ImportRequest {
    const bytes = Buffer.from(content);
    return {
      format: 'jsonl',
      async *open() {
        for (let at = 0; at < bytes.length; at += cut) yield bytes.subarray(at, at + cut);
      },
      ...more,
    };
  }

  async function run(content: string | Buffer, more: Partial<ImportRequest> = {}, cut?: number) {
    const result = await importer().run(actor(), request(content, more, cut));
    return { ...result, faults: await collect(result.faults()) };
  }

  const users = async () => db('users').where({ tenant_id: tenantId }).orderBy('email');

  it('brings in address, profile, state, roles and password hash, and records each user', async () => {
    await roleStore(db, tenantId).ensureRole('editor');
    const id = newId();

    const { counts, read, faults } = await run(
      lines(
        {
          id,
          email: 'Ana@example.com',
          email_verified: true,
          password_hash: SSHA,
          roles: ['editor'],
          name: 'Ana López',
          claims: { address: { country: 'ES' } },
          created_at: '2020-02-03T04:05:06Z',
        },
        { email: 'ben@example.com', status: 'disabled' },
      ),
    );

    assert.deepEqual([read, counts, faults], [2, { created: 2, updated: 0, skipped: 0, failed: 0 }, []]);
    const service = people(db, hasher);
    const { user, profile } = await service.users.getWithProfile(actor(), id);
    assert.deepEqual(profile.claims, { name: 'Ana López', address: { country: 'ES' } });
    assert.equal(user.createdAt.toISOString(), '2020-02-03T04:05:06.000Z');
    assert.ok(user.emailVerifiedAt);
    assert.deepEqual(await roleStore(db, tenantId).rolesOf(id), ['editor']);
    const outcome = await service.signIn.verify(visitor(tenantId), {
      email: 'ana@example.com',
      password: SSHA_PASSWORD,
    });
    assert.equal(outcome.ok, true);
    const created = await eventsOf(db, tenantId, 'user.created');
    assert.deepEqual(
      created.map(({ target_id, reason }) => [target_id === id, reason]),
      [
        [true, 'import'],
        [false, 'import'],
      ],
    );
    const [ended] = await eventsOf(db, tenantId, 'users.imported');
    assert.deepEqual(ended?.data, { read: 2, created: 2, updated: 0, skipped: 0, failed: 0 });
  });

  it('takes CSV with the same fields: quotes, line breaks within cells, a byte order mark, roles, an address', async () => {
    await roleStore(db, tenantId).ensureRole('editor');
    await roleStore(db, tenantId).ensureRole('auditor');
    const content = [
      '\ufeffemail,email_verified,name,roles,address.street_address,phone_number,status',
      'ana@example.com,true,"López, Ana",editor auditor,"Calle Uno\nPiso 2",\'+34600000000,',
      'ben@example.com,,,,,,pending',
      '',
    ].join('\r\n');

    const { counts, faults } = await run(content, { format: 'csv' });

    assert.deepEqual(faults, []);
    assert.equal(counts.created, 2);
    const [ana, ben] = await users();
    assert.equal(ben?.status, 'pending');
    const { claims } = await db('user_profiles').where({ user_id: ana?.id }).first();
    assert.deepEqual(claims, {
      name: 'López, Ana',
      phone_number: '+34600000000',
      address: { street_address: 'Calle Uno\nPiso 2' },
    });
    assert.deepEqual(await roleStore(db, tenantId).rolesOf(ana?.id), ['auditor', 'editor']);
  });

  it('lists what is wrong by line, goes on, and repeats nothing about the person', async () => {
    const { counts, read, faults } = await run(
      lines(
        { email: 'good@example.com' },
        '{"email": "broken@example.com"',
        { email: 'not an address' },
        { email: 'a@example.com', password: 'in clear' },
        {
          email: 'b@example.com',
          password_hash: '$2b$31$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m',
        },
        { email: 'c@example.com', password_hash: 'md5:secret-hash' },
        { email: 'd@example.com', roles: ['no such role'] },
        { email: 'e@example.com', planet: 'Mars' },
        { email: 'f@example.com', status: 'deleted' },
        { email: 'g@example.com', id: 'me' },
        '',
        '{"email": "h@example.com", "__proto__": {"name": "x"}}',
        '[]',
        'null',
        { email: ['i@example.com'] },
        { email: 'j@example.com', email_verified: 'yes' },
        { email: 'last@example.com' },
      ),
    );

    assert.equal(read, 16);
    assert.deepEqual(counts, { created: 2, updated: 0, skipped: 0, failed: 14 });
    assert.deepEqual(
      faults.map(({ line, code }) => [line, code]),
      [
        [2, 'import.line_invalid'],
        [3, 'user.email_invalid'],
        [4, 'import.plain_password'],
        [5, 'password.hash_too_costly'],
        [6, 'password.hash_unsupported'],
        [7, 'import.role_unknown'],
        [8, 'user.claims_invalid'],
        [9, 'import.row_invalid'],
        [10, 'import.row_invalid'],
        [12, 'import.row_invalid'],
        [13, 'import.row_invalid'],
        [14, 'import.row_invalid'],
        [15, 'import.row_invalid'],
        [16, 'import.row_invalid'],
      ],
    );
    assert.doesNotMatch(JSON.stringify(faults), /example\.com|in clear|secret-hash|no such role'/);
    assert.deepEqual(
      (await users()).map(({ email }) => email),
      ['good@example.com', 'last@example.com'],
    );
  });

  it('survives hostile files', async () => {
    const huge = `{"email":"x@example.com","name":"${'x'.repeat(200_000)}"}`;
    const jsonl = await run(
      Buffer.concat([
        Buffer.from(`${huge}\n`),
        Buffer.from([0xff, 0xfe, 0x0a]),
        Buffer.from('{"email":"nul@example.com","name":"a\\u0000b"}\n'),
        Buffer.from(`${'['.repeat(50_000)}\n`),
        Buffer.from('{"email":"ok@example.com"}'),
      ]),
      {},
      65_536,
    );
    const csv = await run(
      `email,name\n"unclosed@example.com,x\nok2@example.com,"a"b"\nok3@example.com,a,b,c\n${'y'.repeat(100_000)}`,
      { format: 'csv' },
      65_536,
    );

    assert.deepEqual([jsonl.read, jsonl.counts.created, jsonl.counts.failed], [5, 1, 4]);
    assert.equal(csv.counts.created, 0);
    assert.ok(csv.counts.failed > 0);
    assert.equal(csv.read, csv.counts.failed);
  });

  it('never fails otherwise than row by row, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('jsonl' as const, 'csv' as const),
        async (bytes, format) => {
          const { counts, read } = await importer().rehearse(
            actor(),
            request(Buffer.from(bytes), { format }),
          );
          assert.equal(read, counts.created + counts.updated + counts.skipped + counts.failed);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('makes nobody twice: not within a file, not in two runs, not in another spelling', async () => {
    const file = lines(
      { email: 'ana@example.com', name: 'First' },
      { email: 'ANA@example.com', name: 'Second' },
      ...Array.from({ length: 1200 }, (_, index) => ({ email: `user${index % 600}@example.com` })),
    );

    const first = await run(file);
    const second = await run(file);

    assert.deepEqual(first.counts, { created: 601, updated: 0, skipped: 601, failed: 0 });
    assert.deepEqual(second.counts, { created: 0, updated: 0, skipped: 1202, failed: 0 });
    assert.equal((await users()).length, 601);
    const { claims } = await db('user_profiles')
      .where({ user_id: (await users())[0]?.id })
      .first();
    assert.deepEqual(claims, { name: 'First' });
  });

  it('adds to users who exist when it is told to, and changes neither state nor password', async () => {
    const service = people(db, hasher);
    const ana = await service.users.create(actor(), {
      email: 'ana@example.com',
      password: GOOD_PASSWORD,
      claims: { name: 'Ana', locale: 'es' },
    });
    await service.users.create(actor(), { email: 'ben@example.com' });
    await service.users.create(actor(), { email: 'cleo@example.com' });
    const temporary = { password_hash: SSHA, password_temporary: true };
    const file = lines(
      { email: 'ana@example.com', nickname: 'An', name: 'Ana L', ...temporary, status: 'disabled' },
      { email: 'ben@example.com', password_hash: SSHA, email_verified: true },
      { email: 'cleo@example.com', ...temporary },
    );

    const left = await run(file);
    const first = await run(file, { update: true });
    const second = await run(file, { update: true });

    assert.deepEqual(left.counts, { created: 0, updated: 0, skipped: 3, failed: 0 });
    assert.deepEqual(first.counts, { created: 0, updated: 3, skipped: 0, failed: 0 });
    assert.deepEqual(second.counts, { created: 0, updated: 0, skipped: 3, failed: 0 });
    const { user, profile } = await service.users.getWithProfile(actor(), ana.id);
    assert.deepEqual(profile.claims, { name: 'Ana L', locale: 'es', nickname: 'An' });
    assert.equal(user.status, 'active');
    for (const [email, password, isTemporary] of [
      ['ana@example.com', GOOD_PASSWORD, false],
      ['ben@example.com', SSHA_PASSWORD, false],
      ['cleo@example.com', SSHA_PASSWORD, true],
    ] as const) {
      const outcome = await service.signIn.verify(visitor(tenantId), { email, password });
      assert.deepEqual([outcome.ok, 'temporary' in outcome], [true, isTemporary], email);
    }
    const changes = await eventsOf(db, tenantId, 'user.updated');
    assert.deepEqual(
      changes.map(({ data }) => data),
      [{ changed: ['profile'] }, { changed: ['emailVerified', 'password'] }, { changed: ['password'] }],
    );
  });

  it('does not take over ids: of another user, of another tenant, of an address that has one', async () => {
    const service = people(db, hasher);
    const other = operator((await newTenant(db)).id);
    const foreign = await service.users.create(other, { email: 'foreign@example.com' });
    const own = await service.users.create(actor(), { email: 'own@example.com' });

    const { faults } = await run(
      lines(
        { id: foreign.id, email: 'a@example.com' },
        { id: own.id, email: 'b@example.com' },
        { id: newId(), email: 'own@example.com' },
      ),
    );

    assert.deepEqual(
      faults.map(({ code }) => code),
      ['import.id_taken', 'import.id_taken', 'user.email_taken'],
    );
    assert.equal((await service.users.get(other, foreign.id)).email, 'foreign@example.com');
  });

  it('rehearses: the same counts and faults, and nothing is changed', async () => {
    const file = lines(
      ...Array.from({ length: 1100 }, (_, index) => ({ email: `user${index % 700}@example.com` })),
      { email: 'none' },
    );

    const rehearsed = await importer().rehearse(actor(), request(file));
    const [usersThen, jobsThen] = [await users(), await db('import_jobs').where({ tenant_id: tenantId })];
    const done = await run(file);

    assert.deepEqual(usersThen, []);
    assert.deepEqual(jobsThen, []);
    assert.deepEqual(await eventsOf(db, tenantId, 'user.created').then(({ length }) => length), 700);
    assert.deepEqual(rehearsed.counts, done.counts);
    assert.deepEqual(await collect(rehearsed.faults()), done.faults);
  });

  it('goes on after a failure in the middle where it ended, and counts every record once', async () => {
    const file = lines(
      ...Array.from({ length: 1300 }, (_, index) => ({ email: `user${index}@example.com` })),
      { email: 'none' },
    );
    let batches = 0;
    const interrupted = importer().run(
      actor(),
      request(file, {
        onProgress() {
          batches += 1;
          if (batches === 2) throw new Error('the power fails');
        },
      }),
    );
    await assert.rejects(interrupted, /the power fails/);
    const halfway = (await users()).length;

    const { resumedAt, read, counts, faults } = await run(file);

    assert.deepEqual([halfway, resumedAt, read], [1000, 1000, 1301]);
    assert.deepEqual(counts, { created: 1300, updated: 0, skipped: 0, failed: 1 });
    assert.deepEqual(
      faults.map(({ line, position }) => [line, position]),
      [[1301, 1300]],
    );
    assert.equal((await eventsOf(db, tenantId, 'user.created')).length, 1300);
  });

  it('twice at once: every record is settled once, and the one that comes second says so', async () => {
    const file = lines(
      ...Array.from({ length: 1500 }, (_, index) => ({ email: `user${index}@example.com` })),
    );

    const outcomes = await Promise.allSettled([run(file), run(file)]);

    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.ok(refused.every(({ reason }) => reason.code === 'import.elsewhere'));
    assert.equal((await users()).length, 1500);
    const jobs = await db('import_jobs').where({ tenant_id: tenantId });
    // The second may have begun after the first had ended, and skipped everybody.
    for (const job of jobs.filter(({ status }) => status === 'done'))
      assert.equal(Number(job.position), 1500);
    assert.equal((await eventsOf(db, tenantId, 'user.created')).length, 1500);
  });

  for (const format of ['jsonl', 'csv'] as const) {
    it(`an export as ${format} comes back as it was in another tenant, passwords included`, async () => {
      await roleStore(db, tenantId).ensureRole('editor');
      const service = people(db, hasher);
      const claims = {
        name: '=HYPERLINK("x")',
        nickname: "'+quoted",
        website: 'https://a.example/,"',
        address: { locality: 'Zoë' },
      };
      const ana = await service.users.create(actor(), {
        email: 'ana@example.com',
        password: GOOD_PASSWORD,
        emailVerified: true,
        claims,
      });
      await roleStore(db, tenantId).assign(ana.id, 'editor');
      await run(
        lines(
          { email: 'ben@example.com', password_hash: SSHA },
          { email: 'cleo@example.com', password_hash: SSHA, password_temporary: true },
        ),
      );
      const gone = await service.users.create(actor(), { email: 'gone@example.com' });
      await service.users.delete(actor(), gone.id);
      const exporter = createUserExport({ db, hasher, rolesOn: roleStore });
      const dir = await mkdtemp(join(tmpdir(), 'gatehouse-export-'));
      const exported = async (withPasswordHashes: boolean) => {
        const file = join(dir, 'users');
        await exporter.run(actor(), { file, format, withPasswordHashes });
        return readFile(file, 'utf8');
      };

      const content = (await exported(true)).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '');
      const plain = await exported(false);
      await rm(dir, { recursive: true });

      const target = operator((await newTenant(db)).id);
      await roleStore(db, target.tenantId).ensureRole('editor');
      const { counts, faults } = await importer().run(
        target,
        request(format === 'csv' ? content : content.replaceAll('"id":"",', ''), { format }),
      );
      assert.deepEqual(await collect(faults()), []);
      assert.deepEqual(counts, { created: 3, updated: 0, skipped: 0, failed: 0 });
      const copy = await service.users.findByEmail(target, 'ana@example.com');
      const { profile, user } = await service.users.getWithProfile(target, copy?.id ?? '');
      assert.deepEqual(profile.claims, claims);
      assert.ok(user.emailVerifiedAt);
      assert.deepEqual(await roleStore(db, target.tenantId).rolesOf(user.id), ['editor']);
      for (const [email, password, isTemporary] of [
        ['ana@example.com', GOOD_PASSWORD, false],
        ['ben@example.com', SSHA_PASSWORD, false],
        ['cleo@example.com', SSHA_PASSWORD, true],
      ] as const) {
        const outcome = await service.signIn.verify(visitor(target.tenantId), { email, password });
        assert.deepEqual([outcome.ok, 'temporary' in outcome], [true, isTemporary], email);
      }
      assert.doesNotMatch(plain, /argon2|foreign|password_hash|password_temporary|gone@/);
      assert.equal((await eventsOf(db, tenantId, 'users.exported')).length, 2);
    });
  }

  it('no cell of an export is a formula, and every cell comes back as it was', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const cell = toCell(text);
        assert.doesNotMatch(cell, /^"?[=+\-@\t\r]/);
        const unquoted = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
        assert.equal(fromCell(unquoted), text);
      }),
    );
  });

  it('does not accept a released hash under a pepper that is not there, nor a damaged one', async () => {
    const released = hasher.release(await hasher.hash(GOOD_PASSWORD));

    assert.throws(() => newHasher().adopt(released), { code: 'password.hash_foreign_pepper' });
    assert.throws(() => hasher.adopt(released.slice(0, -3)), { code: 'password.hash_damaged' });
    assert.throws(() => hasher.adopt(released.replace('m=19456', 'm=99999999')), {
      code: 'password.hash_damaged',
    });
  });
});
