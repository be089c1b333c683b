import type { Knex } from 'knex';
import type { Db } from '../../db/database.ts';
import { ledgerEnd } from '../../sessions/ledger-statements.ts';
import type { SessionEndReason } from '../../sessions/session.ts';
import { userStore } from '../../users/user-store.ts';
import { enqueueClientLogouts, enqueueLogout } from './logout-deliveries.ts';
import { hashId } from './stored-model.ts';
import type { ModelPayload } from './stored-model.ts';

/**
 * Ends what a person or a client may do, at once and on every replica: the person's row first, then sessions, then
 * grants, the order in which requests under way lock them.
 */
export async function revokeUserAccess(trx: Db, tenantId: string, userId: string): Promise<void> {
  await userStore(trx, tenantId).outdateProofs(userId);
  await killSessions(trx, tenantId, { userId, reason: 'access_ended' });
  await killGrants(trx, tenantId, (grants) => grants.where({ account_id: userId }));
}

/** Sessions of its users go on; the app is told that it has no part in them any more. */
export async function revokeClientAccess(trx: Db, tenantId: string, clientId: string): Promise<void> {
  const accountIds = await killGrants(trx, tenantId, (grants) => grants.where({ client_id: clientId }));
  await enqueueClientLogouts(trx, tenantId, { clientId, accountIds });
}

/** What one app may do in the name of one person; the app is told. @returns whether there was anything */
export async function revokeAppAccess(
  trx: Db,
  tenantId: string,
  { userId, clientId }: { userId: string; clientId: string },
): Promise<boolean> {
  const ended = await killGrants(trx, tenantId, (grants) =>
    grants.where({ account_id: userId, client_id: clientId }),
  );
  await enqueueClientLogouts(trx, tenantId, { clientId, accountIds: [userId] });
  return ended.length > 0;
}

/** Which sessions of a person. */
export interface SessionChoice {
  userId: string;
  /** The engine's uids; undefined: all of them. */
  uids?: readonly string[] | undefined;
  exceptUid?: string | undefined;
  reason: SessionEndReason;
}

/**
 * Ends sessions as signing out in their own browsers would: with what apps got through them, except for those
 * that were granted offline access. Whoever ends them all, or all others, means those that are about to begin as well.
 * @returns the ids in the ledger of those that this call ended
 */
export async function endSessions(trx: Db, tenantId: string, choice: SessionChoice): Promise<string[]> {
  if (choice.uids === undefined) await userStore(trx, tenantId).outdateProofs(choice.userId);
  const ended = await killSessions(trx, tenantId, choice);
  const grantIds = ended.flatMap(({ payload }) =>
    authorizationsOf(payload).flatMap(([, { grantId, persistsLogout }]) =>
      grantId && !persistsLogout ? [grantId] : [],
    ),
  );
  if (grantIds.length > 0) {
    await killGrants(trx, tenantId, (grants) => grants.whereIn('id_hash', grantIds.map(hashId)));
  }
  return ended.flatMap(({ ledger_id: id }) => id ?? []);
}

interface EndedSession {
  payload: ModelPayload;
  ledger_id: string | null;
}

async function killSessions(
  trx: Db,
  tenantId: string,
  { userId, uids, exceptUid, reason }: SessionChoice,
): Promise<EndedSession[]> {
  // Locked before anything is changed: a request under way may give the row another id, and a statement that
  // had to wait for it would look for the row in vain.
  const locked: { session_uid: string }[] = await trx('oidc_models')
    .where({ tenant_id: tenantId, model: 'Session', account_id: userId })
    .whereNull('dead_at')
    .modify((query) => {
      if (uids) query.whereIn('session_uid', uids);
      if (exceptUid !== undefined) query.whereNot({ session_uid: exceptUid });
    })
    .orderBy('session_uid')
    .forUpdate()
    .select('session_uid');
  if (locked.length === 0) return [];

  const { rows } = await trx.raw<{ rows: EndedSession[] }>(
    `WITH killed AS (
       UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now()
        WHERE tenant_id = ? AND model = 'Session' AND session_uid = ANY (?) AND dead_at IS NULL
       RETURNING tenant_id, session_uid, payload),
     ${ledgerEnd('killed')}
     SELECT killed.payload, ledger_end.id AS ledger_id FROM killed LEFT JOIN ledger_end USING (session_uid)`,
    [tenantId, locked.map((row) => row.session_uid), reason],
  );
  for (const { payload } of rows) {
    for (const [clientId, { sid }] of authorizationsOf(payload)) {
      await enqueueLogout(trx, tenantId, { clientId, accountId: userId, sid });
    }
  }
  return rows;
}

/** @returns whose they were, each once for each grant; those of nobody are left out */
async function killGrants(
  trx: Db,
  tenantId: string,
  choose: (grants: Knex.QueryBuilder) => Knex.QueryBuilder,
): Promise<string[]> {
  const grants = () => trx('oidc_models').where({ tenant_id: tenantId, model: 'Grant' });
  const chosen = grants()
    .whereNull('dead_at')
    .modify((grants) => void choose(grants))
    .orderBy('id_hash')
    .forUpdate()
    .select('id_hash');
  const killed: { account_id: string | null }[] = await grants()
    .whereIn('id_hash', chosen)
    .update({ dead_at: trx.raw('clock_timestamp()'), updated_at: trx.fn.now() })
    .returning('account_id');
  return killed.flatMap(({ account_id: accountId }) => accountId ?? []);
}

type Authorization = { sid?: string; grantId?: string; persistsLogout?: boolean };

function authorizationsOf(payload: ModelPayload): [string, Authorization][] {
  const { authorizations } = payload;
  if (typeof authorizations !== 'object' || authorizations === null) return [];
  return Object.entries(authorizations);
}
