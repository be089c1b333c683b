import assert from 'node:assert/strict';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { CODE_CHALLENGE, CODE_VERIFIER, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

describe('PKCE (RFC 7636)', () => {
  let app: TestApp;
  let tenant: TestTenant;
  const clients: Record<string, RelyingParty> = {};
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    clients['public'] = await createRelyingParty(app, tenant, {
      metadata: { token_endpoint_auth_method: 'none' },
    });
    clients['confidential'] = await createRelyingParty(app, tenant);
    clients['first-party'] = await createRelyingParty(app, tenant, { firstParty: true });
  });
  after(() => app.close());

  const refusal = async (rp: RelyingParty | undefined, params: Record<string, string | undefined>) => {
    const { location = '' } = await createUserAgent().get(rp?.authorizationUrl(params) ?? '');
    assert.ok(location.startsWith(REDIRECT_URI), `not sent to the app but to ${location}`);
    return Object.fromEntries(new URL(location).searchParams);
  };

  for (const kind of ['public', 'confidential', 'first-party']) {
    it(`is demanded of a ${kind} client`, async () => {
      const { error, code } = await refusal(clients[kind], {
        code_challenge: undefined,
        code_challenge_method: undefined,
      });

      assert.deepEqual([error, code], ['invalid_request', undefined]);
    });

    it(`ends for a ${kind} client with the right verifier only`, async () => {
      const rp = clients[kind] as RelyingParty;
      const { code = '' } = await rp.signIn();

      const wrong = await rp.redeem(code, { code_verifier: 'a'.repeat(43) });
      const right = await rp.redeem(code);

      assert.deepEqual([wrong.status, wrong.body.error], [400, 'invalid_grant']);
      assert.equal(right.status, 200, JSON.stringify(right.body));
    });

    it(`cannot be left out by a ${kind} client when it redeems the code`, async () => {
      const rp = clients[kind] as RelyingParty;
      const { code = '' } = await rp.signIn();

      const { status, body } = await rp.token({
        grant_type: 'authorization_code',
        code,
        redirect_uri: REDIRECT_URI,
      });

      assert.deepEqual([status, body.error], [400, 'invalid_grant']);
    });
  }

  for (const [fault, params] of Object.entries({
    'the method plain': { code_challenge: CODE_VERIFIER, code_challenge_method: 'plain' },
    'no method, which would mean plain': { code_challenge_method: undefined },
    'the method in lower case': { code_challenge_method: 's256' },
    'an unknown method': { code_challenge_method: 'S512' },
    'a method without a challenge': { code_challenge: undefined },
    'an empty challenge': { code_challenge: '' },
    'a short challenge': { code_challenge: CODE_CHALLENGE.slice(0, 42) },
    'a long challenge': { code_challenge: 'a'.repeat(129) },
    'a challenge with other characters': { code_challenge: `${CODE_CHALLENGE.slice(0, 42)}=` },
  })) {
    it(`refuses ${fault}`, async () => {
      const { error, code } = await refusal(clients['confidential'], params);

      assert.deepEqual([error, code], ['invalid_request', undefined]);
    });
  }

  for (const [fault, verifier] of Object.entries({
    'the challenge itself': CODE_CHALLENGE,
    'a shortened verifier': CODE_VERIFIER.slice(0, -1),
    'a lengthened verifier': `${CODE_VERIFIER}a`,
    'a verifier in another case': swapCase(CODE_VERIFIER),
    'a verifier with other characters': `${CODE_VERIFIER.slice(0, -1)}=`,
  })) {
    it(`does not take ${fault} for the verifier`, async () => {
      const rp = clients['public'] as RelyingParty;
      const { code = '' } = await rp.signIn();

      const { status, body } = await rp.redeem(code, { code_verifier: verifier });

      assert.equal(status, 400);
      assert.match(body.error ?? '', /^invalid_(grant|request)$/);
    });
  }
});

function swapCase(text: string): string {
  return text.replace(/[a-z]/i, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
}
