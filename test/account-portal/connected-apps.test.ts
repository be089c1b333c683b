import assert from 'node:assert/strict';
import { listConnectedApps } from '../../src/account-portal/connected-apps.ts';
import type { ConnectedApp } from '../../src/account-portal/connected-apps.ts';
import { consentStore } from '../../src/consents/consent-store.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';

const OWN_API = 'https://sso.example/api';
const scopes = ['read', 'write'].map((name) => ({ name, description: `To ${name}` }));

describe('the apps that have access to an account', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
  });
  after(() => app.close());

  /** A person who allowed each of these apps each of these APIs. */
  async function personWith(apps: number, apis: number): Promise<string> {
    const person = await createRelyingParty(app, tenant);
    const identifiers = Array.from(
      { length: apis },
      (_, index) => `https://${person.clientId}.example/${index}`,
    );
    for (const identifier of identifiers)
      await app.services.resources.create(tenant.actor, { identifier, name: `API ${identifier}`, scopes });
    for (let index = 0; index < apps; index += 1) {
      const { clientId } = await createRelyingParty(app, tenant, { name: `App ${index}` });
      await app.db.transaction((trx) =>
        consentStore(trx, tenant.tenant.id).add(person.user.id, clientId, {
          scopes: ['openid'],
          claims: [],
          resources: Object.fromEntries(identifiers.map((identifier) => [identifier, ['write']])),
        }),
      );
    }
    return person.user.id;
  }

  const list = (userId: string): Promise<ConnectedApp[]> =>
    listConnectedApps(app.db, tenant.tenant.id, userId, { ownApi: OWN_API });

  async function queriesOf(work: () => Promise<unknown>): Promise<number> {
    let count = 0;
    const add = () => {
      count += 1;
    };
    app.db.on('query', add);
    await work();
    app.db.removeListener('query', add);
    return count;
  }

  it('are listed by name with what each may do', async () => {
    const apps = await list(await personWith(2, 2));

    assert.deepEqual(
      apps.map(({ name, groups }) => [
        name,
        groups.map(({ scopes: allowed }) => allowed.map((one) => one.description)),
      ]),
      ['App 0', 'App 1'].map((name) => [name, [[null], ['To write'], ['To write']]]),
    );
  });

  it('are not listed when they were deleted', async () => {
    const userId = await personWith(2, 1);
    const [first] = await list(userId);
    await app.services.clients.delete(tenant.actor, first?.clientId ?? '');

    const names = (await list(userId)).map(({ name }) => name);

    assert.deepEqual(names, ['App 1']);
  });

  it('take as many queries however many they are', async () => {
    const [few, many] = [await personWith(1, 1), await personWith(6, 3)];

    assert.equal(await queriesOf(() => list(many)), await queriesOf(() => list(few)));
  });
});
