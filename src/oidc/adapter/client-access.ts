import type { Db } from '../../db/database.ts';
import { enqueueClientLogouts } from './logout-deliveries.ts';

/**
 * The end of what a client may do. Its being disabled or deleted is what counts: from then on nobody takes its
 * tokens. That its grants die as well, so that they stay dead if it is enabled again, comes bit by bit, however many
 * they are; a mark at the client says that it is not done yet (docs/adr/0029).
 */

/** What one transaction ends: each of these people may have as many sessions to tell the app of as one person may. */
const BATCH = 200;
/** Requests that knew the client a moment before, on whatever server, are over by then. */
const SETTLED_SECONDS = 60;

/** Of some client. */
export interface EndingClient {
  tenantId: string;
  clientId: string;
}

/** Clients whose grants are still to end. */
export async function listEndingClients(db: Db): Promise<EndingClient[]> {
  const rows = await db('clients')
    .whereNotNull('access_ending_since')
    .orderBy('access_ending_since')
    .select('tenant_id', 'client_id');
  return rows.map((row) => ({ tenantId: row.tenant_id, clientId: row.client_id }));
}

/**
 * Ends some of the client's grants in a transaction of its own, unless somebody else is at it or has changed the client
 * meanwhile, and takes the mark away when nothing can follow any more.
 * @returns whether there is more to do at once
 */
export async function continueEndingAccess(db: Db, { tenantId, clientId }: EndingClient): Promise<boolean> {
  return db.transaction(async (trx) => {
    const clients = () => trx('clients').where({ tenant_id: tenantId, client_id: clientId });
    const client = await clients()
      .whereNotNull('access_ending_since')
      .forNoKeyUpdate()
      .skipLocked()
      .first(
        trx.raw('access_ending_since < now() - make_interval(secs => ?::int) AS is_settled', [
          SETTLED_SECONDS,
        ]),
      );
    if (!client) return false;
    const { ended, isDone } = await endSomeGrants(trx, tenantId, clientId);
    if (isDone && client.is_settled) await clients().update({ access_ending_since: null });
    return !isDone && ended > 0;
  });
}

/**
 * Nobody is waited for: what is in use comes later.
 * @returns how many grants this ended, and whether none is left
 */
export async function endSomeGrants(
  trx: Db,
  tenantId: string,
  clientId: string,
): Promise<{ ended: number; isDone: boolean }> {
  const grants = () => trx('oidc_models').where({ tenant_id: tenantId, model: 'Grant' });
  const live = () => grants().where({ client_id: clientId }).whereNull('dead_at');
  const chosen: { id_hash: Buffer }[] = await live().limit(BATCH).forUpdate().skipLocked().select('id_hash');
  if (chosen.length > 0) {
    const killed: { account_id: string | null }[] = await grants()
      .whereRaw('id_hash = ANY (?)', [chosen.map((row) => row.id_hash)])
      .update({ dead_at: trx.raw('clock_timestamp()'), updated_at: trx.fn.now() })
      .returning('account_id');
    const accountIds = [...new Set(killed.flatMap(({ account_id: id }) => id ?? []))];
    await enqueueClientLogouts(trx, tenantId, {
      clientId,
      accountIds: await withoutGrants(trx, { tenantId, clientId, accountIds }),
    });
  }
  return { ended: chosen.length, isDone: (await live().first('model')) === undefined };
}

/** Those of the people whose last grant with the client has ended: it is told of each once, not with every batch. */
async function withoutGrants(
  trx: Db,
  { tenantId, clientId, accountIds }: EndingClient & { accountIds: readonly string[] },
): Promise<string[]> {
  // The client as no index has it: a planner without figures might take all of a client's grants for fewer than
  // one person's, and read them again for each.
  const { rows } = await trx.raw<{ rows: { id: string }[] }>(
    `SELECT p.id FROM unnest(?::uuid[]) AS p(id)
      WHERE NOT EXISTS (SELECT 1 FROM oidc_models g
                         WHERE g.tenant_id = ? AND g.model = 'Grant' AND g.account_id = p.id
                           AND g.client_id || '' = ? AND g.dead_at IS NULL OFFSET 0)`,
    [[...accountIds], tenantId, clientId],
  );
  return rows.map(({ id }) => id);
}
