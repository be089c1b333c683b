import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { createKeyRing } from '../../src/lib/key-ring.ts';
import { findUnusedRefreshToken, saveModel } from '../../src/oidc/adapter/model-store.ts';
import { possibleSuccessorIds, successorId } from '../../src/oidc/adapter/refresh-successor.ts';
import { drawId, placeOf, slotAt, slotOf, slotSecondsOf } from '../../src/oidc/adapter/token-slots.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';

const LIVES = { refreshAbsoluteSeconds: 7_776_000 };

describe('token slots', () => {
  it('draw an id of one length for every slot, and its row lies there', () => {
    for (let slot = 0; slot < 8; slot += 1) {
      const stem = `at_${randomBytes(32).toString('base64url')}`;

      const id = drawId(stem, slot);

      assert.ok(id.startsWith(stem));
      assert.equal(id.length, stem.length + 2);
      assert.equal(slotOf(hash('sha256', id, 'buffer')), slot);
      assert.equal(placeOf('AccessToken', id).table, `oidc_models_tokens_${slot}`);
      assert.equal(placeOf('RefreshToken', id).table, `oidc_models_refresh_tokens_${slot}`);
    }
  });

  it('draw the same id again from the same stem', () => {
    assert.equal(drawId('rt_stem', 5), drawId('rt_stem', 5));
  });

  it('are used again only after everything in them has expired, the margin included', () => {
    for (const [model, longest] of [
      ['AccessToken', 86_400],
      ['RefreshToken', LIVES.refreshAbsoluteSeconds],
    ] as const) {
      const slotSeconds = slotSecondsOf(model, LIVES);
      for (let now = 1_764_000_000; now < 1_764_000_000 + 9 * slotSeconds; now += slotSeconds / 7) {
        const live = new Set<number>();
        for (let life = 0; life <= longest; life += slotSeconds / 2)
          live.add(slotAt(now + life, slotSeconds));

        assert.ok(!live.has(slotAt(now - slotSeconds, slotSeconds)), 'the slot before is not written to');
      }
    }
  });

  describe('of tokens that are issued', function () {
    this.timeout(30_000);
    let app: TestApp;
    let tenant: TestTenant;
    before(async () => {
      app = await startTestApp();
      tenant = await app.tenant();
    });
    after(() => app.close());

    async function slotsOf(model: string): Promise<{ place: string; expires: number }[]> {
      const { rows } = await app.db.raw(
        `SELECT tableoid::regclass::text AS place, extract(epoch FROM expires_at)::float8 AS expires
           FROM oidc_models WHERE tenant_id = ? AND model = ? ORDER BY created_at`,
        [tenant.tenant.id, model],
      );
      return rows;
    }

    it('are those of their expiry, and of a refresh chain the one of its first token', async () => {
      const rp = await createRelyingParty(app, tenant, { firstParty: true });
      const { body } = await rp.redeem((await rp.signIn()).code ?? '');
      const next = await rp.refresh(body.refresh_token ?? '');
      await rp.refresh(next.body.refresh_token ?? '');

      const periods = (model: string) => slotSecondsOf(model, app.config);
      for (const model of ['AccessToken', 'AuthorizationCode']) {
        for (const { place, expires } of await slotsOf(model)) {
          assert.equal(place, `oidc_models_tokens_${slotAt(expires, periods(model))}`);
        }
      }
      const chain = await slotsOf('RefreshToken');
      assert.equal(chain.length, 3);
      const [first] = chain;
      assert.equal(
        first?.place,
        `oidc_models_refresh_tokens_${slotAt(first?.expires ?? 0, periods('RefreshToken'))}`,
      );
      for (const { place, expires } of chain) {
        assert.equal(place, first?.place);
        assert.ok(Math.abs(expires - (first?.expires ?? 0)) <= 2, 'the chain ends as one');
      }
    });

    it('do not hide a successor that an older key or a version without slots derived', async () => {
      const [older, newer] = [randomBytes(32), randomBytes(32)];
      const parent = `rt_${randomBytes(32).toString('base64url')}`;
      const candidates = possibleSuccessorIds(createKeyRing([newer, older]), parent);
      const plain = candidates.filter((id) => id.length === parent.length);
      assert.equal(plain.length, 2);

      for (const existing of [successorId(createKeyRing([older]), parent), ...plain]) {
        await saveModel(app.db, tenant.tenant.id, 'RefreshToken', existing, {}, 60);

        assert.equal(await findUnusedRefreshToken(app.db, tenant.tenant.id, candidates), existing);
        await app.db('oidc_models').where({ tenant_id: tenant.tenant.id, model: 'RefreshToken' }).delete();
      }
    });
  });
});
