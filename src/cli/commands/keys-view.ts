import type { SigningKey } from '../../keys/signing-key.ts';
import type { Report } from '../cli-io.ts';
import { dateText, table } from '../text.ts';

/** Never the private half: it does not even get here. */
function keyJson(key: SigningKey) {
  return {
    kid: key.kid,
    alg: key.alg,
    status: key.status,
    public_jwk: key.publicJwk,
    published_at: key.createdAt,
    activated_at: key.activatedAt,
    retired_at: key.retiredAt,
    removed_at: key.removedAt,
  };
}

export function keysReport(keys: readonly SigningKey[], done?: string): Report {
  const list = table(
    ['KID', 'ALG', 'STATUS', 'PUBLISHED', 'ACTIVE SINCE'],
    keys.map((key) => [key.kid, key.alg, key.status, dateText(key.createdAt), dateText(key.activatedAt)]),
  );
  return { json: { keys: keys.map(keyJson) }, text: done === undefined ? list : `${done}\n\n${list}` };
}
