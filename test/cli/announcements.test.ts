import assert from 'node:assert/strict';
import { createLogger } from '../../src/lib/logger.ts';
import { createRedis } from '../../src/redis/redis.ts';
import { createTenantChanges } from '../../src/tenants/tenant-changes.ts';
import { startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { cliBench } from './support.ts';
import type { CliBench } from './support.ts';

describe('a command beside running servers', () => {
  let redis: RedisServer;
  let bench: CliBench;

  before(async () => {
    [redis, bench] = await Promise.all([startRedisServer(), cliBench()]);
  });
  after(async () => {
    await Promise.all([bench.close(), redis.stop()]);
  });

  const CREATE = ['resource', 'create', 'https://api.example', '--name', 'API'];

  it('tells them over Redis what it changed', async () => {
    await bench.json(['keys', 'list']);
    const { id } = await bench.db('tenants').first('id');
    const connection = createRedis({ url: redis.url, log: createLogger({ level: 'silent' }) });
    const changes = createTenantChanges({ redis: connection });
    const heard = Promise.withResolvers<string>();
    await new Promise((resolve) => changes.listen(resolve));
    changes.listen((tenantId) => tenantId !== undefined && heard.resolve(tenantId));

    await bench.json(CREATE, { env: { REDIS_URL: redis.url } });

    assert.equal(await heard.promise, id);
    connection.close();
  });

  it('does its work without Redis, too', async () => {
    const args = ['resource', 'delete', 'https://api.example'];

    const { exitCode } = await bench.run(args, { env: { REDIS_URL: 'redis://127.0.0.1:1' } });

    assert.equal(exitCode, 0);
  });
});
