import { assertionFields, createAssertionKey } from '../../support/assertion-key.ts';
import { createDpopKey } from '../../support/dpop.ts';
import { CODE_VERIFIER, REDIRECT_URI } from '../../support/relying-party.ts';
import { createBrowserOperations } from '../history/browser-operations.ts';
import { createRecorder } from '../history/record.ts';
import { at } from '../history/slots.ts';
import type { World } from '../history/world.ts';
import { tally } from './answers.ts';
import { sendAll } from './outage.ts';
import type { NamedRequest } from './requests.ts';
import { jsonOf } from './http-client.ts';

/**
 * Everything of which a second use is a replay, used once with success: a code, the refresh token it gave, a
 * client's assertion and a DPoP proof.
 * @returns the requests, which nobody may get through again
 */
export async function useUp(world: World): Promise<NamedRequest[]> {
  const { issuer, services, tenant, balancer } = world;
  const app = at(world.apps, 0);
  const url = `${issuer}/token`;
  const headers = { authorization: app.authorization };
  const browsers = createBrowserOperations(world, createRecorder());
  const caller = { worker: 0, server: 0 };
  const { record } = await browsers.signIn(caller, at(world.users, 0), app, false);
  const code = {
    what: 'code',
    url,
    headers,
    form: {
      grant_type: 'authorization_code',
      code: record.code ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: CODE_VERIFIER,
    },
  };
  const tokens = jsonOf(await balancer.send(code));
  const refreshToken = {
    what: 'refresh token',
    url,
    headers,
    form: { grant_type: 'refresh_token', refresh_token: String(tokens['refresh_token']) },
  };
  const key = await createAssertionKey();
  const { client } = await services.clients.create(tenant.actor, {
    name: 'Signing service',
    metadata: {
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [key.publicJwk] },
    },
  });
  const assertion = {
    what: 'assertion',
    url,
    form: {
      grant_type: 'client_credentials',
      ...assertionFields(await key.assertion(client.clientId, issuer)),
    },
  };
  const proof = {
    what: 'DPoP proof',
    url,
    headers: { ...headers, dpop: await (await createDpopKey()).proof('POST', url) },
    form: { grant_type: 'client_credentials' },
  };

  const used = tally(await sendAll(world, [refreshToken, assertion, proof]));
  if (!used.every((line) => line.endsWith(': 200'))) throw new Error(`not used: ${used.join('; ')}`);
  return [code, refreshToken, assertion, proof];
}
