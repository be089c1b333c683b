import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { loadConfig } from '../../src/config.ts';
import { DEMO_EMAIL, provisionDemo } from '../../src/demo/provision.ts';
import { readablePassword } from '../../src/demo/readable-password.ts';
import { startDemo } from '../../src/demo/start-demo.ts';
import { systemActor } from '../../src/http/actor.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createServices } from '../../src/services.ts';
import type { Services } from '../../src/services.ts';
import { newTenant, testDb } from '../support/database.ts';
import { english } from '../support/translations.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');
const log = createLogger({ level: 'silent' });
const publicUrl = 'http://localhost:3000';

describe('provisioning the demo', () => {
  let db: Knex;
  let services: Services;
  let tenantId: string;
  let dataDir: string;

  before(async () => {
    db = await testDb();
    const config = loadConfig({ NODE_ENV: 'test', GATEHOUSE_KEYS: KEY, GATEHOUSE_PEPPERS: KEY });
    services = createServices({ config, db, log });
  });

  beforeEach(async () => {
    tenantId = (await newTenant(db)).id;
    dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-demo-'));
  });

  afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

  const provision = (url = publicUrl) => provisionDemo({ tenantId, publicUrl: url, dataDir, services });
  const actor = () => systemActor(tenantId);

  async function canSignIn(password: string): Promise<boolean> {
    const { ok } = await services.passwordSignIn.verify(actor(), { email: DEMO_EMAIL, password });
    return ok;
  }

  async function countEvents(): Promise<number> {
    const [row] = await db('events').where({ tenant_id: tenantId }).count<{ count: string }[]>();
    return Number(row?.count);
  }

  it('registers a public client with PKCE, the sample API and a person who can sign in', async () => {
    const { email, password } = await provision();

    const client = await services.clients.get(actor(), 'demo');
    const resource = await services.resources.get(actor(), `${publicUrl}/demo/api`);
    assert.equal(client.metadata.token_endpoint_auth_method, 'none');
    assert.deepEqual(client.metadata.redirect_uris, [`${publicUrl}/demo/callback`]);
    assert.deepEqual(client.metadata.post_logout_redirect_uris, [`${publicUrl}/demo/signed-out`]);
    assert.equal(client.firstParty, false);
    assert.equal(resource.scopes[0]?.name, 'greetings:read');
    assert.equal(email, DEMO_EMAIL);
    assert.equal(await canSignIn(password), true);
  });

  it('keeps the password for its owner alone', async () => {
    const { passwordFile } = await provision();

    assert.equal(statSync(passwordFile).mode & 0o777, 0o600);
  });

  it('changes nothing the second time', async () => {
    const first = await provision();
    const events = await countEvents();

    const second = await provision();

    assert.deepEqual(second, first);
    assert.equal(await countEvents(), events);
  });

  it('follows a changed public URL and leaves nothing of the old one', async () => {
    await provision('http://localhost:3100');

    await provision(publicUrl);

    const client = await services.clients.get(actor(), 'demo');
    const resources = await services.resources.list(actor());
    assert.deepEqual(client.metadata.redirect_uris, [`${publicUrl}/demo/callback`]);
    assert.deepEqual(client.metadata.post_logout_redirect_uris, [`${publicUrl}/demo/signed-out`]);
    assert.deepEqual(
      resources.map(({ identifier }) => identifier),
      [`${publicUrl}/demo/api`],
    );
  });

  it('leaves alone what a developer changed about the client', async () => {
    await provision();
    await services.clients.update(actor(), 'demo', { name: 'Mine', firstParty: true });

    await provision('http://localhost:3100');

    const client = await services.clients.get(actor(), 'demo');
    assert.deepEqual([client.name, client.firstParty], ['Mine', true]);
  });

  it('gives a new password when the file was lost', async () => {
    const first = await provision();
    rmSync(first.passwordFile);

    const second = await provision();

    assert.notEqual(second.password, first.password);
    assert.equal(await canSignIn(second.password), true);
    assert.equal(await canSignIn(first.password), false);
  });

  it('keeps the password when the database is a new one', async () => {
    const first = await provision();
    tenantId = (await newTenant(db)).id;

    const second = await provision();

    assert.equal(second.password, first.password);
    assert.equal(await canSignIn(second.password), true);
  });

  it('works for two processes that start at once', async () => {
    const other = mkdtempSync(join(tmpdir(), 'gatehouse-demo-'));
    await services.users.create(actor(), { email: DEMO_EMAIL });

    await Promise.all([provision(), provisionDemo({ tenantId, publicUrl, dataDir: other, services })]);

    rmSync(other, { recursive: true });
    assert.equal((await services.clients.list(actor())).length, 1);
    assert.equal((await services.resources.list(actor())).length, 1);
  });

  it('lets the server run without the demo when its client was deleted or cannot be registered', async () => {
    await provision();
    await services.clients.delete(actor(), 'demo');
    const start = (url: string) =>
      startDemo({
        config: { publicUrl: url, dataDir },
        services,
        tenant: { id: tenantId },
        views: { render: () => '' },
        language: english,
        log,
      });

    assert.equal(await start(publicUrl), undefined);
    tenantId = (await newTenant(db)).id;
    assert.equal(await start('http://gatehouse.example'), undefined);
  });

  it('makes passwords that differ and are as long as the policy wants', () => {
    const passwords = new Set(Array.from({ length: 50 }, () => readablePassword(15)));

    assert.equal(passwords.size, 50);
    for (const password of passwords) assert.match(password, /^[a-z]{5}(-[a-z]{5}){3}$/);
    assert.ok(readablePassword(64).length >= 64);
  });
});
