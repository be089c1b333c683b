import type { Knex } from 'knex';
import type { Db } from '../../db/database.ts';
import { LEDGER_END_OF_MANY } from '../../sessions/ledger-statements.ts';
import type { SessionEndReason } from '../../sessions/session.ts';
import { userStore } from '../../users/user-store.ts';
import { enqueueClientLogouts, logoutsOf } from './logout-deliveries.ts';

/**
 * Ends what a person may do, at once and on every replica: the person's row first, then sessions, then grants, the
 * order in which requests under way lock them. Of clients, see client-access.ts.
 */
export async function revokeUserAccess(trx: Db, tenantId: string, userId: string): Promise<void> {
  await userStore(trx, tenantId).outdateProofs(userId);
  await killSessions(trx, tenantId, { userId, reason: 'access_ended' });
  await killGrants(trx, tenantId, (grants) => grants.where({ account_id: userId }));
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
  if (ended.bound_grants.length > 0)
    await killGrants(trx, tenantId, (grants) => grants.whereRaw('id_hash = ANY (?)', [ended.bound_grants]));
  return ended.ledger_ids;
}

interface EndedSessions {
  ledger_ids: string[];
  /** Hashes of the grants that end with them. */
  bound_grants: Buffer[];
}

const NONE: EndedSessions = { ledger_ids: [], bound_grants: [] };

async function killSessions(
  trx: Db,
  tenantId: string,
  { userId, uids, exceptUid, reason }: SessionChoice,
): Promise<EndedSessions> {
  // Locked before anything is changed: a request under way may give the row another id, and a statement that
  // had to wait for it would look for the row in vain.
  const locked: { session_uid: string }[] = await trx('oidc_models')
    .where({ tenant_id: tenantId, model: 'Session', account_id: userId })
    .whereNull('dead_at')
    .modify((query) => {
      if (uids) query.whereRaw('session_uid = ANY (?)', [[...uids]]);
      if (exceptUid !== undefined) query.whereNot({ session_uid: exceptUid });
    })
    .orderBy('session_uid')
    .forUpdate()
    .select('session_uid');
  if (locked.length === 0) return NONE;

  // Rows are chosen by arrays throughout: of a join the planner may think it is one of few, and many would be
  // compared with many.
  const ending = locked.map((row) => row.session_uid);
  const { rows } = await trx.raw<{ rows: EndedSessions[] }>(
    `WITH killed AS (
       UPDATE oidc_models SET dead_at = clock_timestamp(), updated_at = now()
        WHERE tenant_id = ? AND model = 'Session' AND session_uid = ANY (?) AND dead_at IS NULL
       RETURNING payload),
     ledger_end AS (${LEDGER_END_OF_MANY}),
     told AS (${logoutsOf('oidc_models')} WHERE s.tenant_id = ? AND s.model = 'Session' AND s.session_uid = ANY (?))
     SELECT ARRAY (SELECT id FROM ledger_end) AS ledger_ids,
            ARRAY (SELECT sha256(convert_to(a.value ->> 'grantId', 'UTF8'))
                     FROM killed CROSS JOIN LATERAL jsonb_each(killed.payload -> 'authorizations') a
                    WHERE a.value ->> 'grantId' IS NOT NULL
                      AND a.value -> 'persistsLogout' IS DISTINCT FROM 'true') AS bound_grants`,
    [tenantId, ending, reason, tenantId, ending, tenantId, ending],
  );
  return rows[0] ?? NONE;
}

/** @returns whose they were, each once for each grant; those of nobody are left out */
async function killGrants(
  trx: Db,
  tenantId: string,
  choose: (grants: Knex.QueryBuilder) => Knex.QueryBuilder,
): Promise<string[]> {
  const grants = () => trx('oidc_models').where({ tenant_id: tenantId, model: 'Grant' });
  const chosen: { id_hash: Buffer }[] = await grants()
    .whereNull('dead_at')
    .modify((grants) => void choose(grants))
    .orderBy('id_hash')
    .forUpdate()
    .select('id_hash');
  if (chosen.length === 0) return [];
  const killed: { account_id: string | null }[] = await grants()
    .whereRaw('id_hash = ANY (?)', [chosen.map((row) => row.id_hash)])
    .update({ dead_at: trx.raw('clock_timestamp()'), updated_at: trx.fn.now() })
    .returning('account_id');
  return killed.flatMap(({ account_id: accountId }) => accountId ?? []);
}
