import assert from 'node:assert/strict';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page } from '../support/user-agent.ts';

const MARKUP = `"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}<%= 7*7 %>\${7*7}`;
const SCHEME = 'javascript:alert(1)';

/** Parameters that come from whoever made the link; what they say may be shown, never obeyed. */
const PARAMETERS = [
  'state',
  'nonce',
  'login_hint',
  'ui_locales',
  'claims_locales',
  'acr_values',
  'id_token_hint',
  'display',
  'scope',
  'resource',
  'prompt',
  'response_type',
  'response_mode',
  'code_challenge_method',
  'client_id',
  'redirect_uri',
];

describe('hostile values', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let rp: RelyingParty;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    await app.services.resources.create(tenant.actor, {
      identifier: 'https://api.example/',
      name: `API ${MARKUP}`,
      scopes: [{ name: 'read', description: `Read ${MARKUP}` }],
    });
    rp = await createRelyingParty(app, tenant, {
      name: MARKUP.slice(0, 100),
      metadata: { client_uri: 'https://app.example/?x=%3Cscript%3E' },
    });
  });
  after(() => app.close());

  for (const parameter of PARAMETERS) {
    for (const value of [MARKUP, SCHEME, '\u0000', '\u202Ereversed', 'x'.repeat(4000)]) {
      it(`are inert in ${parameter}: ${JSON.stringify(value.slice(0, 12))}`, async () => {
        const agent = createUserAgent();

        const page = await agent.follow(
          await agent.get(rp.authorizationUrl({ [parameter]: value })),
          tenant.issuer,
        );

        assert.ok(page.status < 500, `${page.status}: ${page.body}`);
        assertInert(page);
      });
    }
  }

  it('are inert on the pages of a whole sign-in', async () => {
    const agent = createUserAgent();
    const params = { state: MARKUP, scope: 'openid read', resource: 'https://api.example/' };

    const identifier = await agent.follow(await agent.get(rp.authorizationUrl(params)), tenant.issuer);
    const mistyped = await agent.follow(
      await agent.submit(identifier, '/identifier', { username: MARKUP }),
      tenant.issuer,
    );
    const password = await agent.follow(
      await agent.submit(mistyped, '/identifier', { username: rp.user.email }),
      tenant.issuer,
    );
    const consent = await agent.follow(
      await agent.submit(password, '/password', { password: GOOD_PASSWORD }),
      tenant.issuer,
    );

    assert.match(consent.body, /name="decision"/);
    for (const page of [identifier, mistyped, password, consent]) assertInert(page);
  });

  it('arrive at the app as they were sent', async () => {
    const { state } = await rp.signIn(createUserAgent(), { state: MARKUP });

    assert.equal(state, MARKUP);
  });

  it('are inert in a form that carries the answer', async () => {
    const page = await createUserAgent().get(
      rp.authorizationUrl({ response_mode: 'form_post', prompt: 'none', state: MARKUP }),
    );

    assert.ok(!page.body.includes('<script>alert'));
    assert.ok(!page.body.includes('<img'));
  });

  for (const path of [
    `/interaction/${encodeURIComponent(MARKUP)}`,
    `/authorize/${encodeURIComponent(MARKUP)}`,
    `/${encodeURIComponent(MARKUP)}`,
    `/logout?post_logout_redirect_uri=${encodeURIComponent(SCHEME)}&state=${encodeURIComponent(MARKUP)}`,
    `/logout?id_token_hint=${encodeURIComponent(MARKUP)}`,
    `/logout?client_id=${encodeURIComponent(MARKUP)}`,
    `/logout/success?client_id=${encodeURIComponent(MARKUP)}`,
  ]) {
    it(`are inert in the address: ${path.slice(0, 40)}`, async () => {
      const page = await createUserAgent().get(`${tenant.issuer}${path}`);

      assert.ok(page.status < 500, `${page.status}`);
      assert.ok(!page.body.includes('<script>alert') && !page.body.includes('<img'));
      assert.ok(!/(href|action|src)="\s*javascript:/i.test(page.body));
    });
  }
});

/** No markup of the value, no link that runs it, no template that was evaluated, and a policy that stops the rest. */
function assertInert({ body, headers, location }: Page): void {
  assert.ok(!body.includes('<script>alert'), body);
  assert.ok(!body.includes('<img src=x'), body);
  assert.ok(!/(href|action|src)="\s*javascript:/i.test(body));
  assert.ok(!body.includes('}}49') && !body.includes('>49'));
  assert.ok(!location?.startsWith('javascript:'));
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /script-src 'self'(;| 'sha256-)/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/);
}
