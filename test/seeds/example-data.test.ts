import assert from 'node:assert/strict';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createServices } from '../../src/services.ts';
import { seedExampleData } from '../../seeds/example-data.ts';
import { newTenant, testDb } from '../support/database.ts';
import { newKey, operator, visitor } from '../users/people.ts';

describe('example data', () => {
  it('is added once, signs in as it says, and stays as it is when added again', async () => {
    const db = await testDb();
    const { id: tenantId } = await newTenant(db);
    const key = newKey().toString('base64');
    const config = loadConfig({ NODE_ENV: 'test', GATEHOUSE_KEYS: key, GATEHOUSE_PEPPERS: key });
    const services = createServices({ config, db, log: createLogger({ level: 'silent' }) });
    const actor = operator(tenantId);

    const first = await seedExampleData(services, actor);
    const second = await seedExampleData(services, actor);

    assert.deepEqual(
      first.users.map(({ status }) => status),
      ['active', 'pending', 'disabled'],
    );
    assert.deepEqual(second, { users: [], resources: [], clients: [] });
    for (const { email, password, status } of first.users) {
      const outcome = await services.passwordSignIn.verify(visitor(tenantId), { email, password });
      assert.deepEqual(
        outcome.ok ? 'active' : outcome.reason,
        status === 'active' ? status : `user_${status}`,
      );
    }
    const clients = await services.clients.list(actor);
    assert.deepEqual(
      clients.map(({ clientId }) => clientId),
      ['example-web', 'example-service'],
    );
    assert.equal(typeof first.clients[1]?.secret, 'string');
    assert.equal((await services.resources.list(actor)).length, 1);
  });
});
