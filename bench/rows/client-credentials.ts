import { RESOURCES, SCOPE } from '../fixtures.ts';
import type { ResourceKind } from '../fixtures.ts';
import { basicAuth, form, tokenRequest } from '../target.ts';
import { algOf, WORKERS } from './row.ts';
import type { Row } from './row.ts';

/** A service gets a token for an API; the kind of API decides the kind of token. */
function clientCredentialsRow(kind: ResourceKind): Row {
  const expectedAlg = kind === 'opaque' ? undefined : kind.toUpperCase();
  return {
    name: `client-credentials-${kind}`,
    workers: WORKERS,
    async prepare(target, connection) {
      const headers = basicAuth(target.service);
      const body = form({ grant_type: 'client_credentials', scope: SCOPE, resource: RESOURCES[kind] });
      const get = () => tokenRequest(connection, target, headers, body);
      const alg = algOf((await get()).access_token);
      if (alg !== expectedAlg) throw new Error(`the token's algorithm is ${alg}, not ${expectedAlg}`);
      return async () => {
        await get();
      };
    },
  };
}

/** The same by more clients in turn than the engine's own cache holds: to compare with one of them. */
export const clientCredentialsMany: Row = {
  name: 'client-credentials-many',
  workers: WORKERS,
  async prepare(target, connection, worker) {
    const headers = target.services.map(basicAuth);
    const body = form({ grant_type: 'client_credentials', scope: SCOPE, resource: RESOURCES.es256 });
    let turn = worker;
    return async () => {
      await tokenRequest(connection, target, headers[turn % headers.length] ?? {}, body);
      turn += WORKERS + 1;
    };
  },
};

export const clientCredentialsRs256 = clientCredentialsRow('rs256');
export const clientCredentialsEs256 = clientCredentialsRow('es256');
export const clientCredentialsOpaque = clientCredentialsRow('opaque');
