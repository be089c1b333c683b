import { ledgerTouch, ledgerTouched } from '../../sessions/ledger-statements.ts';
import type { StatementPart } from './deferred-writes.ts';
import type { ModelPayload } from './stored-model.ts';

/**
 * The use of a session that no browser holds: each refresh of what was issued from it. It lives on by the limits
 * that hold for browsers, and in the statement that rotates the token, so it costs no round trip.
 */
export interface SessionTouch {
  sessionUid: string;
  idleSeconds: number;
  absoluteSeconds: number;
  ip: string | undefined;
  userAgent: string | undefined;
}

/** A session's expiry, and when it was seen last, are written again only after this much of its life, or so long. */
const TOUCH_SHARE = 0.02;
const TOUCH_SECONDS = 300;

export function touchSeconds(idleSeconds: number): number {
  return Math.min(idleSeconds * TOUCH_SHARE, TOUCH_SECONDS);
}

/** @param payload of the session a token belongs to */
export function isTouchDue(payload: ModelPayload | null, idleSeconds: number): boolean {
  if (payload?.isWithoutBrowser !== true) return false;
  const extendedBy = Math.floor(Date.now() / 1000) + idleSeconds - (payload.exp ?? 0);
  return extendedBy >= touchSeconds(idleSeconds);
}

/**
 * Whoever holds the session's row is extending or ending it: then this does nothing, since nobody may wait for a
 * session while they hold a token.
 * @param condition under which it is extended
 */
export function sessionTouched(tenantId: string, touch: SessionTouch, condition: string): StatementPart {
  return {
    name: 'touch',
    before: `held AS (
      SELECT tenant_id, session_uid FROM oidc_models
       WHERE tenant_id = ?::uuid AND model = 'Session' AND session_uid = ?::text AND dead_at IS NULL AND expires_at > now()
         AND ${condition}
         FOR NO KEY UPDATE SKIP LOCKED),
      ${ledgerTouch('held')}`,
    sql: `UPDATE oidc_models s
        SET expires_at = t.ends_at, updated_at = now(),
            payload = jsonb_set(s.payload, '{exp}', to_jsonb(ceil(extract(epoch FROM t.ends_at))::bigint))
       FROM ledger_touch t
      WHERE s.tenant_id = t.tenant_id AND s.model = 'Session' AND s.session_uid = t.session_uid AND s.dead_at IS NULL`,
    bindings: [
      tenantId,
      touch.sessionUid,
      ...ledgerTouched({ ...touch, notSeenForSeconds: touchSeconds(touch.idleSeconds) }),
    ],
  };
}
