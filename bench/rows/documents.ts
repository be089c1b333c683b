import { expectStatus, UnexpectedAnswer } from '../answer.ts';
import type { Target } from '../target.ts';
import { WORKERS } from './row.ts';
import type { Row } from './row.ts';

/** The documents that every client reads: discovery and JWKS. */
function documentRow(name: 'discovery' | 'jwks', member: string): Row {
  return {
    name,
    workers: WORKERS,
    bound: 'node:http',
    async prepare(target: Target, connection) {
      const request = { method: 'GET', path: target.paths[name] } as const;
      const { body } = expectStatus(await connection.request(request), 200, name);
      if (!(member in JSON.parse(body))) throw new Error(`${name}: no ${member} in ${body.slice(0, 200)}`);
      return async () => {
        const answer = expectStatus(await connection.request(request), 200, name);
        if (answer.body.length !== body.length) throw new UnexpectedAnswer(name, answer);
      };
    },
  };
}

export const discovery = documentRow('discovery', 'token_endpoint');
export const jwks = documentRow('jwks', 'keys');
