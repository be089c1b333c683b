import { prepared } from '../../db/database.ts';
import type { Db } from '../../db/database.ts';
import { grantHashOf, insertOf, LIVE_GRANT, rowOf, unexpired } from './model-store.ts';
import type { ModelName } from './model-store.ts';
import { sessionTouched } from './session-touch.ts';
import type { SessionTouch } from './session-touch.ts';
import { hashId } from './stored-model.ts';
import type { ModelPayload } from './stored-model.ts';
import { placeOf } from './token-slots.ts';

const USED = 'EXISTS (SELECT 1 FROM used)';

/** What a token request writes when its answer is ready. */
export interface PendingWrites {
  /** The code or refresh token that the answer uses up. */
  consumed: { model: ModelName; id: string; grantId: string } | undefined;
  saves: { model: ModelName; id: string; payload: ModelPayload; expiresInSeconds: number }[];
  /** The session that is used by using up the token. */
  touched?: SessionTouch | undefined;
}

/**
 * Uses up the code or refresh token and stores what it gave, in one statement: all of it, or nothing if
 * somebody else used it first, its grant has ended, or a code has expired. Of many requests at once PostgreSQL lets one through:
 * the others wait for its row, read it again and find it used.
 * @returns whether it was written
 */
export async function writeTokens(
  db: Db,
  tenantId: string,
  { consumed, saves, touched }: PendingWrites,
): Promise<boolean> {
  const parts: string[] = [];
  const bindings: Parameters<typeof prepared>[3][number][] = [];

  const used = consumed && placeOf(consumed.model, consumed.id);
  if (consumed && used) {
    parts.push(`used AS (
      UPDATE ${used.table} SET consumed_at = clock_timestamp(), updated_at = now()
       WHERE tenant_id = ?::uuid AND model = '${consumed.model}' AND id_hash = ?::bytea AND consumed_at IS NULL AND dead_at IS NULL
         ${unexpired(consumed.model)} AND ${LIVE_GRANT}
      RETURNING 1)`);
    bindings.push(tenantId, used.idHash, tenantId, hashId(consumed.grantId));
  }
  for (const [index, { model, id, payload, expiresInSeconds }] of saves.entries()) {
    const grantHash = grantHashOf(model, payload);
    const condition = consumed ? `WHERE ${USED}` : grantHash ? `WHERE ${LIVE_GRANT}` : '';
    parts.push(`saved_${index} AS (${insertOf(model)} ${condition} RETURNING 1)`);
    bindings.push(...rowOf(tenantId, model, id, payload, expiresInSeconds));
    if (!consumed && grantHash) bindings.push(tenantId, grantHash);
  }

  const touch = used && touched && sessionTouched(tenantId, touched, USED);
  if (touch) {
    parts.push(String(touch.before), `touched AS (${touch.sql})`);
    bindings.push(...touch.bindings);
  }

  const shape = [
    used?.label ?? 'none',
    ...(touch ? [touch.name] : []),
    ...saves.map(({ model, payload }) => `${model}${payload.grantId ? '' : '_free'}`),
  ];
  const { rows } = await prepared<{ written: boolean }>(
    db,
    `oidc_tokens_${shape.join('_')}`,
    `WITH ${parts.join(', ')} SELECT EXISTS (SELECT 1 FROM ${consumed ? 'used' : 'saved_0'}) AS written`,
    bindings,
  );
  return rows[0]?.written === true;
}
