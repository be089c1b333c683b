import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '../../src/lib/ids.ts';
import { IS_KNOWN_DEVICE, knownDevice, placedDevice } from '../../src/sessions/known-device.ts';
import { GOOD_PASSWORD } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { inOrderBehind } from '../support/blocked.ts';
import { statementsOf } from '../support/query-plans.ts';
import { writeMmdb } from '../support/mmdb-file.ts';
import { createApiMailWorld, withoutMail } from './api-mail-world.ts';
import type { ApiMailWorld } from './api-mail-world.ts';
import { createApiWorld } from './api-world.ts';
import type { ApiAnswer, ApiWorld } from './api-world.ts';

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const LATER_FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0';
const CHROME =
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36';
const HOME = '192.0.2.10';
const BERLIN = { latitude: 52.52, longitude: 13.41, radiusKm: 20 };
const SYDNEY = { latitude: -33.87, longitude: 151.21, radiusKm: 50 };

describe('API sign-in on a new device', () => {
  let dir: string;
  let mail: ApiMailWorld;
  let app: TestApp;
  let world: ApiWorld;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'gatehouse-places-'));
    const file = join(dir, 'cities.mmdb');
    writeMmdb(file, { '192.0.2.0/24': BERLIN, '198.51.100.0/24': SYDNEY });
    mail = await createApiMailWorld({ TRUST_PROXY: '127.0.0.0/8,::1/128', GATEHOUSE_GEOIP_FILE: file });
    ({ app, world } = mail);
  });

  after(async () => {
    await mail.close();
    rmSync(dir, { recursive: true });
  });

  const newPerson = async (on: ApiWorld = world) => {
    const email = `${randomBytes(6).toString('hex')}@example.com`;
    const { id } = await app.services.users.create(on.actor, {
      email,
      password: GOOD_PASSWORD,
      claims: { locale: 'de' },
    });
    return { id, email };
  };

  async function signIn(
    email: string,
    { from = HOME, by = FIREFOX, on = world }: { from?: string; by?: string; on?: ApiWorld } = {},
  ) {
    return on.call('POST', '/auth/login', {
      body: { email, password: GOOD_PASSWORD },
      headers: { 'x-forwarded-for': from, 'user-agent': by },
    });
  }

  async function reasonsOf(id: string): Promise<string[]> {
    const events = await app
      .db('events')
      .where({ target_id: id, type: 'auth.suspicious_activity' })
      .orderBy('id');
    return events.map(({ reason }) => reason);
  }

  const mailsTo = async (email: string) =>
    app.db('mails').where({ recipient: email, template: 'new_device' }).orderBy('id');

  it('is nothing to tell of when it is the first of the account', async () => {
    const { id, email } = await newPerson();

    assert.equal((await signIn(email)).status, 200);

    assert.deepEqual(await reasonsOf(id), []);
    assert.deepEqual(await mailsTo(email), []);
  });

  it('is asked about by the statement that writes the session', async () => {
    const { email } = await newPerson();
    await signIn(email);

    const statements = await statementsOf(app.db, () => signIn(email));

    const onSessions = statements.filter((text) => text.includes('user_sessions'));
    assert.equal(onSessions.length, 1, onSessions.join('\n'));
    assert.match(onSessions[0] ?? '', /INSERT INTO user_sessions/);
  });

  it('is looked for from the latest session on, however many there are', async () => {
    const plan = await app.db.transaction(async (trx) => {
      await trx.raw('SET LOCAL enable_seqscan = off');
      await trx.raw('SET LOCAL enable_bitmapscan = off');
      const owner = { tenantId: world.tenant.id, userId: newId() };
      const asked = knownDevice(owner, placedDevice({ ip: HOME, userAgent: FIREFOX }));
      const { rows } = await trx.raw(`EXPLAIN ${IS_KNOWN_DEVICE}`, asked);
      return rows.map((row: Record<string, string>) => row['QUERY PLAN']).join('\n');
    });

    assert.match(plan, /Index Scan Backward using user_sessions_user_id_idx/);
    assert.doesNotMatch(plan, /Sort/);
  });

  for (const [what, where] of [
    ['in another network, by the same browser', { from: '203.0.113.5' }],
    ['by another browser, in the same network', { by: CHROME }],
    ['in another network of IPv6', { from: '2001:db8:2::1' }],
    ['by who says nothing of the device', { by: '' }],
  ] as const) {
    it(`is told to the owner, once: ${what}`, async () => {
      const { id, email } = await newPerson();
      await signIn(email);

      assert.equal((await signIn(email, where)).status, 200);

      const { parsed } = await mail.sink.mailTo(email);
      assert.match(parsed.text ?? '', new RegExp(`${world.issuer}/account/devices`));
      assert.match(parsed.subject ?? '', /Anmeldung/);
      assert.equal((await signIn(email, where)).status, 200);
      assert.deepEqual(await reasonsOf(id), ['new_device']);
      assert.equal((await mailsTo(email)).length, 1);
    });
  }

  it('is none in the neighbourhood of the last one, nor by a later version of the browser', async () => {
    const { id, email } = await newPerson();
    await signIn(email);
    await signIn(email, { from: '2001:db8:1::1' });
    const before = await reasonsOf(id);

    await signIn(email, { from: '192.0.2.200', by: LATER_FIREFOX });
    await signIn(email, { from: '2001:db8:1:2::3' });

    assert.deepEqual(before, ['new_device']);
    assert.deepEqual(await reasonsOf(id), before);
  });

  it('is none where a session has ended on it', async () => {
    const { id, email } = await newPerson();
    const { body } = await signIn(email);
    const signedOut = await world.call('POST', '/auth/logout', { token: body.access_token });
    assert.equal(signedOut.status, 204);

    await signIn(email);

    assert.deepEqual(await reasonsOf(id), []);
  });

  it('is one although somebody else, or the same person in another tenant, has used it', async () => {
    const other = await createApiWorld(app);
    const { id, email } = await newPerson();
    const { id: idThere } = await app.services.users.create(other.actor, { email, password: GOOD_PASSWORD });
    await signIn(email);
    await signIn((await newPerson()).email, { by: CHROME });
    await signIn(email, { by: CHROME, on: other });

    await signIn(email, { by: CHROME });

    assert.deepEqual(await reasonsOf(id), ['new_device']);
    assert.deepEqual(await reasonsOf(idThere), []);
  });

  it('is told by one mail when there are ten at once', async () => {
    const { id, email } = await newPerson();
    await signIn(email);

    const answers = await Promise.all(Array.from({ length: 10 }, () => signIn(email, { by: CHROME })));

    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal((await mailsTo(email)).length, 1);
    assert.equal((await reasonsOf(id))[0], 'new_device');
  });

  it('is told also where nobody can have travelled to', async () => {
    const { id, email } = await newPerson();
    await signIn(email);

    await signIn(email, { from: '198.51.100.1' });

    assert.deepEqual(await reasonsOf(id), ['new_device', 'impossible_travel']);
  });

  it('does not succeed when it cannot be told', async () => {
    const { id, email } = await newPerson();
    await signIn(email);
    const sessions = () => app.db('user_sessions').where({ user_id: id }).select('id');
    const before = await sessions();
    await app.db.raw(`CREATE FUNCTION refuse_mail() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'no mails today'; END $$`);
    await app.db.raw(
      'CREATE TRIGGER refuse BEFORE INSERT ON mails FOR EACH ROW EXECUTE FUNCTION refuse_mail()',
    );

    const refused = await signIn(email, { by: CHROME });

    await app.db.raw('DROP FUNCTION refuse_mail CASCADE');
    assert.equal(refused.status, 503, JSON.stringify(refused.body));
    assert.deepEqual(await sessions(), before);
    assert.deepEqual(await reasonsOf(id), []);
    assert.equal((await signIn(email, { by: CHROME })).status, 200);
    assert.deepEqual(await reasonsOf(id), ['new_device']);
  });

  it('does not succeed, and is told of, when the account was closed meanwhile', async () => {
    const { id, email } = await newPerson();
    await signIn(email);
    await app.db.raw(`CREATE FUNCTION close_account() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN UPDATE users SET status = 'disabled' WHERE id = '${id}'; RETURN new; END $$`);
    await app.db.raw(
      'CREATE TRIGGER close BEFORE INSERT ON mails FOR EACH ROW EXECUTE FUNCTION close_account()',
    );

    const refused = await signIn(email, { by: CHROME });

    await app.db.raw('DROP FUNCTION close_account CASCADE');
    assert.equal(refused.status, 403);
    assert.equal(refused.body.code, 'auth.account_closed');
    assert.equal((await app.db('user_sessions').where({ user_id: id })).length, 1);
  });

  it('is recorded by a server that cannot send mail, too', async () => {
    await withoutMail(async (mute, { db }) => {
      const { id, email } = await mute.person();

      const { status } = await mute.call('POST', '/auth/login', {
        body: { email, password: GOOD_PASSWORD },
        headers: { 'user-agent': CHROME },
      });

      assert.equal(status, 200);
      const events = await db('events').where({ target_id: id, type: 'auth.suspicious_activity' });
      assert.deepEqual(
        events.map(({ reason }) => reason),
        ['new_device'],
      );
    });
  });

  /** While somebody signs in elsewhere, and their password has been judged. */
  async function changing(id: string, email: string, change: () => Promise<unknown>): Promise<ApiAnswer> {
    const [, answer] = await inOrderBehind<[unknown, ApiAnswer]>(
      app.db,
      (trx) => trx('users').where({ id }).forUpdate(),
      [change, () => signIn(email, { from: '198.51.100.7', by: CHROME })],
    );
    return answer;
  }

  it('is nothing to tell of where the account was closed meanwhile: nobody gets in', async () => {
    const { id, email } = await newPerson();
    await signIn(email);

    const { status, body } = await changing(id, email, () => app.services.users.disable(world.actor, id));

    assert.deepEqual([status, body.code], [403, 'auth.account_closed']);
    assert.deepEqual(await reasonsOf(id), []);
    assert.deepEqual(await mailsTo(email), []);
  });

  it('is nothing to tell of where the password was changed meanwhile: the old one gets nobody in', async () => {
    const { id, email } = await newPerson();
    await signIn(email);
    const password = 'another correct horse battery';

    const { status, body } = await changing(id, email, () =>
      app.services.users.setPassword(world.actor, id, password),
    );

    assert.deepEqual([status, body.code], [401, 'auth.invalid_credentials']);
    assert.deepEqual(await reasonsOf(id), []);
    assert.deepEqual(await mailsTo(email), []);
    const live = app.db('user_sessions').where({ user_id: id }).whereNull('ended_at');
    assert.equal((await live).length, 0);
  });
});
