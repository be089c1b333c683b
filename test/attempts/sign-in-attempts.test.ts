import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { createSignInAttempts } from '../../src/attempts/sign-in-attempts.ts';
import type { Attempt } from '../../src/attempts/sign-in-attempts.ts';
import { newTenant, testDb } from '../support/database.ts';

const EMAIL = 'ana@example.com';
const LIMITS = { perAccount: 10, lockAfter: 100, lockSeconds: 30 * 86_400, perNetwork: 100 };

describe('the limits of guessing', () => {
  let db: Knex;
  let tenantId: string;
  let networks = 0;

  before(async () => {
    db = await testDb();
  });
  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
  });

  /** As another process would have it: it has heard of no refusal yet. */
  const attempts = (limits = LIMITS) => createSignInAttempts({ db, limits, onClosed: async () => {} });
  const anywhere = () => `10.0.${Math.floor(networks / 250)}.${networks++ % 250}`;
  const at = (email: string, more: { ip?: string; isKnownBrowser?: boolean } = {}) => ({
    email,
    ip: anywhere(),
    isKnownBrowser: false,
    ...more,
  });

  async function allowed(where = at(EMAIL), limits = LIMITS): Promise<Attempt> {
    const attempt = await attempts(limits).begin(tenantId, where);
    assert.ok(attempt.ok);
    return attempt;
  }

  async function refusal(where = at(EMAIL), limits = LIMITS): Promise<number> {
    const attempt = await attempts(limits).begin(tenantId, where);
    assert.ok(!attempt.ok);
    return attempt.retryAfterSeconds;
  }

  async function fail(count: number, where: () => ReturnType<typeof at> = () => at(EMAIL)): Promise<void> {
    for (let index = 0; index < count; index += 1) await allowed(where());
  }

  async function pass(seconds: number): Promise<void> {
    const before = '- make_interval(secs => ?)';
    await db.raw(
      `UPDATE attempt_counters SET blocked_until = blocked_until ${before}, expires_at = expires_at ${before} WHERE tenant_id = ?`,
      [seconds, seconds, tenantId],
    );
  }

  it('let through no more than they say, however many attempts come at once', async () => {
    const processes = [attempts(), attempts()];

    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) => processes[index % 2]!.begin(tenantId, at(EMAIL))),
    );

    assert.equal(outcomes.filter(({ ok }) => ok).length, LIMITS.perAccount);
  });

  it('make each further failure wait twice as long, up to an hour', async () => {
    await fail(LIMITS.perAccount);
    const waits: number[] = [];
    for (let failures = 0; failures < 9; failures += 1) {
      const wait = await refusal();
      waits.push(wait);
      await pass(wait);
      await allowed();
    }

    assert.deepEqual(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
  });

  it('close the account to new browsers after a hundred failures in a row', async () => {
    await fail(LIMITS.perAccount);
    for (let failures = LIMITS.perAccount; failures < 100; failures += 1) {
      await pass(3600);
      await allowed();
    }
    await pass(7 * 86_400);

    assert.ok((await refusal()) > 86_400);
  });

  it('begin anew after a success', async () => {
    await fail(LIMITS.perAccount - 1);
    await (await allowed()).succeeded();

    await fail(LIMITS.perAccount);

    assert.equal(await refusal(), 30);
  });

  it('do not count what could not be judged', async () => {
    await fail(LIMITS.perAccount - 1);
    for (let index = 0; index < 3; index += 1) await (await allowed()).withdraw();

    await allowed();

    assert.equal(await refusal(), 30);
  });

  it('count all spellings that find the same account as one', async () => {
    const spellings = ['ana@example.com', 'ANA@example.com', 'Ana@Example.COM', ' ana@example.com'.trim()];

    await fail(LIMITS.perAccount, () => at(spellings[networks % spellings.length]!));

    for (const spelling of spellings) await refusal(at(spelling));
  });

  it('are the same for every account, each by itself', async () => {
    await fail(LIMITS.perAccount);

    await fail(LIMITS.perAccount, () => at('nobody@example.com'));

    assert.equal(await refusal(at('nobody@example.com')), await refusal());
  });

  it('keep tenants apart', async () => {
    await fail(LIMITS.perAccount);
    tenantId = (await newTenant(db)).id;

    await allowed();
  });

  it('cannot be used to keep people out of a browser they have signed in with', async () => {
    await fail(LIMITS.perAccount);
    await refusal();

    await (await allowed(at(EMAIL, { isKnownBrowser: true }))).succeeded();

    await refusal();
  });

  it('hold for known browsers, too', async () => {
    const known = () => at(EMAIL, { isKnownBrowser: true });
    await fail(LIMITS.perAccount, known);

    await refusal(known());
  });

  const networksOfOne: [what: string, addresses: [string, string]][] = [
    ['an IPv4 address', ['192.0.2.7', '192.0.2.7']],
    ['an IPv6 /64', ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2']],
    ['an IPv4 address in IPv6 clothes', ['192.0.2.8', '::ffff:192.0.2.8']],
  ];
  for (const [what, addresses] of networksOfOne) {
    it(`count ${what} as one, at whatever accounts`, async () => {
      const limits = { ...LIMITS, perNetwork: 4 };
      for (let index = 0; index < 4; index += 1)
        await allowed(at(`user-${index}@example.com`, { ip: addresses[index % 2]! }), limits);

      const wait = await refusal(at('another@example.com', { ip: addresses[1] }), limits);

      assert.ok(wait > 590 && wait <= 600, String(wait));
      await allowed(at('another@example.com', { ip: '2001:db8:0:2::1' }), limits);
    });
  }

  for (const [what, addressOf, elsewhere] of [
    ['a /24 of IPv4', (index: number) => `198.51.100.${index}`, '198.51.101.1'],
    ['a /48 of IPv6', (index: number) => `2001:db8:7:${index.toString(16)}::1`, '2001:db8:8::1'],
  ] as const) {
    it(`allow ten times as much to all of ${what} as to an address in it`, async () => {
      const limits = { ...LIMITS, perNetwork: 3 };
      const from = (index: number) => at(`user-${index}@example.com`, { ip: addressOf(index) });
      for (let index = 0; index < 30; index += 1) await allowed(from(index), limits);

      const wait = await refusal(from(30), limits);

      assert.ok(wait > 590 && wait <= 600, String(wait));
      await allowed(at('user-30@example.com', { ip: elsewhere }), limits);
    });
  }

  it('give the networks around an address their successes back', async () => {
    const limits = { ...LIMITS, perNetwork: 3 };
    const from = (index: number) => at(`user-${index}@example.com`, { ip: `198.51.100.${index}` });

    for (let index = 0; index < 40; index += 1) {
      const attempt = await allowed(from(index), limits);
      await (index % 2 === 0 ? attempt.succeeded() : attempt.withdraw());
    }
  });

  it('give a network its success back, and not its failures', async () => {
    const limits = { ...LIMITS, perNetwork: 4 };
    const [ip, other] = ['192.0.2.9', 'other@example.com'];
    await fail(3, () => at(EMAIL, { ip }));
    for (let index = 0; index < 5; index += 1) await (await allowed(at(other, { ip }), limits)).succeeded();
    await allowed(at(EMAIL, { ip }), limits);

    await refusal(at(other, { ip }), limits);
  });

  it('do not let whoever used up a network spend the attempts of accounts', async () => {
    const limits = { ...LIMITS, perNetwork: 3 };
    const ip = '192.0.2.10';
    await fail(3, () => at('other@example.com', { ip }));
    for (let index = 0; index < 20; index += 1) await refusal(at(EMAIL, { ip }), limits);

    await fail(LIMITS.perAccount);
  });

  it('are lifted by an operator', async () => {
    await fail(LIMITS.perAccount);

    await attempts().forget(db, tenantId, EMAIL.toUpperCase());

    await fail(LIMITS.perAccount);
  });

  it('never make sign-ins of one network wait for each other in a circle', async () => {
    const ip = '192.0.2.11';
    const limits = { ...LIMITS, perAccount: 50, perNetwork: 10_000 };
    const processes = [attempts(limits), attempts(limits)];

    const outcomes = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const where = at(`user-${index % 10}@example.com`, { ip });
        const attempt = await processes[index % 2]!.begin(tenantId, where);
        if (attempt.ok) await (index % 4 === 0 ? attempt.withdraw() : attempt.succeeded());
        return attempt.ok;
      }),
    );

    assert.ok(outcomes.every(Boolean));
  });

  it('do not ask the database again about what it has just refused', async () => {
    const one = attempts();
    for (let index = 0; index < LIMITS.perAccount + 1; index += 1) await one.begin(tenantId, at(EMAIL));
    await db('attempt_counters').where({ tenant_id: tenantId }).delete();

    const again = await one.begin(tenantId, at(EMAIL));

    assert.equal(again.ok, false);
  });

  it('can be off', async () => {
    const off = createSignInAttempts({ db, limits: undefined, onClosed: async () => {} });

    for (let index = 0; index < 150; index += 1) assert.ok((await off.begin(tenantId, at(EMAIL))).ok);
  });
});
