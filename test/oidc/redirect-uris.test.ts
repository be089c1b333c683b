import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

const REGISTERED = 'https://app.example/callback';

/** Ways in which parsers, browsers and people have confused other addresses with the registered one. */
const CONFUSIONS = [
  // Another host
  'https://evil.example/callback',
  'https://app.example.evil.example/callback',
  'https://evil.example/app.example/callback',
  'https://appxexample/callback',
  'https://sub.app.example/callback',
  'https://app.example./callback',
  'https://APP.EXAMPLE/callback',
  'https://app.example:8443/callback',
  'https://app.example:443/callback',
  'https://app.example:0443/callback',
  'https://аpp.example/callback',
  'https://xn--pp-7kc.example/callback',
  'https://app。example/callback',
  // Another host behind a user name
  'https://app.example@evil.example/callback',
  'https://app.example:x@evil.example/callback',
  'https://user@app.example/callback',
  'https://app.example%40evil.example/callback',
  'https://evil.example#@app.example/callback',
  'https://evil.example\\@app.example/callback',
  'https://evil.example\\.app.example/callback',
  'https://app.example\\.evil.example/callback',
  'https://evil.example?@app.example/callback',
  'https://evil.example%23@app.example/callback',
  'https://app.example%2eevil.example/callback',
  'https://evil.example%00.app.example/callback',
  // Another scheme
  'http://app.example/callback',
  'HTTPS://app.example/callback',
  '//app.example/callback',
  'https:/app.example/callback',
  'https:app.example/callback',
  'https:///app.example/callback',
  'https:\\\\app.example\\callback',
  'ftp://app.example/callback',
  'javascript://app.example/callback%0aalert(1)',
  'data:text/html,https://app.example/callback',
  'app.example/callback',
  '/callback',
  'callback',
  // Another path
  'https://app.example/',
  'https://app.example',
  'https://app.example/callback/',
  'https://app.example/callback/more',
  'https://app.example/callback2',
  'https://app.example/Callback',
  'https://app.example/./callback',
  'https://app.example/x/../callback',
  'https://app.example/callback/..',
  'https://app.example/callback/../../evil',
  'https://app.example/%63allback',
  'https://app.example/callback%2f..%2fevil',
  'https://app.example//callback',
  'https://app.example/callback;evil',
  'https://app.example\\callback',
  // Something added
  'https://app.example/callback?',
  'https://app.example/callback?next=https://evil.example',
  'https://app.example/callback#',
  'https://app.example/callback#evil',
  'https://app.example/callback%00',
  'https://app.example/callback\t',
  'https://app.example/callback\n',
  ' https://app.example/callback',
  'https://app.example/callback ',
  'https://app.example/callback,https://evil.example',
  'https://app.example/callback https://evil.example',
  'https://app.example/*',
  '*',
];

describe('redirect URIs', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let web: RelyingParty;
  let native: RelyingParty;

  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    web = await createRelyingParty(app, tenant, { metadata: { redirect_uris: [REGISTERED] } });
    native = await createRelyingParty(app, tenant, {
      metadata: {
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [
          'http://127.0.0.1/callback',
          'http://[::1]:4000/callback',
          'com.example.app:/callback',
          'https://app.example/callback',
        ],
      },
    });
  });
  after(() => app.close());

  const authorize = (rp: RelyingParty, redirectUri: string | undefined) =>
    createUserAgent().get(rp.authorizationUrl({ redirect_uri: redirectUri }));
  const isAccepted = async (rp: RelyingParty, redirectUri: string) =>
    (await authorize(rp, redirectUri)).location?.startsWith(`${tenant.issuer}/interaction/`) === true;

  it('are accepted as registered', async () => {
    assert.equal(await isAccepted(web, REGISTERED), true);
  });

  for (const uri of CONFUSIONS) {
    it(`are compared exactly: ${JSON.stringify(uri)}`, async () => {
      const { status, location, body } = await authorize(web, uri);

      assert.equal(status, 400);
      assert.equal(location, undefined);
      assert.match(body, /invalid_redirect_uri/);
    });
  }

  it('are never guessed', async () => {
    const { status, location } = await authorize(web, undefined);

    assert.equal(status, 400);
    assert.equal(location, undefined);
  });

  it('are those of the client itself', async () => {
    const other = await createRelyingParty(app, tenant, {
      metadata: { redirect_uris: ['https://other.example/callback'] },
    });

    const { status, location } = await authorize(other, REGISTERED);

    assert.deepEqual([status, location], [400, undefined]);
  });

  for (const uri of [
    'http://127.0.0.1/callback',
    'http://127.0.0.1:1/callback',
    'http://127.0.0.1:51234/callback',
    'http://[::1]:4000/callback',
    'http://[::1]:4001/callback',
    'com.example.app:/callback',
  ]) {
    it(`let a native app listen on any port of its loopback address: ${uri}`, async () => {
      assert.equal(await isAccepted(native, uri), true);
    });
  }

  for (const uri of [
    'http://127.0.0.1:51234/callback/',
    'http://127.0.0.1:51234/other',
    'http://127.0.0.1:51234/callback?more',
    'http://localhost:51234/callback',
    'http://127.0.0.2:51234/callback',
    'http://2130706433:51234/callback',
    'http://0x7f.1:51234/callback',
    'http://[::ffff:127.0.0.1]:51234/callback',
    'https://127.0.0.1:51234/callback',
    'http://127.0.0.1:51234@evil.example/callback',
    'http://127.0.0.1.evil.example:51234/callback',
    'com.example.app://callback',
    'com.example.app:/callback/',
    'com.example.app2:/callback',
    'https://app.example:51234/callback',
  ]) {
    it(`let nothing but the port of a native app vary: ${uri}`, async () => {
      assert.equal(await isAccepted(native, uri), false);
    });
  }

  it('let no port of a web app vary, not even on a loopback address', async () => {
    const local = await createRelyingParty(app, tenant, {
      metadata: { redirect_uris: ['http://localhost:3000/callback'] },
    });

    assert.equal(await isAccepted(local, 'http://localhost:3000/callback'), true);
    assert.equal(await isAccepted(local, 'http://localhost:3001/callback'), false);
  });

  it('have to be repeated exactly when the code is redeemed', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    const refused = await rp.redeem(code, { redirect_uri: 'https://app.example/callback/' });
    const missing = await rp.token({ grant_type: 'authorization_code', code, code_verifier: 'x'.repeat(43) });

    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant']);
    assert.deepEqual([missing.status, missing.body.error], [400, 'invalid_request']);
    assert.equal((await rp.redeem(code)).status, 200);
  });
});
