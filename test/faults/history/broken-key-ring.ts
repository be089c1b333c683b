import { randomBytes } from 'node:crypto';
import * as real from '../../../src/lib/key-ring.ts';
import { chosenBrokenAdapter } from './chosen-broken-adapter.ts';

export { hmacSha256 } from '../../../src/lib/key-ring.ts';
export type { KeyRing } from '../../../src/lib/key-ring.ts';

/** In the place of src/lib/key-ring.ts: what the successors of refresh tokens derive from is forgotten at once. */
export function createKeyRing(...args: Parameters<typeof real.createKeyRing>): real.KeyRing {
  const ring = real.createKeyRing(...args);
  if (!chosenBrokenAdapter().forgetsSuccessors) return ring;
  return {
    ...ring,
    derive: (purpose, ...rest) =>
      purpose === 'refresh-successor' ? randomBytes(32) : ring.derive(purpose, ...rest),
  };
}
