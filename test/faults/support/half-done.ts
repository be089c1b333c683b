import type { Knex } from 'knex';

/**
 * What must be true of the database whatever was killed when: a code gave a whole set of tokens or none,
 * and a refresh token that was used has its successor. So of every grant that lives, as many refresh
 * tokens are unused as codes were redeemed.
 * @returns the grants of which that is not true
 */
export async function halfDone(db: Knex, tenantId: string): Promise<unknown[]> {
  const { rows } = await db.raw(
    `SELECT encode(g.id_hash, 'hex') AS grant,
            (SELECT count(*)::int FROM oidc_models t WHERE t.tenant_id = g.tenant_id AND t.model = 'AuthorizationCode'
                AND t.grant_hash = g.id_hash AND t.consumed_at IS NOT NULL) AS redeemed,
            (SELECT count(*)::int FROM oidc_models t WHERE t.tenant_id = g.tenant_id AND t.model = 'RefreshToken'
                AND t.grant_hash = g.id_hash AND t.consumed_at IS NULL) AS unused
       FROM oidc_models g
      WHERE g.tenant_id = ? AND g.model = 'Grant' AND g.dead_at IS NULL`,
    [tenantId],
  );
  return (rows as { redeemed: number; unused: number }[]).filter(
    ({ redeemed, unused }) => redeemed !== unused,
  );
}

/** Sessions of the database that hold a transaction open without doing anything in it. */
export async function idleInTransaction(db: Knex): Promise<unknown[]> {
  const { rows } = await db.raw(
    `SELECT pid, state, query FROM pg_stat_activity
      WHERE application_name = 'gatehouse' AND state LIKE 'idle in transaction%'
        AND state_change < clock_timestamp() - interval '1 second'`,
  );
  return rows;
}
