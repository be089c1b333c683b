import assert from 'node:assert/strict';
import { NOT_PERSONAL, PERSONAL_TABLES } from '../../src/account-portal/personal-data.ts';
import { recordEvents } from '../../src/events/record-event.ts';
import type { EventDetail } from '../../src/events/record-event.ts';
import { newId } from '../../src/lib/ids.ts';
import { createAccountRequestsJob } from '../../src/jobs/account-requests-job.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import { visitorOf } from './visitor.ts';

/** On a database of its own: the job takes whatever waits, of every tenant. */
describe('one’s own data at the account portal', function () {
  this.timeout(60_000);
  let own: OwnDatabase;
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    own = await migratedDatabase();
    app = await startTestApp({ db: own.db });
    tenant = await app.tenant();
  });
  after(async () => {
    await app.close();
    await own.drop();
  });

  const visitor = (options?: Parameters<typeof visitorOf>[2]) => visitorOf(app, tenant, options);
  const runJob = () =>
    createAccountRequestsJob({
      exports: app.services.dataExports,
      deletions: app.services.accountDeletions,
    }).run(new AbortController().signal);
  const eventsOf = async (id: string, type: string) =>
    app.db('events').where({ tenant_id: tenant.tenant.id, type, target_id: id });

  describe('the profile', () => {
    it('is saved, and an empty field removes what was there', async () => {
      const ana = await visitor({ claims: { name: 'Ana', nickname: 'An', birthdate: '2000-01-01' } });

      const saved = await ana.submit(await ana.open('/profile'), '/account/profile', {
        name: 'Ana Lima',
        zoneinfo: 'Europe/Lisbon',
        locale: 'fr',
      });

      const { claims } = await app.db('user_profiles').where({ user_id: ana.user.id }).first();
      assert.equal(saved.url, `${ana.base}/profile?done=saved`);
      assert.deepEqual(claims, {
        name: 'Ana Lima',
        zoneinfo: 'Europe/Lisbon',
        locale: 'fr',
        birthdate: '2000-01-01',
      });
    });

    it('keeps a language that an app saved, of which there are no texts', async () => {
      for (const locale of ['pt-BR', 'no language at all']) {
        const ana = await visitor({ claims: { locale } });
        const page = await ana.open('/profile');

        const saved = await ana.submit(page, '/account/profile', { name: 'Ana', locale });

        const { claims } = await app.db('user_profiles').where({ user_id: ana.user.id }).first();
        assert.match(page.body, new RegExp(`<option value="${locale}" lang="${locale}" selected>`));
        assert.equal(saved.url, `${ana.base}/profile?done=saved`);
        assert.deepEqual(claims, { name: 'Ana', locale });
      }
    });

    for (const [field, value] of [
      ['zoneinfo', 'Mars/Olympus'],
      ['locale', 'xx'],
      ['picture', 'javascript:alert(1)'],
      ['name', 'a'.repeat(300)],
    ] as const) {
      it(`refuses ${field} ${value.slice(0, 20)} and keeps what was typed`, async () => {
        const ana = await visitor();

        const { status, body } = await ana.submit(await ana.open('/profile'), '/account/profile', {
          nickname: 'typed before',
          [field]: value,
        });

        assert.equal(status, 422);
        assert.ok(body.includes('typed before'));
        assert.ok(body.includes(`href="#${field}"`));
      });
    }
  });

  describe('a copy of the data', () => {
    it('is made on request, can be downloaded after another proof, and says everything', async () => {
      const ana = await visitor({ claims: { name: 'Ana Lima' } });
      const page = await ana.open('/data');
      const waiting = await ana.submit(page, '/data/export');
      await runJob();
      const ready = await ana.open('/data');
      const href = /href="([^"]*\/data\/export\/[^"]*)"/.exec(ready.body)?.[1] ?? '';
      await ana.growStale();

      const asked = await ana.follow(await ana.agent.get(new URL(href, ana.base).href));
      const download = await ana.answer(asked);

      assert.match(waiting.body, /is being made/);
      assert.match(asked.body, /Confirm it’s you[^]*about to get a copy of your data/);
      assert.equal(download.url, new URL(href, ana.base).href);
      assert.match(download.headers.get('content-disposition') ?? '', /attachment/);
      const { data } = JSON.parse(download.body);
      assert.equal(data.users[0].email, ana.email);
      assert.equal(data.user_profiles[0].claims.name, 'Ana Lima');
      assert.equal(data.user_sessions.length, 1);
      assert.ok(!download.body.includes('argon2'));
      assert.equal((await eventsOf(ana.user.id, 'user.export_ready')).length, 1);
    });

    it('is complete however long the history is, in parts of which none is large', async () => {
      const ana = await visitor();
      await ana.submit(await ana.open('/data'), '/data/export');
      const own: EventDetail[] = Array.from({ length: 1200 }, (_, index) => ({
        reason: `own-${index}`,
        data: { title: 'x'.repeat(200) },
      }));
      const done = own.map((_, index) => ({
        reason: `done-${index}`,
        target: { type: 'user', id: ana.user.id },
      }));
      const browser = { ip: '192.0.2.7', userAgent: 'a browser' };
      const person = { ...tenant.actor, ...browser, type: 'user' as const, id: ana.user.id };
      await recordEvents(app.db, person, 'user.activity', own);
      await recordEvents(app.db, { ...tenant.actor, ip: '198.51.100.9' }, 'user.updated', done);
      await runJob();

      const { id } = await app.db('data_exports').where({ user_id: ana.user.id }).first();
      const { body } = await ana.agent.get(`${ana.base}/data/export/${id}`);

      const { data } = JSON.parse(body);
      const reasons = new Set(data.events.map(({ reason }: { reason: string }) => reason));
      assert.equal(new Set(data.events.map((event: { id: string }) => event.id)).size, data.events.length);
      for (const index of [0, 499, 500, 1199])
        assert.ok(reasons.has(`own-${index}`) && reasons.has(`done-${index}`), String(index));
      const find = (wanted: string) =>
        data.events.find(({ reason }: { reason: string }) => reason === wanted);
      assert.partialDeepStrictEqual(find('own-7'), {
        by_you: true,
        ip: '192.0.2.7',
        user_agent: 'a browser',
      });
      assert.partialDeepStrictEqual(find('done-7'), { by_you: false, ip: null, user_agent: null });
      assert.equal(body.includes('198.51.100.9'), false);
      const parts = await app.db('data_export_parts').where({ export_id: id });
      assert.ok(parts.length > 1);
      assert.ok(parts.every(({ content_sealed: sealed }) => sealed.length < 512 * 1024));
      assert.equal(
        parts.some(({ content_sealed: sealed }) => sealed.includes('own-7')),
        false,
      );
    });

    it('that was made in one piece can still be fetched', async () => {
      const ana = await visitor();
      await ana.open();
      const id = newId();
      await app.db('data_exports').insert({
        id,
        tenant_id: tenant.tenant.id,
        user_id: ana.user.id,
        locale: 'en',
        content_sealed: app.services.sealer.seal('{"made": "before"}', `data_exports:content_sealed:${id}`),
        ready_at: new Date(),
        expires_at: new Date(Date.now() + 60_000),
      });

      const { body } = await ana.agent.get(`${ana.base}/data/export/${id}`);

      assert.deepEqual(JSON.parse(body), { made: 'before' });
    });

    it('is nobody else’s', async () => {
      const [ana, ben] = [await visitor(), await visitor()];
      await ana.submit(await ana.open('/data'), '/data/export');
      await runJob();
      await ben.open();
      const { id } = await app.db('data_exports').where({ user_id: ana.user.id }).first();

      const { status } = await ben.agent.get(`${ben.base}/data/export/${id}`);

      assert.equal(status, 404);
    });

    it('is made once however often it is asked for meanwhile, and by one of many workers', async () => {
      const ana = await visitor();
      const page = await ana.open('/data');

      await Promise.all(Array.from({ length: 5 }, () => ana.agent.submit(page, '/data/export')));
      await Promise.all([runJob(), runJob(), runJob()]);

      assert.equal((await app.db('data_exports').where({ user_id: ana.user.id })).length, 1);
      assert.equal((await eventsOf(ana.user.id, 'user.export_ready')).length, 1);
      assert.equal((await eventsOf(ana.user.id, 'user.export_requested')).length, 1);
    });

    it('takes the place of the one before, whose download does not end as if it were complete', async () => {
      const ana = await visitor();
      const actor = { ...tenant.actor, type: 'user' as const, id: ana.user.id };
      const make = async () => {
        await app.services.dataExports.request(actor, { locale: 'en' });
        await runJob();
      };
      await make();
      const first = await app.services.dataExports.latest(actor);
      const parts = (await app.services.dataExports.read(actor, first?.id ?? ''))?.[Symbol.asyncIterator]();
      await parts?.next();

      await make();

      const rows = await app.db('data_exports').where({ user_id: ana.user.id });
      assert.equal(rows.length, 1);
      assert.notEqual(rows[0].id, first?.id);
      await assert.rejects(async () => parts?.next(), /ended while it was sent/);
    });

    it('knows every table and every column that says something about a person', async () => {
      const { rows } = await app.db.raw<{ rows: { table: string; column: string }[] }>(
        `SELECT c.relname AS table, a.attname AS column FROM pg_class c
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace`,
      );
      const columns = Map.groupBy(rows, (row) => row.table);
      const marks = ['user_id', 'account_id', 'recipient', 'actor_id', 'email'];
      const about = [...columns]
        .filter(([, list]) => list.some(({ column }) => marks.includes(column)))
        .map(([table]) => table);

      const known = [...PERSONAL_TABLES.map(({ table }) => table), ...Object.keys(NOT_PERSONAL)];
      assert.deepEqual(about.toSorted(), known.toSorted());
      for (const { table, columns: told, withheld } of PERSONAL_TABLES) {
        const actual = columns.get(table)?.map(({ column }) => column) ?? [];
        assert.deepEqual([...told, ...withheld].toSorted(), actual.toSorted(), table);
      }
    });
  });

  describe('deleting the account', () => {
    const remove = async (ana: Awaited<ReturnType<typeof visitor>>, email = ana.email) =>
      ana.submit(await ana.open('/data/delete'), '/data/delete', { email });
    const makeDue = (id: string) =>
      app
        .db('account_deletions')
        .where({ user_id: id })
        .update({ due_at: new Date(0) });
    const statusOf = async (id: string) => (await app.db('users').where({ id }).first()).status;

    it('asks who one is, if the last proof is older than five minutes, and goes on there', async () => {
      const ana = await visitor();
      await ana.open();
      await ana.growStale();

      const asked = await ana.follow(await ana.agent.get(`${ana.base}/data/delete`));
      const form = await ana.agent.post(`${ana.base}/data/delete`, { email: ana.email });
      const page = await ana.answer(asked);

      assert.match(asked.body, /Confirm it’s you[^]*about to delete your account/);
      assert.equal(form.status, 303);
      assert.equal(page.url, `${ana.base}/data/delete`);
    });

    it('needs the address to be typed', async () => {
      const ana = await visitor();

      const { status } = await remove(ana, 'somebody@example.com');

      assert.equal(status, 422);
      assert.equal((await ana.agent.get(ana.base)).status, 200);
    });

    it('ends everything at once, and the account when its time has come', async () => {
      const ana = await visitor();

      const done = await remove(ana);
      const gone = await ana.agent.get(ana.base);
      await runJob();
      const before = await statusOf(ana.user.id);
      await makeDue(ana.user.id);
      await Promise.all([runJob(), runJob()]);

      assert.equal(done.url, `${ana.base}/deleted`);
      assert.equal(gone.status, 303);
      assert.equal(before, 'active');
      assert.equal(await statusOf(ana.user.id), 'deleted');
      assert.equal((await eventsOf(ana.user.id, 'user.deleted')).length, 1);
    });

    it('is called off by signing in, at the portal', async () => {
      const ana = await visitor();
      await remove(ana);

      const { body } = await ana.open();

      assert.match(body, /will not be deleted/);
      assert.deepEqual(await app.db('account_deletions').where({ user_id: ana.user.id }), []);
    });

    it('comes before or after the end of the account when it is called off in the same moment, never both', async () => {
      for (let round = 0; round < 10; round += 1) {
        const ana = await visitor();
        await remove(ana);
        await makeDue(ana.user.id);
        const actor = { ...tenant.actor, type: 'user' as const, id: ana.user.id };

        const [isCalledOff] = await Promise.all([
          app.services.accountDeletions.callOff(actor),
          runJob(),
          runJob(),
        ]);

        const cancelled = await eventsOf(ana.user.id, 'user.deletion_cancelled');
        const deleted = await eventsOf(ana.user.id, 'user.deleted');
        assert.deepEqual(
          [await statusOf(ana.user.id), cancelled.length, deleted.length],
          isCalledOff ? ['active', 1, 0] : ['deleted', 0, 1],
        );
      }
    });

    it('leaves alone what is being called off', async () => {
      const ana = await visitor();
      await remove(ana);
      await makeDue(ana.user.id);

      await app.db.transaction(async (trx) => {
        await trx('account_deletions').where({ user_id: ana.user.id }).delete();
        await runJob();
      });

      assert.equal(await statusOf(ana.user.id), 'active');
    });

    it('sees a sign-in that is completed while it waits for the user', async () => {
      const ana = await visitor();
      await remove(ana);
      await makeDue(ana.user.id);
      const { promise: locked, resolve: hasLock } = Promise.withResolvers<void>();
      const { promise: signedIn, resolve: goOn } = Promise.withResolvers<void>();

      const signIn = app.db.transaction(async (trx) => {
        await trx('users').where({ id: ana.user.id }).forShare().first('id');
        hasLock();
        await signedIn;
        await trx('user_sessions').where({ user_id: ana.user.id }).update({ authenticated_at: trx.fn.now() });
      });
      await locked;
      const job = runJob();
      await waitsForLock();
      goOn();
      await Promise.all([signIn, job]);

      assert.equal(await statusOf(ana.user.id), 'active');
      assert.equal((await eventsOf(ana.user.id, 'user.deletion_cancelled')).length, 1);
    });

    /** Until a statement on `users` of this database waits for somebody else's. */
    async function waitsForLock(): Promise<void> {
      for (;;) {
        const { rows } = await app.db.raw(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
             AND query LIKE '%users%'`,
        );
        if (rows.length > 0) return;
      }
    }

    it('is called off by signing in, wherever', async () => {
      const ana = await visitor();
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      await remove(ana);
      const agent = createUserAgent();
      const form = await agent.follow(
        await agent.get(rp.authorizationUrl({ login_hint: ana.email })),
        tenant.issuer,
      );
      await agent.follow(await agent.submit(form, '/password', { password: GOOD_PASSWORD }), tenant.issuer);
      await makeDue(ana.user.id);

      await runJob();

      assert.equal(await statusOf(ana.user.id), 'active');
      assert.equal((await eventsOf(ana.user.id, 'user.deletion_cancelled')).length, 1);
    });
  });

  describe('a sign-in in another browser', () => {
    it('is told of, but not the first one, and not one where the account is known', async () => {
      const ana = await visitor();
      await ana.open();
      const first = await eventsOf(ana.user.id, 'auth.suspicious_activity');
      await ana.growStale();
      await ana.open('/data/delete');
      const again = await eventsOf(ana.user.id, 'auth.suspicious_activity');
      const elsewhere = createUserAgent();
      const page = await elsewhere.follow(await elsewhere.get(ana.base), tenant.issuer);
      const form = await elsewhere.follow(
        await elsewhere.submit(page, '/identifier', { username: ana.email }),
        tenant.issuer,
      );

      const home = await elsewhere.follow(
        await elsewhere.submit(form, '/password', { password: GOOD_PASSWORD }),
        tenant.issuer,
      );

      const events = await eventsOf(ana.user.id, 'auth.suspicious_activity');
      assert.deepEqual([first.length, again.length], [0, 0]);
      assert.deepEqual(
        events.map(({ reason }) => reason),
        ['new_device'],
      );
      assert.match(home.body, /new device/);
    });
  });
});
