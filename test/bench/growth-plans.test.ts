import assert from 'node:assert/strict';
import { openConnection } from '../../bench/connection.ts';
import { WEB_CLIENT_ID } from '../../bench/fixtures.ts';
import { fillDatabase } from '../../bench/growth/fill-database.ts';
import { provisionTenant } from '../../bench/provision.ts';
import { ROWS } from '../../bench/rows/all.ts';
import { WORKERS } from '../../bench/rows/row.ts';
import { describeTarget } from '../../bench/target.ts';
import type { Target } from '../../bench/target.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { fillOtherTables } from '../support/grown-tables.ts';
import { SMALL_TABLES, statementsOf, wideReads } from '../support/query-plans.ts';

const USERS = 1500;
const GRANTS = 8;
const SESSIONS = 3;
const EVENTS = 4;

/** Of one request each, so that several of them ask in the same moment. */
const SHARED = ['introspection', 'userinfo'];

describe('queries on a database that has grown', function () {
  this.timeout(120_000);
  let own: OwnDatabase;
  let app: TestApp;
  let target: Target;
  let tenantId: string;
  before(async () => {
    own = await migratedDatabase();
    app = await startTestApp({ db: own.db });
    const { tenant, issuer, actor } = await app.tenant();
    tenantId = actor.tenantId;
    const { passwordOf, ...fixtures } = await provisionTenant(app.services, actor, {
      slug: tenant.slug,
      userCount: WORKERS + 4,
    });
    await app.registry.refresh();
    await fillDatabase(
      own.url,
      { users: USERS, grantsPerUser: GRANTS, sessionsPerUser: SESSIONS, eventsPerUser: EVENTS },
      { tenantId, clientId: WEB_CLIENT_ID, passwordOf },
    );
    await fillOtherTables(own.db, tenantId);
    target = await describeTarget({ issuer, ...fixtures, store: 'the test database' });
  });
  after(async () => {
    await app.close();
    await own.drop();
  });

  it('has the rows it was told to have, and refresh tokens in the slots of their expiry', async () => {
    const count = async (table: string) => Number((await own.db(table).count({ count: '*' }))[0]?.['count']);
    const { rows } = await own.db.raw(
      `SELECT count(*)::int AS misplaced FROM oidc_models_refresh_tokens
        WHERE tableoid::regclass::text <> 'oidc_models_refresh_tokens_' || floor(extract(epoch FROM expires_at) / (90 * 86400 / 6))::bigint % 8`,
    );

    assert.ok((await count('users')) >= USERS);
    assert.equal(await count('oidc_models_grants'), USERS * GRANTS);
    assert.equal(await count('oidc_models_refresh_tokens'), USERS * GRANTS);
    assert.equal(await count('oidc_models_sessions'), USERS * SESSIONS);
    assert.ok((await count('events')) >= USERS * EVENTS);
    assert.equal(rows[0].misplaced, 0);
  });

  for (const row of ROWS) {
    it(`use an index by themselves: ${row.name}`, async () => {
      // Several at once as well: under load their reads share a statement, which is another one.
      const connections = Array.from({ length: 8 }, () => openConnection(target.origin));
      const statements = await statementsOf(own.db, async () => {
        const operations = [];
        for (const [worker, connection] of connections.entries())
          operations.push(await row.prepare(target, connection, worker));
        for (let turn = 0; turn < 3; turn += 1) await Promise.all(operations.map((operate) => operate()));
      });
      await Promise.all(connections.map((connection) => connection.close()));
      if (SHARED.includes(row.name)) assert.ok(statements.some((text) => text.includes('unnest($')));

      for (const statement of statements) {
        assert.deepEqual(await wideReads(own.db, statement, SMALL_TABLES), [], statement);
      }
    });
  }

  it('expects one person for an address, and starts no workers to find them', async () => {
    const { rows } = await own.db.raw(
      'EXPLAIN SELECT id FROM users WHERE tenant_id = ? AND lower(email) = lower(?) AND deleted_at IS NULL',
      [tenantId, 'grown-7@example.com'],
    );
    const { rows: workers } = await own.db.raw('SHOW max_parallel_workers_per_gather');

    assert.match(rows[0]['QUERY PLAN'], /^Index Scan using users_\w+ on users .* rows=1 /);
    assert.equal(workers[0].max_parallel_workers_per_gather, '0');
  });

  for (const [what, column, index] of [
    ['was done to', "target_type = 'user' AND target_id", 'events_target_idx'],
    ['was done by', 'actor_id', 'events_actor_idx'],
  ] as const) {
    it(`reads a page of what ${what} somebody by the index alone, newest first`, async () => {
      const { rows } = await own.db.raw(
        `EXPLAIN SELECT * FROM events WHERE tenant_id = ? AND ${column} = ? AND id < ? ORDER BY id DESC LIMIT 50`,
        [tenantId, 'somebody', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
      );

      const plan = rows.map((line: Record<string, string>) => line['QUERY PLAN']).join('\n');
      assert.match(plan, new RegExp(`Index Scan Backward using ${index}`));
      assert.doesNotMatch(plan, /Sort|Seq Scan/);
    });
  }
});
