import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

/** Statements as PostgreSQL gets them while the work runs, each once. */
async function statementsOf(db: Knex, work: () => Promise<unknown>): Promise<string[]> {
  const texts = new Set<string>();
  const collect = ({ sql }: { sql: string }) => texts.add(sql);
  db.on('query', collect);
  await work();
  db.removeListener('query', collect);
  return [...texts].filter((text) => /^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/i.test(text));
}

/** Tables the generic plan reads from end to end although it was told to avoid that. */
async function fullScans(db: Knex, statement: string): Promise<string[]> {
  return db.transaction(async (trx) => {
    await trx.raw('SET LOCAL enable_seqscan = off');
    await trx.raw('SET LOCAL plan_cache_mode = force_generic_plan');
    // Escaped, since knex takes question marks for its own.
    await trx.raw(`PREPARE plan_of AS ${statement.replaceAll('?', '\\?')}`);
    const { rows } = await trx.raw(
      "SELECT coalesce(array_length(parameter_types, 1), 0) AS count FROM pg_prepared_statements WHERE name = 'plan_of'",
    );
    const nulls = Array.from({ length: rows[0].count }, () => 'NULL').join(', ');
    const plan = await trx.raw(`EXPLAIN EXECUTE plan_of${nulls ? `(${nulls})` : ''}`);
    await trx.raw('DEALLOCATE plan_of');
    return plan.rows
      .map((row: Record<string, string>) => row['QUERY PLAN'] ?? '')
      .flatMap((line: string) => /Seq Scan on (\w+)/.exec(line)?.[1] ?? []);
  });
}

describe('queries of requests', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  async function assertIndexed(work: () => Promise<unknown>): Promise<void> {
    const statements = await statementsOf(app.db, work);
    assert.ok(statements.length > 0);
    for (const statement of statements) {
      assert.deepEqual(await fullScans(app.db, statement), [], statement);
    }
  }

  it('finds a full scan where there is one', async () => {
    assert.deepEqual(await fullScans(app.db, "SELECT 1 FROM events WHERE reason = 'x'"), ['events']);
  });

  it('use an index at every step of a sign-in with consent, and at the exchange of its code', async () => {
    const rp = await createRelyingParty(app, tenant);

    await assertIndexed(async () =>
      rp.redeem((await rp.signIn(createUserAgent(), { scope: 'openid email' })).code ?? ''),
    );
  });

  it('use an index at an authorization with a session, a refresh, introspection and userinfo', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await agent.get(rp.authorizationUrl());
      await rp.refresh(body.refresh_token ?? '');
      await rp.call('/introspect', { token: body.access_token ?? '' });
      await fetch(`${tenant.issuer}/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } });
    });
  });

  it('use an index at reuse, revocation, logout and the end of a user', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');
    const other = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await rp.call('/revoke', { token: other.body.access_token ?? '' });
      await rp.call('/revoke', { token: body.refresh_token ?? '' });
      const confirm = await agent.get(`${tenant.issuer}/logout`);
      await agent.submit(confirm, '/logout/confirm', { logout: 'yes' });
      await app.services.users.disable(tenant.actor, rp.user.id);
    });
  });
});
