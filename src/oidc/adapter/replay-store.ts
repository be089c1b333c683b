import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { sha256 } from '../../lib/ids.ts';
import { guarded } from './store-errors.ts';
import { currentUnitOfWork } from './unit-of-work.ts';

/**
 * DPoP proofs are accepted up to 300 s before and after their `iat` (RFC 9449 §11.1), so one dated
 * ahead stays acceptable for twice that; the engine asks to remember it for 300 s only. It counts them by the
 * clock of its server, and the next one may be asked whose clock is 300 s slower: that much longer again.
 */
const REMEMBER_SECONDS_LONGER = 300 + 300 + 30;

/** Ids of assertions and proofs that may be used once (RFC 7523 §3, RFC 9449 §11.1). */
export function replayStore(db: Db, tenantId: string) {
  return {
    /**
     * @param expiresAt seconds since the epoch
     * @returns whether this is the first use: the insert decides, on every replica alike
     */
    remember(issuer: string, jti: string, expiresAt: number): Promise<boolean> {
      return guarded(async () => {
        const { rowCount } = await prepared(
          (await currentUnitOfWork()?.reader()) ?? db,
          'replay_remember',
          `INSERT INTO replay_ids (tenant_id, id_hash, expires_at) VALUES (?, ?, to_timestamp(?::float8))
           ON CONFLICT DO NOTHING`,
          [tenantId, sha256(`${issuer.length}:${issuer}${jti}`), expiresAt + REMEMBER_SECONDS_LONGER],
        );
        return rowCount === 1;
      });
    },
  };
}
