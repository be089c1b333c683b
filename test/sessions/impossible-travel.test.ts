import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { distanceKm, isImpossibleTravel } from '../../src/sessions/impossible-travel.ts';
import { locationsFrom } from '../../src/sessions/locations.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { writeMmdb } from '../support/mmdb-file.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

const BERLIN = { latitude: 52.52, longitude: 13.41, radiusKm: 20 };
const SYDNEY = { latitude: -33.87, longitude: 151.21, radiusKm: 50 };
const PARIS = { latitude: 48.86, longitude: 2.35, radiusKm: 20 };
const HOUR = 3600;

describe('journeys that nobody can have made', () => {
  it('are measured along the globe', () => {
    assert.ok(Math.abs(distanceKm(BERLIN, SYDNEY) - 16_090) < 50);
    assert.equal(distanceKm(BERLIN, BERLIN), 0);
    const [suva, apia] = [-18.14, -13.83].map((latitude, index) => ({
      latitude,
      longitude: index === 0 ? 178.44 : -171.76,
      radiusKm: 0,
    }));
    assert.ok(
      distanceKm(suva ?? BERLIN, apia ?? BERLIN) < 1200,
      'the date line is not a way around the globe',
    );
  });

  for (const [name, from, to, seconds, expected] of [
    ['around the globe in an hour', BERLIN, SYDNEY, HOUR, true],
    ['around the globe in a day', BERLIN, SYDNEY, 24 * HOUR, false],
    ['at once, far away', BERLIN, PARIS, 0, true],
    ['by an airliner', BERLIN, PARIS, 2 * HOUR, false],
    ['far away, by inexact locations', { ...BERLIN, radiusKm: 500 }, PARIS, 0, false],
    ['back before it began, by a clock that was set', BERLIN, SYDNEY, -HOUR, true],
    ['nowhere', BERLIN, BERLIN, 0, false],
  ] as const) {
    it(`${expected ? 'include' : 'do not include'} one ${name}`, () => {
      assert.equal(isImpossibleTravel(from, to, seconds), expected);
    });
  }
});

describe('locations from a file', () => {
  let dir: string;
  let file: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'gatehouse-locations-'));
    file = join(dir, 'cities.mmdb');
    writeMmdb(file, {
      '192.0.2.0/25': BERLIN,
      '198.51.100.0/24': SYDNEY,
      '203.0.113.7/32': { latitude: PARIS.latitude, longitude: PARIS.longitude },
    });
  });
  after(() => rmSync(dir, { recursive: true }));

  it('are found by the network of an address', () => {
    const locate = locationsFrom(file);

    assert.deepEqual(locate('192.0.2.1'), BERLIN);
    assert.deepEqual(locate('198.51.100.200'), SYDNEY);
    assert.equal(locate('203.0.113.7')?.radiusKm, 500);
  });

  it('are unknown for what is in no network of it', () => {
    const locate = locationsFrom(file);

    for (const ip of ['192.0.2.128', '10.0.0.1', '2001:db8::1', '', 'nonsense']) {
      assert.equal(locate(ip), undefined, ip);
    }
  });

  describe('at a sign-in', () => {
    let app: TestApp;
    let tenant: TestTenant;
    before(async () => {
      app = await startTestApp({ env: { GATEHOUSE_GEOIP_FILE: file, TRUST_PROXY: '127.0.0.0/8' } });
      tenant = await app.tenant();
    });
    after(() => app.close());

    const browserAt = (address: string) =>
      createUserAgent((url, init) => {
        const headers = new Headers(init.headers);
        headers.set('x-forwarded-for', address);
        return fetch(url, { ...init, headers });
      });

    async function reasonsAfterSignIns(...addresses: string[]): Promise<(string | null)[]> {
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      for (const address of addresses) {
        await rp.signIn(browserAt(address));
      }
      const events = await app
        .db('events')
        .where({ tenant_id: tenant.tenant.id, target_id: rp.user.id, type: 'auth.suspicious_activity' })
        .orderBy('id');
      return events.map(({ reason }) => reason);
    }

    it('are compared with where the account was used last', async () => {
      assert.deepEqual(await reasonsAfterSignIns('192.0.2.1', '198.51.100.1'), [
        'new_device',
        'impossible_travel',
      ]);
    });

    it('say nothing of a new device near by, or of an address that is nowhere', async () => {
      assert.deepEqual(await reasonsAfterSignIns('192.0.2.1', '192.0.2.2'), ['new_device']);
      assert.deepEqual(await reasonsAfterSignIns('192.0.2.1', '10.0.0.1'), ['new_device']);
    });
  });

  it('stop the server from starting when the file is something else', async () => {
    const wrong = join(dir, 'wrong.mmdb');
    writeFileSync(wrong, 'latitude,longitude');

    for (const path of [wrong, join(dir, 'missing.mmdb')]) {
      await assert.rejects(
        startTestApp({ env: { GATEHOUSE_GEOIP_FILE: path } }),
        (err: Error) => err.name === 'ConfigError' && err.message.includes(path),
      );
    }
  });
});
