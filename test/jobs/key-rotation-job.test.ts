import assert from 'node:assert/strict';
import { createKeyRotationJob } from '../../src/jobs/key-rotation-job.ts';
import { createTenantService } from '../../src/tenants/tenant-service.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { openTestDatabase } from '../support/test-databases.ts';
import { DAY_SECONDS, keyService, kidsOf, passTime, ROTATION_DAYS, tenantWithKeys } from '../keys/support.ts';
import { memoryLog } from './support.ts';

const never = new AbortController().signal;

describe('key rotation job', () => {
  let own: OwnDatabase;

  // It goes over all tenants, so it has a database for itself.
  beforeEach(async () => {
    own = await migratedDatabase();
  });

  afterEach(async () => {
    await own.drop();
  });

  function replica(db = own.db) {
    const keys = keyService(db);
    const tenants = createTenantService({ db, now: () => new Date(), prepareTenant: async () => undefined });
    const { log, lines } = memoryLog();
    return { keys, tenants, lines, job: createKeyRotationJob({ db, tenants, keys, log }) };
  }

  it('rotates the keys of every tenant that are due, once, however many replicas run it', async () => {
    const { db, url } = own;
    const otherPool = openTestDatabase(url);
    const [one, other] = [replica(), replica(otherPool)];
    const tenants = [await tenantWithKeys(db, one.keys), await tenantWithKeys(db, one.keys)];
    for (const id of tenants) await passTime(db, id, ROTATION_DAYS * DAY_SECONDS);

    try {
      await Promise.all([one.job.run(never), other.job.run(never), one.job.run(never), other.job.run(never)]);
    } finally {
      await otherPool.destroy();
    }

    for (const id of tenants) {
      assert.equal((await one.keys.list(id)).length, 9);
      assert.equal((await kidsOf(one.keys, id, 'RS256', 'retiring')).length, 1);
    }
    const changes = [...one.lines(), ...other.lines()].filter(({ msg }) => msg === 'signing key changed');
    assert.equal(changes.length, 18);
  });

  it("does not let one tenant's failure keep the others from their schedule", async () => {
    const { db } = own;
    const { keys, tenants, lines } = replica();
    const [broken, healthy] = [await tenantWithKeys(db, keys), await tenantWithKeys(db, keys)];
    await passTime(db, healthy, ROTATION_DAYS * DAY_SECONDS);
    const { log, lines: jobLines } = memoryLog();
    const job = createKeyRotationJob({
      db,
      tenants,
      keys: {
        async runSchedule(id) {
          if (id === broken) throw new Error('cannot be done');
          return keys.runSchedule(id);
        },
      },
      log,
    });

    await job.run(never);

    assert.equal((await keys.list(healthy)).length, 9);
    const failures = jobLines().filter(({ level }) => level === 'error');
    assert.deepEqual(
      failures.map((line) => line.err?.message),
      ['cannot be done'],
    );
    assert.deepEqual(lines(), []);
  });

  it('ends after the tenant at hand when the process shuts down', async () => {
    const { db } = own;
    const { keys, tenants } = replica();
    await tenantWithKeys(db, keys);
    await tenantWithKeys(db, keys);
    const shutdown = new AbortController();
    const seen: string[] = [];
    const job = createKeyRotationJob({
      db,
      tenants,
      keys: {
        async runSchedule(id) {
          seen.push(id);
          shutdown.abort();
          return [];
        },
      },
      log: memoryLog().log,
    });

    await job.run(shutdown.signal);

    assert.equal(seen.length, 1);
  });
});
