import assert from 'node:assert/strict';
import { createSessionLimitJob } from '../../src/jobs/session-limit-job.ts';
import { minutes } from '../../src/lib/clock.ts';
import { newId } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { MOST_LIVE_SESSIONS } from '../../src/sessions/session.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { sentDuring } from '../support/sent-statements.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const SESSIONS = 5000;
const URI = { backchannel_logout_uri: 'https://app.example/logged-out' };

describe('a person with very many sessions', function () {
  this.timeout(120_000);
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  const live = (table: string, userId: string) =>
    table === 'user_sessions'
      ? app.db(table).where({ tenant_id: tenant.tenant.id, user_id: userId }).whereNull('ended_at')
      : app.db(table).where({ tenant_id: tenant.tenant.id, account_id: userId }).whereNull('dead_at');
  const countOf = async (query: ReturnType<typeof live>) =>
    Number((await query.count({ count: '*' }))[0]?.['count']);
  const logoutsOf = async (userId: string): Promise<Record<string, number>> => {
    const rows = await app
      .db('logout_deliveries')
      .where({ tenant_id: tenant.tenant.id, account_id: userId })
      .groupBy('client_id')
      .select('client_id', app.db.raw('count(DISTINCT sid)::int AS sids, count(*)::int AS rows'));
    return Object.fromEntries(
      rows.map(({ client_id: clientId, sids, rows }) => [clientId, sids === rows ? rows : -rows]),
    );
  };

  /** Signed in to each of the apps with each of the sessions, the higher the number the later. */
  async function signedIn(
    apps: readonly string[],
    userId: string,
    count: number,
    at = new Date(),
  ): Promise<void> {
    const bindings = { tenant: tenant.tenant.id, user: userId, count, apps: [...apps] };
    const uid = "'many-' || :user || '-' || i";
    const grant = `'grant-' || ${uid} || '-' || app`;
    await app.db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, account_id, expires_at)
       SELECT :tenant::uuid, 'Session', sha256(convert_to(${uid}, 'UTF8')),
              jsonb_build_object('kind', 'Session', 'uid', ${uid}, 'accountId', :user::text, 'authorizations',
                (SELECT jsonb_object_agg(app, jsonb_build_object('sid', md5(${grant}), 'grantId', ${grant}, 'persistsLogout', false))
                   FROM unnest(:apps::text[]) AS app)),
              ${uid}, :user::uuid, now() + interval '1 day'
         FROM generate_series(1, :count::int) AS i`,
      bindings,
    );
    await app.db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, account_id, client_id, expires_at)
       SELECT :tenant::uuid, 'Grant', sha256(convert_to(${grant}, 'UTF8')), '{}', :user::uuid, app, now() + interval '1 day'
         FROM generate_series(1, :count::int) AS i, unnest(:apps::text[]) AS app`,
      bindings,
    );
    await app.db.raw(
      `INSERT INTO user_sessions (id, tenant_id, user_id, session_uid, device_kind, last_seen_at, ends_at, expires_at)
       SELECT (:ids::uuid[])[i], :tenant::uuid, :user::uuid, ${uid}, 'other', now() - interval '1 day' + i * interval '1 second',
              now() + interval '1 day', now() + interval '9 days'
         FROM generate_series(1, :count::int) AS i`,
      { ...bindings, ids: Array.from({ length: count }, () => newId(at)) },
    );
  }

  async function crowd() {
    const rp = await createRelyingParty(app, tenant, { metadata: URI });
    const told = await createRelyingParty(app, tenant, { metadata: URI });
    const silent = await createRelyingParty(app, tenant);
    await signedIn([rp.clientId, told.clientId, silent.clientId], rp.user.id, SESSIONS);
    return { rp, told };
  }

  for (const [name, end] of Object.entries<(rp: RelyingParty) => Promise<unknown>>({
    'is disabled': ({ user }) => app.services.users.disable(tenant.actor, user.id),
    'gets a new password': ({ user }) =>
      app.services.users.setPassword(tenant.actor, user.id, 'seven wandering lighthouses hum'),
    'is signed out everywhere': ({ user }) => app.services.sessions.revokeAll(tenant.actor, user.id),
    'is deleted': ({ user }) => app.services.users.delete(tenant.actor, user.id),
  })) {
    it(`${name} by a few statements, and every app that wants to be told is, once for each session`, async () => {
      const { rp, told } = await crowd();

      const { length } = await sentDuring(app.db, () => end(rp));

      assert.ok(length > 4 && length < 60, `${length} statements`);
      assert.equal(await countOf(live('user_sessions', rp.user.id)), 0);
      assert.equal(await countOf(live('oidc_models', rp.user.id)), 0);
      assert.deepEqual(await logoutsOf(rp.user.id), {
        [rp.clientId]: SESSIONS,
        [told.clientId]: SESSIONS,
      });
    });
  }

  it('records the end of each session', async () => {
    const { rp } = await crowd();

    const ended = await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    const events = await app
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type: 'session.ended', target_id: rp.user.id })
      .orderByRaw("data ->> 'session_id'")
      .select(app.db.raw("data ->> 'session_id' AS session_id"));
    const ids = await app
      .db('user_sessions')
      .where({ user_id: rp.user.id })
      .orderByRaw('id::text')
      .pluck('id');
    assert.equal(ended, SESSIONS);
    assert.deepEqual(
      events.map(({ session_id: id }) => id),
      ids,
    );
  });

  it('tells no app that does not want to be told', async () => {
    const rp = await createRelyingParty(app, tenant);
    await rp.signIn();

    await app.services.sessions.revokeAll(tenant.actor, rp.user.id);

    assert.deepEqual(await logoutsOf(rp.user.id), {});
  });

  describe('loses those used longest ago', () => {
    const job = (sessions: Pick<TestApp['services']['sessions'], 'endExcess'> = app.services.sessions) =>
      createSessionLimitJob({
        db: app.db,
        sessions,
        now: () => new Date(),
        log: createLogger({ level: 'silent' }),
      });
    const never = new AbortController().signal;

    it('and keeps the one just signed in to, with all it gave', async () => {
      const rp = await createRelyingParty(app, tenant, { firstParty: true, metadata: URI });
      await signedIn([rp.clientId], rp.user.id, MOST_LIVE_SESSIONS + 1500);
      const tokens = await tokensOf(rp, { agent: createUserAgent() });

      await job().run(never);

      const kept = await live('user_sessions', rp.user.id).orderBy('last_seen_at').pluck('session_uid');
      assert.equal(kept.length, MOST_LIVE_SESSIONS);
      assert.equal(kept[0], `many-${rp.user.id}-1502`);
      assert.equal(
        await countOf(live('oidc_models', rp.user.id).where({ model: 'Grant' })),
        MOST_LIVE_SESSIONS,
      );
      assert.equal((await rp.refresh(tokens.refresh_token)).status, 200);
      assert.deepEqual(await logoutsOf(rp.user.id), { [rp.clientId]: 1501 });
      const events = await app
        .db('events')
        .where({ tenant_id: tenant.tenant.id, type: 'session.ended', target_id: rp.user.id })
        .select('reason', 'actor_type');
      assert.equal(events.length, 1501);
      assert.deepEqual(events[0], { reason: 'too_many', actor_type: 'system' });
    });

    it('and nobody loses any who has no more than they may', async () => {
      const rp = await createRelyingParty(app, tenant);
      await signedIn([rp.clientId], rp.user.id, MOST_LIVE_SESSIONS);

      await job().run(never);

      assert.equal(await countOf(live('user_sessions', rp.user.id)), MOST_LIVE_SESSIONS);
    });

    it('at the next look, if that failed', async () => {
      const rp = await createRelyingParty(app, tenant);
      // Too long ago for a look that only goes back to the one before.
      const before = new Date(Date.now() - minutes(30));
      await signedIn([rp.clientId], rp.user.id, MOST_LIVE_SESSIONS + 1, before);
      let fails = true;
      const flaky = job({
        endExcess: async (actor, id) => {
          if (fails) throw new Error('the store failed');
          return app.services.sessions.endExcess(actor, id);
        },
      });

      await flaky.run(never);
      fails = false;
      await flaky.run(never);

      assert.equal(await countOf(live('user_sessions', rp.user.id)), MOST_LIVE_SESSIONS);
    });
  });
});
