import type { Knex } from 'knex';

/** As if somebody had last proved who they are a while ago, wherever they are signed in. */
export async function growStale(db: Knex, userId: string): Promise<void> {
  await db('user_sessions')
    .where({ user_id: userId })
    .update({
      authenticated_at: db.raw("authenticated_at - interval '6 minutes'"),
      login_ts: db.raw('login_ts - 360'),
    });
}
